"""Every page on a laptop and on a phone, in light and in dark: no accessibility fault, nothing wider than the screen.

The screenshots go to `.cache/screenshots/`. With SCHOOLGATE_KEEP_PICTURE=1 the README's picture is renewed.
"""

import os
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import WAIT_MS
from tests.browser.console import go, sign_in
from tests.browser.simulated_school import SimulatedSchool
from tests.browser.watched_page import WatchedPage

ROOT = Path(__file__).parents[2]
AXE = ROOT / "api/web/node_modules/axe-core/axe.min.js"
SCREENSHOTS = ROOT / ".cache/screenshots"
PICTURE = ROOT / "docs/console.png"

Theme = Literal["light", "dark"]

SIZES = {"laptop": (1440, 900), "phone": (390, 844)}
THEMES: tuple[Theme, ...] = ("light", "dark")

RUN_AXE = """async () => {
    const result = await axe.run(document, { resultTypes: ["violations"] });
    return result.violations.flatMap(violation =>
        violation.nodes.map(node => `${violation.id}: ${node.html.slice(0, 160)} | ${node.failureSummary}`));
}"""


@dataclass(frozen=True, slots=True)
class View:
    """One thing to look at: where it is, and what to do there before it is seen."""

    name: str
    route: str
    open: Callable[[Page], None]


def _ready(text: str) -> Callable[[Page], None]:
    return lambda page: expect(page.locator("main")).to_contain_text(text)


def _overview(page: Page) -> None:
    for part in (".summaries", ".tap-row", ".alert-row", ".sparkline .line"):
        expect(page.locator(part).first).to_be_attached()


def _click(name: str) -> Callable[[Page], None]:
    def click(page: Page) -> None:
        page.get_by_role("button", name=name).first.click()
        expect(page.get_by_role("dialog")).to_be_visible()

    return click


def _pick_a_person(page: Page) -> None:
    page.get_by_label("Only unknown cards").check()
    _click("Assign card")(page)
    page.get_by_role("combobox").fill("a")
    expect(page.get_by_role("option").first).to_be_visible()


VIEWS = (
    View("overview", "#/overview", _overview),
    View("devices", "#/devices", _ready("online")),
    View("devices-adopt", "#/devices", _click("Adopt")),
    View("devices-add", "#/devices", _click("Add device")),
    View("device", "#/devices/air-001", _ready("As a table")),
    View("device-24h", "#/devices/air-001?range=24h", _ready("Means of 5 minutes")),
    View("attendance", "#/attendance", _ready("Main gate")),
    View("attendance-assign", "#/attendance", _pick_a_person),
    View("people", "#/attendance/people", _ready("1 card")),
    View("people-edit", "#/attendance/people", _click("Edit")),
    View("alerts", "#/alerts", _ready("firing")),
    View("rules", "#/alerts/rules", _ready("clears at")),
    View("rules-add", "#/alerts/rules", _click("Add rule")),
    View("dead-letters", "#/dead-letters", _ready("telemetry")),
    View("dead-letters-view", "#/dead-letters", _click("View")),
    View("not-found", "#/nowhere", _ready("No such page")),
)


@pytest.fixture(scope="module")
def school(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimulatedSchool]:
    with SimulatedSchool(tmp_path_factory.mktemp("school")) as running:
        yield running


@pytest.mark.timeout(900)
@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("size", SIZES)
def test_every_page_fits_its_screen_and_has_no_accessibility_fault(
    browser: Browser, school: SimulatedSchool, size: str, theme: Theme
) -> None:
    width, height = SIZES[size]
    with browser.new_context(
        viewport={"width": width, "height": height}, locale="en-GB", timezone_id="Europe/Berlin", color_scheme=theme
    ) as context:
        context.set_default_timeout(WAIT_MS)
        watched = WatchedPage(context.new_page())
        page = watched.page
        faults: list[str] = []
        page.goto(school.gateway.http_url)
        expect(page.get_by_label("API key")).to_be_visible()
        faults += _look(page, f"sign-in-{size}-{theme}")
        sign_in(page, school.gateway)
        for view in VIEWS:
            go(page, view.route)
            view.open(page)
            faults += _look(page, f"{view.name}-{size}-{theme}")
            page.keyboard.press("Escape")
            go(page, "#/nowhere")
        assert "\n".join(faults + watched.faults) == ""


def test_the_picture_of_the_readme_can_be_taken(browser: Browser, school: SimulatedSchool) -> None:
    """One wait longer than the others, so that the lines have a course."""
    with browser.new_context(viewport={"width": 1440, "height": 900}, locale="en-GB", color_scheme="light") as context:
        page = context.new_page()
        sign_in(page, school.gateway)
        expect(page.locator(".open-alerts")).to_contain_text("firing")
        expect(page.locator(".sparkline .line").first).to_have_attribute(
            "d", re.compile("(L[^L]+){24}"), timeout=180_000
        )
        picture = SCREENSHOTS / "overview.png"
        page.screenshot(path=picture)
    if os.environ.get("SCHOOLGATE_KEEP_PICTURE") == "1":
        shutil.copyfile(picture, PICTURE)


def _look(page: Page, name: str) -> list[str]:
    """Keeps a screenshot; returns what is wrong with what is on the screen."""
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SCREENSHOTS / f"{name}.png")
    wider = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
    faults = [] if wider <= 0 else [f"{name}: {wider} px wider than the screen"]
    page.evaluate(f"() => {{ {AXE.read_text('utf-8')} }}")
    return faults + [f"{name}: {fault}" for fault in page.evaluate(RUN_AXE)]
