"""Ways through the console that many tests take."""

from playwright.sync_api import Locator, Page, expect

from tests.gateway_process import GatewayProcess


def sign_in(page: Page, gateway: GatewayProcess, route: str = "#/overview") -> None:
    """Opens the console with the admin key, goes to `route`, and waits until it is live."""
    page.goto(f"{gateway.http_url}/#key={gateway.admin_key}")
    expect(live_mark(page)).to_have_text("live")
    go(page, route)


def go(page: Page, route: str) -> None:
    page.evaluate("hash => { location.hash = hash; }", route)
    expect(page.locator("main h1")).to_be_attached()


def live_mark(page: Page) -> Locator:
    return page.locator(".live-mark")


def row(page: Page, text: str) -> Locator:
    """The table row that holds this text."""
    return page.locator("tbody tr").filter(has_text=text)


def choose(page: Page, name: str) -> None:
    """Picks one of the choices that stand side by side."""
    page.locator(".choices label").filter(has_text=name).click()


def notice(page: Page) -> Locator:
    return page.locator(".notices")
