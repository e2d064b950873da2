"""A real browser that looks at the console of a real gateway."""

import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from tests.browser.watched_page import WatchedPage
from tests.gateway_process import GatewayProcess

CHROMIUM = shutil.which("chromium") or "/usr/bin/chromium"
ARGUMENTS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)
WAIT_MS = 90_000


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=list(ARGUMENTS))
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    """One gateway for the tests of a module, which use names of their own."""
    with GatewayProcess(tmp_path_factory.mktemp("gateway") / "data") as running:
        yield running
        print(running.log_tail())  # pytest shows it if the test failed


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    """A new profile: laptop, English, light."""
    with browser.new_context(
        viewport={"width": 1440, "height": 900}, locale="en-GB", timezone_id="Europe/Berlin", color_scheme="light"
    ) as fresh:
        fresh.set_default_timeout(WAIT_MS)
        expect.set_options(timeout=WAIT_MS)
        yield fresh


@pytest.fixture
def page(context: BrowserContext) -> Iterator[Page]:
    """A page that must end without an error of its own, and without asking anybody but the gateway."""
    watched = WatchedPage(context.new_page())
    yield watched.page
    assert watched.faults == []
