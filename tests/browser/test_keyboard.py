"""The console without a mouse."""

from playwright.sync_api import Locator, Page, expect

from tests.browser.console import live_mark, notice, row
from tests.browser.wire_device import WireDevice
from tests.gateway_process import GatewayProcess

MOST_STEPS = 60

HAS_VISIBLE_FOCUS = """() => {
    const style = getComputedStyle(document.activeElement);
    const beside = document.activeElement.nextElementSibling;
    const shown = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0;
    return shown || (beside !== null && getComputedStyle(beside).outlineStyle !== "none");
}"""


def test_from_the_key_to_an_acknowledged_alert_by_keyboard_alone(page: Page, gateway: GatewayProcess) -> None:
    rule = {"name": "Too warm", "kind": "threshold", "measurement": "temperature_c", "above": 30, "clear": 28}
    with gateway.api() as api:
        assert api.post("rules", json=rule).status_code == 201
    with WireDevice.added(gateway, "server-room", name="Server room") as sensor:
        sensor.measure(temperature_c=35)
        page.goto(gateway.http_url)
        expect(page.get_by_label("API key")).to_be_focused()
        page.keyboard.type(gateway.admin_key)
        page.keyboard.press("Enter")
        expect(live_mark(page)).to_have_text("live")

        page.keyboard.press("Tab")
        expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
        page.keyboard.press("Enter")
        expect(page.locator("main")).to_be_focused()

        acknowledge = page.get_by_role("button", name="Acknowledge Too warm, Server room")
        expect(acknowledge).to_be_visible()
        _tab_to(page, acknowledge)
        page.keyboard.press("Enter")
        expect(notice(page)).to_contain_text("Too warm is acknowledged.")

        page.keyboard.press("Control+Home")
        _tab_to(page, page.get_by_role("link", name="Alerts", exact=True), backwards=True)
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", level=1, name="Alerts")).to_be_focused()
        expect(row(page, "Too warm")).to_contain_text("acknowledged")


def test_a_dialog_keeps_the_focus_closes_with_escape_and_gives_the_focus_back(
    page: Page, gateway: GatewayProcess
) -> None:
    page.goto(f"{gateway.http_url}/#key={gateway.admin_key}")
    expect(live_mark(page)).to_have_text("live")
    page.get_by_role("link", name="Attendance").press("Enter")
    page.get_by_role("link", name="People").press("Enter")
    add = page.get_by_role("button", name="Add person")
    add.press("Enter")
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_label("Name")).to_be_focused()
    for _ in range(8):
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement === document.body || !!document.activeElement.closest('dialog')")
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    expect(add).to_be_focused()


def test_choices_move_with_the_arrow_keys(page: Page, gateway: GatewayProcess) -> None:
    gateway.add_device("quiet", "climate")
    page.goto(f"{gateway.http_url}/#key={gateway.admin_key}")
    page.get_by_role("link", name="Devices", exact=True).press("Enter")
    expect(page.get_by_role("heading", level=1, name="Devices")).to_be_focused()
    everything = page.get_by_role("radio", name="All")
    _tab_to(page, everything)
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("radio", name="Online")).to_be_checked()
    expect(row(page, "quiet")).to_have_count(0)
    page.keyboard.press("ArrowLeft")
    expect(row(page, "quiet")).to_be_visible()


def _tab_to(page: Page, target: Locator, *, backwards: bool = False) -> None:
    """Presses Tab until the target has the focus, which must be seen at every step."""
    for _ in range(MOST_STEPS):
        page.keyboard.press("Shift+Tab" if backwards else "Tab")
        assert page.evaluate(HAS_VISIBLE_FOCUS), page.evaluate("document.activeElement.outerHTML.slice(0, 200)")
        if target.evaluate("element => element === document.activeElement"):
            return
    raise AssertionError(f"{target} is not reached by {MOST_STEPS} steps of the Tab key")
