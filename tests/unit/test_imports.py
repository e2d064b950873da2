"""No two of our modules need each other, not even for their types: what changes together would not stop at a file."""

import ast
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = ("foundation", "devices", "gateway", "ledger", "xr_assets", "api", "firmware_sim")


def test_no_modules_import_each_other_in_a_circle() -> None:
    paths = [
        path for package in PACKAGES for path in (ROOT / package).rglob("*.py") if "node_modules" not in path.parts
    ]
    modules = {_name(path): path for path in paths}
    imports = {name: _imported(path) & modules.keys() - {name} for name, path in modules.items()}
    assert sum(map(len, imports.values())) > len(modules)  # it sees imports at all
    try:
        TopologicalSorter(imports).prepare()
    except CycleError as error:
        circle = " ◀── ".join(error.args[1])
        raise AssertionError(circle) from None


def _name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def _imported(path: Path) -> set[str]:
    """Returns what the file imports anywhere, in a function or under TYPE_CHECKING too. What may be a module or a name
    of one is in it as both."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            found.add(node.module)
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
    return found
