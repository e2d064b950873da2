"""Taps, people and cards."""

from playwright.sync_api import Page, expect

from tests.browser.console import notice, row, sign_in
from tests.browser.wire_device import WireDevice
from tests.gateway_process import GatewayProcess


def test_a_tap_appears_with_who_where_and_which_way(page: Page, gateway: GatewayProcess) -> None:
    _add_person(gateway, "Ada Lovelace", "7b", "04A1B2C3")
    with WireDevice.added(gateway, "reader-1", kind="reader", place="Main gate") as reader:
        sign_in(page, gateway)
        came = page.get_by_role("region", name="Came today")
        reader.tap("04A1B2C3", direction="in")
        taps = page.locator(".latest-taps")
        expect(taps).to_contain_text("Ada Lovelace")
        expect(taps).to_contain_text("Main gate")
        expect(came).to_contain_text("1 in")
        reader.tap("04A1B2C3", direction="out")
        expect(came).to_contain_text("1 out")


def test_a_tap_whose_time_is_doubtful_says_so_in_words(page: Page, gateway: GatewayProcess) -> None:
    with WireDevice.added(gateway, "reader-2", kind="reader", place="Back door") as reader:
        reader.tap("04D4E5F6", at="1970-01-01T00:00:07Z")
        sign_in(page, gateway, "#/attendance")
        expect(row(page, "Back door")).to_contain_text("time of arrival")


def test_an_unknown_card_is_given_to_its_person_by_keyboard_and_earlier_taps_follow(
    page: Page, gateway: GatewayProcess
) -> None:
    for name in ("Alan Turing", "Jürgen Müller", "Jürgen Meyer"):
        _add_person(gateway, name, "7b")
    with WireDevice.added(gateway, "reader-3", kind="reader", place="Gym") as reader:
        reader.tap("04AABBCC", direction="in")
        reader.tap("04AABBCC", direction="out")
    sign_in(page, gateway, "#/attendance")
    page.get_by_role("searchbox").fill("Gym")
    expect(row(page, "Unknown card")).to_have_count(2)
    page.get_by_role("button", name="Assign card").first.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("combobox", name="Person")).to_be_focused()
    page.keyboard.type("jurgen mu")
    expect(page.get_by_role("option", name="Jürgen Müller")).to_be_visible()
    page.keyboard.press("Enter")
    expect(page.get_by_role("combobox", name="Person")).to_have_value("Jürgen Müller")
    page.keyboard.press("Enter")
    expect(notice(page)).to_contain_text("The card now belongs to Jürgen Müller.")
    expect(row(page, "Jürgen Müller")).to_have_count(2)
    expect(row(page, "Unknown card")).to_have_count(0)


def test_a_person_and_a_card_are_added_and_the_number_of_the_card_is_not_shown_again(
    page: Page, gateway: GatewayProcess
) -> None:
    sign_in(page, gateway, "#/attendance/people")
    page.get_by_role("button", name="Add person").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Name").fill("Grace Hopper")
    dialog.get_by_label("Group").fill("Staff")
    dialog.get_by_role("button", name="Add person").click()
    grace = row(page, "Grace Hopper")
    expect(grace).to_contain_text("no card")
    page.get_by_role("button", name="Edit Grace Hopper").click()
    dialog.get_by_role("button", name="Add card").click()
    dialog.get_by_label("Card number").fill("04:FF:11:22")
    dialog.get_by_role("button", name="Add card").click()
    expect(notice(page)).to_contain_text("Grace Hopper has a new card.")
    expect(grace).to_contain_text("1 card")
    expect(page.locator("body")).not_to_contain_text("FF:11:22")
    page.keyboard.press("Escape")
    with WireDevice.added(gateway, "reader-4", kind="reader") as reader:
        reader.tap("04FF1122", direction="in")
        expect(grace.locator(".direction.in")).to_be_visible()


def _add_person(gateway: GatewayProcess, name: str, group: str, credential: str | None = None) -> None:
    with gateway.api() as api:
        person = api.post("people", json={"name": name, "group": group}).json()
        if credential is not None:
            card = api.post(f"people/{person['id']}/cards", json={"credential": credential, "kind": "uid"})
            assert card.status_code == 201, card.text


def test_a_card_that_finds_its_owner_elsewhere_gets_its_name_without_a_reload(
    page: Page, gateway: GatewayProcess
) -> None:
    with WireDevice.added(gateway, "reader-5", kind="reader", place="Library") as reader:
        sign_in(page, gateway)
        reader.tap("04123456", direction="in")
        taps = page.locator(".latest-taps .tap-row").filter(has_text="Library")
        expect(taps).to_contain_text("Unknown card")
        _add_person(gateway, "Emmy Noether", "Staff", "04123456")
        expect(taps).to_contain_text("Emmy Noether", timeout=90_000)
