"""Rules and alerts through the API."""

from collections.abc import Iterator

import httpx
import pytest

from tests.gateway_process import GatewayProcess
from tests.integration.school_devices import connected, publish, wait_for

HOT = {"kind": "threshold", "name": "Too hot", "measurement": "temperature_c", "above": 28, "clear": 26}


@pytest.fixture
def api(school: GatewayProcess) -> Iterator[httpx.Client]:
    with school.api() as client:
        yield client


def alerts(api: httpx.Client, subject: str, state: str = "open") -> list[dict[str, object]]:
    found = api.get("alerts", params={"state": state, "limit": 1000}).json()["items"]
    return [alert for alert in found if alert["subject"] == subject]


def test_a_rule_is_shown_as_it_was_made_with_its_defaults(api: httpx.Client) -> None:
    made = api.post("rules", json=HOT | {"device": "nobody-1"})
    assert made.status_code == 201
    rule = made.json()
    assert {key: rule[key] for key in rule if key != "id"} == {
        "kind": "threshold",
        "name": "Too hot",
        "enabled": True,
        "severity": "warning",
        "device": "nobody-1",
        "device_kind": None,
        "measurement": "temperature_c",
        "above": 28.0,
        "below": None,
        "clear": 26.0,
        "for_s": 0.0,
    }
    assert api.get(f"rules/{rule['id']}").json() == rule
    assert rule in api.get("rules", params={"limit": 1000}).json()["items"]
    api.delete(f"rules/{rule['id']}")


def test_rules_are_listed_page_by_page(api: httpx.Client) -> None:
    made = [api.post("rules", json={"kind": "silence", "name": str(n), "after_s": 900}).json() for n in range(3)]
    found, after = [], None
    while True:
        page = api.get("rules", params={"limit": 1} | ({"after": after} if after else {})).json()
        found += page["items"]
        after = page["next"]
        if after is None:
            break
    assert {rule["id"] for rule in made} <= {rule["id"] for rule in found}
    assert [rule["id"] for rule in found] == sorted(rule["id"] for rule in found)
    for rule in made:
        assert api.delete(f"rules/{rule['id']}").status_code == 204


def test_an_alert_fires_is_acknowledged_and_resolves(school: GatewayProcess, api: httpx.Client) -> None:
    secret = school.add_device("hot-1")
    rule = api.post("rules", json=HOT | {"device": "hot-1", "severity": "critical"}).json()
    with connected(school, "hot-1", secret) as client:
        publish(client, "sg/hot-1/telemetry", {"values": {"temperature_c": 31}})
        (alert,) = wait_for(lambda: alerts(api, "hot-1/temperature_c", "firing"))
        assert (alert["rule"], alert["rule_name"], alert["severity"]) == (rule["id"], "Too hot", "critical")
        assert (alert["value"], alert["acknowledged_by"]) == (31, None)
        acknowledged = api.post(f"alerts/{alert['id']}/ack").json()
        assert (acknowledged["state"], acknowledged["acknowledged_by"]) == ("acknowledged", "first start")
        assert acknowledged["acknowledged_at"] is not None
        assert api.post(f"alerts/{alert['id']}/ack").json()["state"] == "acknowledged"
        assert alerts(api, "hot-1/temperature_c", "open") == [acknowledged]
        publish(client, "sg/hot-1/telemetry", {"values": {"temperature_c": 20}})
        wait_for(lambda: alerts(api, "hot-1/temperature_c", "resolved"))
    assert alerts(api, "hot-1/temperature_c", "open") == []
    assert api.post(f"alerts/{alert['id']}/ack").status_code == 404


def test_a_pending_alert_cannot_be_acknowledged(school: GatewayProcess, api: httpx.Client) -> None:
    secret = school.add_device("pending-1")
    api.post("rules", json=HOT | {"device": "pending-1", "for_s": 3600})
    with connected(school, "pending-1", secret) as client:
        publish(client, "sg/pending-1/telemetry", {"values": {"temperature_c": 31}})
        (alert,) = wait_for(lambda: alerts(api, "pending-1/temperature_c", "pending"))
    assert api.post(f"alerts/{alert['id']}/ack").status_code == 409


def test_a_change_is_in_force_at_once_and_leaves_the_rest(school: GatewayProcess, api: httpx.Client) -> None:
    secret = school.add_device("warm-1")
    rule = api.post("rules", json=HOT | {"device": "warm-1", "for_s": 60}).json()
    changed = api.patch(f"rules/{rule['id']}", json={"above": 22, "clear": 21, "for_s": 0, "kind": "threshold"})
    assert changed.json() == rule | {"above": 22, "clear": 21, "for_s": 0}
    with connected(school, "warm-1", secret) as client:
        publish(client, "sg/warm-1/telemetry", {"values": {"temperature_c": 23}})
        wait_for(lambda: alerts(api, "warm-1/temperature_c", "firing"))
    api.patch(f"rules/{rule['id']}", json={"enabled": False})
    wait_for(lambda: not alerts(api, "warm-1/temperature_c"))


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"clear": 29}, 422),
        ({"above": None}, 422),
        ({"below": 5}, 422),
        ({"device": "a", "device_kind": "sensor"}, 422),
        ({"measurement": "Temp"}, 400),
        ({"above": 1e300}, 400),
        ({"above": "28"}, 400),
        ({"for_s": -1}, 400),
        ({"for_s": 1e12}, 400),
        ({"severity": "bad"}, 400),
        ({"kind": "guess"}, 400),
        ({"kind": "silence"}, 400),
        ({"after_s": 60}, 400),
        ({"name": ""}, 400),
    ],
)
def test_a_rule_that_cannot_be_is_refused(api: httpx.Client, change: dict[str, object], status: int) -> None:
    answer = api.post("rules", json=HOT | change)
    assert answer.status_code == status, answer.text


def test_a_change_that_makes_no_rule_changes_nothing(api: httpx.Client) -> None:
    rule = api.post("rules", json=HOT | {"device": "nobody-2"}).json()
    for change in ({"clear": 29}, {"after_s": 60}, {"kind": "silence"}):
        assert api.patch(f"rules/{rule['id']}", json=change).status_code == 422
    assert api.get(f"rules/{rule['id']}").json() == rule


def test_a_rule_or_an_alert_that_is_not_there_cannot_be_touched(api: httpx.Client) -> None:
    assert api.get("rules/nothing").status_code == 404
    assert api.patch("rules/nothing", json={"enabled": False}).status_code == 404
    assert api.delete("rules/nothing").status_code == 404
    assert api.post("alerts/999999/ack").status_code == 404
    assert api.post("alerts/first/ack").status_code == 400
