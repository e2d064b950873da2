"""The documentation is in step with the code."""

import re
from pathlib import Path

import pytest

from gateway.configuration.layers import Setting, settings
from gateway.configuration.reference import markdown
from tests.declared import ROOMS

ROOT = Path(__file__).parents[2]


def test_the_configuration_page_is_in_step_with_the_code() -> None:
    page = (ROOT / "docs" / "configuration.md").read_text("utf-8")
    assert page == markdown(), "renew it: .venv/bin/schoolgate check-config --markdown > docs/configuration.md"


@pytest.mark.parametrize("page", sorted(ROOT.glob("docs/**/*.md")), ids=lambda page: page.name)
def test_every_path_that_a_page_names_is_there(page: Path) -> None:
    named = re.findall(r"`((?:foundation|devices|gateway|api|tests|scripts)/[\w./-]+)`", page.read_text("utf-8"))
    coming = {"devices/coap", "gateway/sync", "gateway/history"}
    assert [path for path in named if path not in coming and not (ROOT / path).exists()] == []


def test_every_file_that_belongs_in_a_backup_is_explained_to_operators() -> None:
    page = (ROOT / "docs" / "operating.md").read_text("utf-8")
    files = [file for room in ROOMS for file in room.files]
    assert {"card.key", "admin.key", "tls"} <= {file.name for file in files}
    assert [file for file in files if f"`{file.name}" not in page] == []


@pytest.mark.parametrize("setting", settings(), ids=lambda setting: setting.name)
def test_every_key_has_a_description_and_a_row(setting: Setting) -> None:
    assert setting.info.description
    assert f"`{setting.variable}`" in markdown()


@pytest.mark.parametrize("setting", settings(), ids=lambda setting: setting.name)
def test_every_number_has_bounds(setting: Setting) -> None:
    if setting.info.annotation not in (int, float):
        return
    bounds = {type(bound).__name__ for bound in setting.info.metadata}
    assert bounds & {"Ge", "Gt"}
    assert bounds & {"Le", "Lt"}
