"""Rules, and the alerts that they raise."""

from playwright.sync_api import Page, expect

from tests.browser.console import choose, notice, row, sign_in
from tests.browser.wire_device import WireDevice
from tests.gateway_process import GatewayProcess


def test_a_rule_made_here_fires_is_acknowledged_and_resolves(page: Page, gateway: GatewayProcess) -> None:
    with WireDevice.added(gateway, "server-room", name="Server room") as sensor:
        sensor.measure(temperature_c=21)
        sign_in(page, gateway, "#/alerts/rules")
        _add_rule(page, "Too warm", "30", "28", severity="critical")
        expect(row(page, "Too warm")).to_contain_text("Temperature above 30.0 °C, clears at 28.0 °C")
        page.get_by_role("link", name="Overview").click()
        alerts = page.locator(".open-alerts")
        expect(alerts).to_contain_text("No open alert.")
        sensor.measure(temperature_c=31.5)
        expect(alerts).to_contain_text("firing")
        expect(alerts).to_contain_text("31.5 °C")
        expect(page.get_by_role("link", name="Alerts 1 firing")).to_be_visible()
        alerts.get_by_role("button", name="Acknowledge Too warm, Server room").click()
        expect(notice(page)).to_contain_text("Too warm is acknowledged.")
        expect(alerts).to_contain_text("acknowledged")
        expect(alerts.get_by_role("button")).to_have_count(0)
        sensor.measure(temperature_c=29)
        expect(alerts).to_contain_text("acknowledged")
        sensor.measure(temperature_c=22)
        expect(alerts).to_contain_text("No open alert.")
        page.get_by_role("link", name="All alerts").click()
        choose(page, "Resolved")
        expect(row(page, "Too warm")).to_contain_text("resolved")


def test_a_rule_that_could_not_clear_is_refused_before_it_is_sent(page: Page, gateway: GatewayProcess) -> None:
    sign_in(page, gateway, "#/alerts/rules")
    _add_rule(page, "Too warm", "30", "31")
    expect(page.get_by_role("dialog").get_by_role("alert")).to_contain_text("cannot be above the limit")


def test_a_rule_is_changed_switched_off_and_deleted(page: Page, gateway: GatewayProcess) -> None:
    with gateway.api() as api:
        rule = {"name": "Reader silent", "kind": "silence", "device_kind": "reader", "after_s": 600}
        assert api.post("rules", json=rule).status_code == 201
    sign_in(page, gateway, "#/alerts/rules")
    silent = row(page, "Reader silent")
    expect(silent).to_contain_text("nothing heard for 10 mins")
    page.get_by_role("button", name="Edit rule Reader silent").click()
    page.get_by_label("After silence of (seconds)").fill("90")
    page.get_by_role("button", name="Save").click()
    expect(silent).to_contain_text("nothing heard for 90 secs")
    page.get_by_label("Rule Reader silent enabled").uncheck()
    expect(silent).to_contain_text("off")
    page.get_by_role("button", name="Delete rule Reader silent").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(silent).to_have_count(0)
    with gateway.api() as api:
        assert "Reader silent" not in api.get("rules").text


def _add_rule(page: Page, name: str, limit: str, clear: str, severity: str = "warning") -> None:
    page.get_by_role("button", name="Add rule").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Name").fill(name)
    dialog.get_by_label("Measurement").fill("temperature_c")
    dialog.get_by_label("Limit").fill(limit)
    dialog.get_by_label("Clears at").fill(clear)
    dialog.get_by_label("For at least (seconds)").fill("0")
    dialog.get_by_label("Severity").select_option(severity)
    dialog.get_by_role("button", name="Save").click()
