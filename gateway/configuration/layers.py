"""Reads the configuration, once, into one frozen tree.

Defaults < TOML file < environment `SCHOOLGATE_<SECTION>__<KEY>` < flags. A key that does not exist is an
error wherever it stands: a setting that silently does nothing is worse than a gateway that does not start.
"""

import difflib
import enum
import json
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import get_origin

from pydantic import SecretStr, ValidationError
from pydantic.fields import FieldInfo

from gateway.configuration.sections import KIB, Configuration, Section
from gateway.errors import ConfigError

PREFIX = "SCHOOLGATE_"
NOT_SHOWN = "(not shown)"
MAX_SECRET_BYTES = 64 * KIB


class Layer(enum.Enum):
    """Where a value can come from; a later one overrules."""

    DEFAULT = "default"
    FILE = "file"
    ENVIRONMENT = "environment"
    FLAG = "flag"


@dataclass(frozen=True, slots=True)
class Origin:
    """The layer that set a value, and the file, variable or flag in it."""

    layer: Layer
    place: str = ""

    def __str__(self) -> str:
        return f"{self.layer.value} {self.place}".rstrip()


@dataclass(frozen=True, slots=True)
class Setting:
    """One key of the configuration and what its section's class says about it."""

    section: str
    key: str
    info: FieldInfo

    @property
    def name(self) -> str:
        return f"{self.section}.{self.key}"

    @property
    def variable(self) -> str:
        return f"{PREFIX}{self.section}__{self.key}".upper()

    @property
    def is_secret(self) -> bool:
        return self.info.annotation is SecretStr

    @property
    def is_size(self) -> bool:
        return self.key.endswith("_bytes")

    @property
    def is_list(self) -> bool:
        return get_origin(self.info.annotation) is tuple


@dataclass(frozen=True, slots=True)
class Effective:
    """A configuration and, by dotted name, where each value that is not a default came from."""

    configuration: Configuration
    origins: Mapping[str, Origin]

    def origin(self, name: str) -> Origin:
        return self.origins.get(name, Origin(Layer.DEFAULT))

    def value(self, setting: Setting) -> object:
        """The value in force; a secret as a SecretStr, which does not print itself."""
        value: object = getattr(getattr(self.configuration, setting.section), setting.key)
        return value


@dataclass(frozen=True, slots=True)
class _Given:
    setting: Setting
    value: object
    origin: Origin


def settings() -> list[Setting]:
    """Every key there is, in the order of the sections."""
    return [
        Setting(section, key, info)
        for section, model in _sections().items()
        for key, info in model.model_fields.items()
    ]


def load(file: Path | None, environ: Mapping[str, str], overrides: Mapping[str, object] | None = None) -> Configuration:
    """Returns the configuration; see `trace`."""
    return trace(file, environ, overrides).configuration


def trace(file: Path | None, environ: Mapping[str, str], overrides: Mapping[str, object] | None = None) -> Effective:
    """Returns the configuration with the origin of each value.

    `overrides`: dotted name to value, what flags say. Raises ConfigError for the first thing that is wrong: a
    file that cannot be read, a key that does not exist, a value out of its bounds.
    """
    given = [*_from_file(file)] if file is not None else []
    given += _from_environment(environ)
    given += _from_flags(overrides or {})
    tree: dict[str, dict[str, object]] = {}
    origins: dict[str, Origin] = {}
    for one in given:
        tree.setdefault(one.setting.section, {})[one.setting.key] = one.value
        origins[one.setting.name] = one.origin
    try:
        return Effective(Configuration.model_validate(tree), origins)
    except ValidationError as error:
        raise _explained(error, tree, origins) from None


def _sections() -> dict[str, type[Section]]:
    found = {}
    for name, field in Configuration.model_fields.items():
        model = field.annotation
        if isinstance(model, type) and issubclass(model, Section):
            found[name] = model
    return found


def _by_name() -> dict[str, Setting]:
    return {setting.name: setting for setting in settings()}


def _from_file(file: Path) -> Iterable[_Given]:
    try:
        tree = tomllib.loads(file.read_text("utf-8"))
    except OSError as error:
        raise ConfigError("--config", str(file), f"cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError("--config", str(file), f"is not TOML: {error}") from error
    known = _by_name()
    sections = _sections()
    for section, table in tree.items():
        if section not in sections:
            raise ConfigError(
                section,
                NOT_SHOWN,
                f"{file} has a section that does not exist{_nearest(section, sections)}; "
                f"the sections are {' '.join(sections)}",
            )
        if not isinstance(table, dict):
            raise ConfigError(section, NOT_SHOWN, f"in {file} this is a section: write [{section}] above its keys")
        for key, value in table.items():
            name = f"{section}.{key}"
            if name not in known:
                raise ConfigError(
                    name, NOT_SHOWN, f"{file} sets a key that does not exist{_nearest(name, known, section)}"
                )
            if isinstance(value, bool) and known[name].info.annotation is not bool:
                raise ConfigError(name, value, f"in {file} this is not a true or false")
            yield _Given(known[name], value, Origin(Layer.FILE, str(file)))


def _from_environment(environ: Mapping[str, str]) -> Iterable[_Given]:
    plain = {setting.variable: setting for setting in settings()}
    secret_files = {f"{name}_FILE": setting for name, setting in plain.items() if setting.is_secret}
    for variable in sorted(name for name in environ if name.startswith(PREFIX)):
        text = environ[variable]
        if variable in plain:
            setting = plain[variable]
            value: object = _listed(variable, text) if setting.is_list else text
        elif variable in secret_files:
            setting = secret_files[variable]
            if setting.variable in environ:
                raise ConfigError(variable, text, f"{setting.variable} is set too: keep one of them")
            value = _secret(variable, Path(text))
        else:
            raise ConfigError(
                variable,
                NOT_SHOWN,
                f"no key has this variable{_nearest(variable, [*plain, *secret_files])}",
            )
        yield _Given(setting, value, Origin(Layer.ENVIRONMENT, variable))


def _from_flags(overrides: Mapping[str, object]) -> Iterable[_Given]:
    known = _by_name()
    for name, value in overrides.items():
        if name not in known:
            raise ConfigError(name, NOT_SHOWN, f"no key has this name{_nearest(name, known)}")
        yield _Given(known[name], value, Origin(Layer.FLAG))


def _listed(variable: str, text: str) -> list[object]:
    """A list in the environment: JSON if it begins like JSON, else comma separated; empty text is no item."""
    if not text.lstrip().startswith("["):
        return [item.strip() for item in text.split(",") if item.strip()]
    try:
        items = json.loads(text)
    except ValueError as error:
        raise ConfigError(variable, text, f"begins like a JSON list, but is none: {error}") from error
    return list(items)


def _secret(variable: str, file: Path) -> str:
    try:
        with file.open("rb") as opened:
            content = opened.read(MAX_SECRET_BYTES + 1)
        if len(content) > MAX_SECRET_BYTES:
            raise ConfigError(variable, str(file), f"holds more than {MAX_SECRET_BYTES} bytes: no secret is that long")
        return content.decode().strip()
    except OSError as error:
        raise ConfigError(variable, str(file), f"cannot be read: {error.strerror}") from error
    except UnicodeDecodeError:
        raise ConfigError(variable, str(file), "is not UTF-8 text") from None


def _nearest(name: str, known: Iterable[str], section: str = "") -> str:
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    if near:
        return f"; did you mean {near[0]}?"
    keys = [other.removeprefix(f"{section}.") for other in known if section and other.startswith(f"{section}.")]
    return f"; [{section}] has {' '.join(keys)}" if keys else ""


def _explained(
    error: ValidationError, tree: Mapping[str, Mapping[str, object]], origins: Mapping[str, Origin]
) -> ConfigError:
    """The first fault as a ConfigError, naming how many more there are."""
    faults = error.errors(include_url=False)
    location = [str(part) for part in faults[0]["loc"]]
    hint = faults[0]["msg"].removeprefix("Value error, ")
    more = f" ({len(faults) - 1} more wrong after this)" if len(faults) > 1 else ""
    if len(location) < 2:
        field = location[0] if location else "configuration"
        value = " ".join(f"{key}={_shown(field, key, value)}" for key, value in tree.get(field, {}).items())
        return ConfigError(field, value, hint + more)
    section, key = location[:2]
    name = f"{section}.{key}"
    origin = origins.get(name, Origin(Layer.DEFAULT))
    return ConfigError(name, _shown(section, key, tree[section][key]), f"{hint} (from {origin}){more}")


def _shown(section: str, key: str, value: object) -> object:
    return NOT_SHOWN if _by_name()[f"{section}.{key}"].is_secret else value
