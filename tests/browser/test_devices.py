"""Devices that are added, adopted and revoked, and messages that nobody can read."""

import json

from playwright.sync_api import Page, expect

from tests.browser.console import choose, notice, row, sign_in
from tests.browser.wire_device import WireDevice
from tests.gateway_process import GatewayProcess

SENSOR = "zigbee2mqtt/attic"
ANNOUNCEMENT = {
    "name": "Temperature",
    "unique_id": "0x00158d0001a2b3c4_temperature",
    "state_topic": SENSOR,
    "device_class": "temperature",
    "unit_of_measurement": "°C",
    "value_template": "{{ value_json.temperature }}",
    "device": {"identifiers": ["zigbee2mqtt_0x00158d0001a2b3c4"], "name": "Attic sensor"},
}


def test_an_added_device_signs_in_with_the_secret_that_is_shown_once(page: Page, gateway: GatewayProcess) -> None:
    sign_in(page, gateway, "#/devices")
    page.get_by_role("button", name="Add device").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Device id").fill("chemistry")
    dialog.get_by_label("Name").fill("Chemistry lab")
    dialog.get_by_label("Kind").fill("climate")
    dialog.get_by_role("button", name="Add", exact=True).click()
    expect(dialog).to_contain_text("It is shown this once")
    secret = dialog.locator(".secret-text").inner_text().split()[0]
    dialog.get_by_role("button", name="Close").last.click()
    with WireDevice(gateway, "chemistry", secret) as lab:
        lab.measure(temperature_c=19)
        expect(row(page, "Chemistry lab")).to_contain_text("19.0 °C")
    expect(page.locator("body")).not_to_contain_text(secret)


def test_a_device_id_that_is_taken_is_refused_in_the_form(page: Page, gateway: GatewayProcess) -> None:
    gateway.add_device("biology", "climate")
    sign_in(page, gateway, "#/devices")
    page.get_by_role("button", name="Add device").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Device id").fill("biology")
    dialog.get_by_label("Kind").fill("climate")
    dialog.get_by_role("button", name="Add", exact=True).click()
    expect(dialog.get_by_role("alert")).to_contain_text("biology")


def test_a_device_that_was_only_seen_is_adopted_and_what_it_said_counts(page: Page, gateway: GatewayProcess) -> None:
    grants = ["homeassistant/#", "zigbee2mqtt/#"]
    with WireDevice.added(gateway, "bridge-1", kind="bridge", publish=grants) as bridge:
        sign_in(page, gateway, "#/devices")
        bridge.publish("homeassistant/sensor/attic/temperature/config", json.dumps(ANNOUNCEMENT), retain=True)
        bridge.publish(SENSOR, json.dumps({"temperature": 17.5}))
        seen = page.locator(".panel.seen")
        expect(seen).to_contain_text("Attic sensor")
        seen.get_by_role("button", name="Adopt Attic sensor").click()
        dialog = page.get_by_role("dialog")
        dialog.get_by_label("Name").fill("Attic")
        dialog.get_by_label("Kind").fill("climate")
        dialog.get_by_label("Place").fill("Under the roof")
        dialog.get_by_role("button", name="Adopt").click()
        expect(notice(page)).to_contain_text("Attic is adopted")
        expect(row(page, "Under the roof")).to_contain_text("17.5 °C")
        expect(seen).to_have_count(0)
        bridge.publish(SENSOR, json.dumps({"temperature": 18}))
        expect(row(page, "Under the roof")).to_contain_text("18.0 °C")


def test_a_device_is_described_anew_and_revoked(page: Page, gateway: GatewayProcess) -> None:
    gateway.add_device("physics", "climate")
    sign_in(page, gateway, "#/devices/physics")
    page.get_by_role("button", name="Edit").click()
    page.get_by_label("Name").fill("Physics lab")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Physics lab")
    page.get_by_role("button", name="Revoke").click()
    expect(page.get_by_role("button", name="Cancel")).to_be_focused()
    page.get_by_role("dialog").get_by_role("button", name="Revoke").click()
    expect(page.locator(".device-head")).to_contain_text("revoked")
    page.get_by_role("link", name="All devices").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Devices")
    expect(row(page, "Physics lab")).to_have_count(0)
    choose(page, "Revoked")
    expect(row(page, "Physics lab")).to_be_visible()


def test_a_message_that_cannot_be_read_is_shown_tried_again_and_deleted(page: Page, gateway: GatewayProcess) -> None:
    with WireDevice.added(gateway, "garbled") as garbled:
        sign_in(page, gateway, "#/dead-letters")
        expect(page.locator("main")).to_contain_text("No dead letters.")
        garbled.send("telemetry", b'{"values": <script>alert(1)</script> \xff')
        letter = row(page, "sg/garbled/telemetry")
        expect(letter).to_be_visible()
        letter.get_by_role("button").click()
        dialog = page.get_by_role("dialog")
        expect(dialog.locator("pre")).to_contain_text("<script>alert(1)</script> \\xff")
        dialog.get_by_role("button", name="Replay").click()
        expect(notice(page)).to_contain_text("It still cannot be read")
        dialog.get_by_role("button", name="Delete").click()
        page.get_by_role("dialog").last.get_by_role("button", name="Delete").last.click()
        expect(page.locator("main")).to_contain_text("No dead letters.")
