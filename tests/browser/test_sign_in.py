"""Who gets in, and where the key goes."""

from playwright.sync_api import Page, expect

from tests.browser.console import live_mark, sign_in
from tests.gateway_process import GatewayProcess


def test_a_wrong_key_is_told_plainly_and_the_right_one_opens_the_console(page: Page, gateway: GatewayProcess) -> None:
    page.goto(gateway.http_url)
    key = page.get_by_label("API key")
    expect(key).to_be_focused()
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_have_text("Enter a key.")
    key.fill("sg_not_a_key")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_contain_text("does not know this key")
    expect(key).to_be_focused()
    key.fill(gateway.admin_key)
    page.get_by_role("button", name="Sign in").click()
    expect(live_mark(page)).to_have_text("live")
    expect(page.get_by_role("heading", level=1)).to_have_text("Overview")


def test_a_key_in_the_address_signs_in_and_is_gone_from_the_address(page: Page, gateway: GatewayProcess) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"{gateway.http_url}/#key={gateway.admin_key}")
    expect(live_mark(page)).to_have_text("live")
    assert page.url == f"{gateway.http_url}/"
    page.go_back()
    assert gateway.admin_key not in page.url
    assert [url for url in asked if gateway.admin_key in url and "#" not in url] == []


def test_a_tab_stays_signed_in_over_a_reload_and_another_tab_does_not_know_the_key(
    page: Page, gateway: GatewayProcess
) -> None:
    sign_in(page, gateway, "#/devices")
    page.reload()
    expect(live_mark(page)).to_have_text("live")
    expect(page.get_by_role("heading", level=1)).to_have_text("Devices")
    other = page.context.new_page()
    other.goto(gateway.http_url)
    expect(other.get_by_label("API key")).to_be_visible()


def test_signing_out_forgets_the_key(page: Page, gateway: GatewayProcess) -> None:
    sign_in(page, gateway)
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_label("API key")).to_be_visible()
    page.reload()
    expect(page.get_by_label("API key")).to_be_visible()


def test_a_key_that_ends_while_somebody_looks_leads_back_to_the_sign_in(page: Page, gateway: GatewayProcess) -> None:
    with gateway.api() as api:
        made = api.post("keys", json={"role": "viewer"}).json()
        page.goto(f"{gateway.http_url}/#key={made['key']}")
        expect(live_mark(page)).to_have_text("live")
        assert api.delete(f"keys/{made['id']}").status_code == 204
    page.get_by_role("link", name="Dead letters").first.click()
    expect(page.get_by_role("alert")).to_contain_text("no longer accepts your key")


def test_what_the_role_of_a_key_does_not_allow_is_said_and_changes_nothing(page: Page, gateway: GatewayProcess) -> None:
    with gateway.api() as api:
        viewer = api.post("keys", json={"role": "viewer"}).json()["key"]
    page.goto(f"{gateway.http_url}/#key={viewer}")
    expect(live_mark(page)).to_have_text("live")
    page.get_by_role("link", name="Devices", exact=True).click()
    page.get_by_role("button", name="Add device").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Device id").fill("not-mine")
    dialog.get_by_label("Kind").fill("climate")
    dialog.get_by_role("button", name="Add", exact=True).click()
    expect(dialog.get_by_role("alert")).to_have_text("The role of your key does not allow this.")
    with gateway.api() as api:
        assert api.get("devices/not-mine").status_code == 404


def test_the_console_speaks_german_to_whoever_wants_it(page: Page, gateway: GatewayProcess) -> None:
    sign_in(page, gateway)
    page.get_by_role("button", name="Deutsch").click()
    expect(page.get_by_role("link", name="Anwesenheit")).to_be_visible()
    expect(page.locator("html")).to_have_attribute("lang", "de")
    page.reload()
    expect(page.get_by_role("button", name="English")).to_be_visible()
