"""docs/configuration.md, made from the sections of the configuration. Pure."""

from pathlib import Path
from typing import Literal, get_args, get_origin

from annotated_types import Ge, Gt, Le
from pydantic import SecretStr

from gateway.configuration.layers import Setting, settings
from gateway.configuration.sections import GIB, KIB, MIB, Configuration

HEAD = """\
# Configuration

Nothing has to be set: an empty data directory and no configuration make a working gateway. A value is taken
from the first of these that has it:

1. a flag of the command (`--data`),
2. an environment variable `SCHOOLGATE_<SECTION>__<KEY>`, with two underscores between them,
3. the TOML file given by `--config`,
4. the default.

A key that does not exist is an error, in the file and in the environment, so that a misspelt one is noticed.
Sizes are bytes or a number with its unit (`64 MiB`); lists in the environment are comma separated or JSON.
A secret can stand in a file of its own, which the variable with `_FILE` at its end names.
`schoolgate check-config` prints what is in force and where each value came from; with `--markdown` this page.

```toml
[school]
name = "Lindenschule"
timezone = "Europe/Vienna"

[mqtt]
port = 1883
anonymous_topics = []
```
"""


def markdown() -> str:
    """Returns the page: a table for each section, in the order of the classes."""
    parts = [HEAD]
    for section, field in Configuration.model_fields.items():
        rows = [_row(setting) for setting in settings() if setting.section == section]
        parts.append(
            f"\n## `[{section}]`\n\n{field.description}.\n\n"
            "| key | type | default | environment | meaning |\n| --- | --- | --- | --- | --- |\n" + "".join(rows)
        )
    return "".join(parts)


def _row(setting: Setting) -> str:
    variable = f"`{setting.variable}`"
    if setting.is_secret:
        variable += f" or `{setting.variable}_FILE`"
    cells = (f"`{setting.key}`", _type(setting), _default(setting), variable, setting.info.description or "")
    return "| " + " | ".join(cells) + " |\n"


def _type(setting: Setting) -> str:
    kind = setting.info.annotation
    if setting.is_list:
        return "list of topic filters"
    if setting.is_secret:
        return "secret"
    if get_origin(kind) is Literal:
        return " or ".join(f"`{choice}`" for choice in get_args(kind))
    if kind is bool:
        return "true or false"
    if kind in (int, float):
        return _range(setting)
    return "path" if kind is Path or Path in get_args(kind) else "text"


def _range(setting: Setting) -> str:
    """The bounds of a number; every number has them."""
    low = high = ""
    for bound in setting.info.metadata:
        if isinstance(bound, Ge):
            low = _number(setting, bound.ge)
        elif isinstance(bound, Gt):
            low = f"above {_number(setting, bound.gt)}"
        elif isinstance(bound, Le):
            high = _number(setting, bound.le)
    return f"{low} to {high}"


def _number(setting: Setting, value: object) -> str:
    if not isinstance(value, int | float):
        raise TypeError(f"{setting.name} has a bound that is no number")
    if setting.is_size:
        return _size(int(value))
    return f"{value:,}" if isinstance(value, int) else f"{value:,.0f}"


def _size(size_bytes: int) -> str:
    for unit, scale in (("GiB", GIB), ("MiB", MIB), ("KiB", KIB)):
        if size_bytes >= scale and size_bytes % scale == 0:
            return f"{size_bytes // scale} {unit}"
    return str(size_bytes)


def _default(setting: Setting) -> str:
    default = setting.info.default
    if isinstance(default, SecretStr) or default in (None, "", ()):
        return "none"
    if isinstance(default, bool):
        return f"`{str(default).lower()}`"
    if isinstance(default, tuple):
        return ", ".join(f"`{item}`" for item in default)
    if setting.is_size:
        return f"`{_size(default)}`"
    return f"`{default:g}`" if isinstance(default, float) else f"`{default}`"
