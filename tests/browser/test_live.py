"""What the console shows while it happens, and while it cannot know."""

from playwright.sync_api import Page, expect

from tests.browser.console import choose, live_mark, row, sign_in
from tests.browser.wire_device import WireDevice
from tests.gateway_process import GatewayProcess

COUNT_CHANGES = """selector => {
    window.changes = 0;
    const count = records => { window.changes += records.length; };
    const watched = document.querySelector(selector);
    new MutationObserver(count).observe(watched, { subtree: true, childList: true, characterData: true });
}"""


def test_a_device_comes_online_speaks_and_goes_without_a_reload(page: Page, gateway: GatewayProcess) -> None:
    device = WireDevice.added(gateway, "chemistry", name="Chemistry lab", place="Room 12")
    sign_in(page, gateway, "#/devices")
    lab = row(page, "Chemistry lab")
    expect(lab).to_contain_text("never connected")
    expect(lab).to_contain_text("no data")
    with device:
        expect(lab).to_contain_text("online")
        device.measure(temperature_c=21.5, co2_ppm=815)
        expect(lab).to_contain_text("21.5 °C")
        expect(lab).to_contain_text("815 ppm")
        device.measure(temperature_c=-3.25)
        expect(lab).to_contain_text("-3.3 °C")
        expect(lab).not_to_contain_text("21.5")
        expect(lab.locator(".value.stale")).to_have_count(0)
    expect(lab).to_contain_text("offline")
    expect(lab.locator(".value.stale")).to_have_count(2)


def test_the_overview_follows_the_values_and_the_count_of_devices(page: Page, gateway: GatewayProcess) -> None:
    sign_in(page, gateway)
    values = page.locator(".panel.values")
    with (
        WireDevice.added(gateway, "air-1", kind="air", place="Room 12") as air,
        WireDevice.added(gateway, "air-2", kind="air") as other,
    ):
        air.measure(co2_ppm=800)
        other.measure(co2_ppm=1200)
        co2 = values.locator("tr").filter(has_text="CO₂").filter(has_text="1,000 ppm")
        expect(co2.get_by_role("link", name="Room 12")).to_be_visible()
        expect(page.get_by_role("region", name="Devices online").locator(".number")).to_contain_text("2 of")
        air.measure(co2_ppm=1000)
        expect(values).to_contain_text("1,100 ppm")


def test_a_flood_ends_on_its_last_value_and_is_not_drawn_message_by_message(
    page: Page, gateway: GatewayProcess
) -> None:
    with WireDevice.added(gateway, "meter-1", kind="power") as meter:
        meter.measure(power_w=0)
        sign_in(page, gateway, "#/devices")
        power = row(page, "meter-1")
        expect(power).to_contain_text("0.0 W")
        page.get_by_role("searchbox").fill("meter-1")
        expect(page.locator("tbody tr")).to_have_count(1)
        page.evaluate(COUNT_CHANGES, "tbody .value-list")
        meter.measure_many("power_w", range(1, 3001))
        expect(power).to_contain_text("3,000.0 W")
        assert page.evaluate("window.changes") < 1500, "every message was drawn"


def test_a_gateway_that_goes_is_told_and_what_was_missed_is_there_when_it_is_back(
    page: Page, gateway: GatewayProcess
) -> None:
    with WireDevice.added(gateway, "physics") as lab:
        lab.measure(temperature_c=20)
    sign_in(page, gateway, "#/devices")
    expect(row(page, "physics")).to_contain_text("20.0 °C")
    gateway.kill9()
    expect(live_mark(page)).to_have_text("reconnecting…")
    expect(row(page, "physics")).to_contain_text("20.0 °C")
    gateway.start()
    with WireDevice(gateway, "physics", _new_secret(gateway, "physics")) as again:
        again.measure(temperature_c=25)
        expect(live_mark(page)).to_have_text("live")
        expect(row(page, "physics")).to_contain_text("25.0 °C")


def test_a_chart_goes_on_with_every_reading_and_shows_the_same_as_a_table(page: Page, gateway: GatewayProcess) -> None:
    with WireDevice.added(gateway, "charted", name="Charted") as lab:
        lab.measure(temperature_c=20)
        sign_in(page, gateway, "#/devices/charted")
        chart = page.get_by_role("region", name="Temperature")
        expect(chart.locator("canvas")).to_be_visible()
        expect(chart.get_by_role("img", name="Temperature: 1 point, 20.0 °C")).to_be_visible()
        lab.measure(temperature_c=22.5)
        expect(chart.get_by_role("img", name="Temperature: 2 points from 20.0 °C to 22.5 °C")).to_be_visible()
        chart.get_by_text("As a table").click()
        expect(chart.locator("tbody tr")).to_have_count(2)
        lab.measure(humidity_pct=40)
        expect(page.get_by_role("region", name="Humidity").locator("canvas")).to_be_visible()
        for name in ("24 hours", "7 days"):
            choose(page, name)
            expect(chart.get_by_role("img", name="Temperature: 1 point")).to_be_visible()


def _new_secret(gateway: GatewayProcess, device_id: str) -> str:
    with gateway.api() as api:
        return str(api.post(f"devices/{device_id}/secret").json()["secret"])
