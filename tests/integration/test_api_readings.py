"""Readings through the API."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from tests.gateway_process import GatewayProcess
from tests.integration.school_devices import connected, publish

START = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=3)
"""A full hour, so that it is known which readings share a bucket."""


def at(seconds: int) -> str:
    return (START + timedelta(seconds=seconds)).isoformat().replace("+00:00", "Z")


@pytest.fixture(scope="module")
def api(school: GatewayProcess) -> Iterator[httpx.Client]:
    """A client of a gateway that has 300 readings of each of two measurements, 10 s apart."""
    secret = school.add_device("lab-1")
    with connected(school, "lab-1", secret) as client:
        for number in range(300):
            values = {"temperature_c": float(number), "humidity_pct": 50.5}
            client.publish("sg/lab-1/telemetry", json.dumps({"at": at(number * 10), "values": values}), qos=1)
        publish(client, "sg/lab-1/telemetry", {"values": {"battery_pct": 99}})
    with school.api() as client_of_api:
        yield client_of_api


def every_page(api: httpx.Client, path: str, **query: object) -> list[dict[str, object]]:
    found: list[dict[str, object]] = []
    while True:
        page = api.get(path, params={key.rstrip("_"): str(value) for key, value in query.items()}).json()
        found += page["items"]
        if page["next"] is None:
            return found
        query["after"] = page["next"]


def test_single_readings_come_in_order_of_time(api: httpx.Client) -> None:
    found = every_page(api, "readings", device="lab-1", measurement="temperature_c", limit=37)
    assert [one["value"] for one in found] == list(range(300))
    assert found[1] == {
        "device": "lab-1",
        "measurement": "temperature_c",
        "at": at(10).replace("Z", ".000000Z"),
        "value": 1.0,
        "clock": "unknown",
    }


def test_all_readings_of_a_device_come_once(api: httpx.Client) -> None:
    found = every_page(api, "readings", device="lab-1", limit=100)
    assert len(found) == 601
    assert [one["at"] for one in found] == sorted(str(one["at"]) for one in found)


def test_a_span_includes_its_start_and_not_its_end(api: httpx.Client) -> None:
    query = {"measurement": "temperature_c", "from": at(100), "to": at(130)}
    assert [one["value"] for one in api.get("readings", params=query).json()["items"]] == [10, 11, 12]
    assert api.get("readings", params=query | {"to": at(0)}).json() == {"items": [], "next": None}


@pytest.mark.parametrize(
    ("agg", "values"),
    [("mean", [2.5, 8.5]), ("min", [0, 6]), ("max", [5, 11]), ("sum", [15, 51]), ("count", [6, 6]), ("last", [5, 11])],
)
def test_buckets_hold_aggregates(api: httpx.Client, agg: str, values: list[float]) -> None:
    query = {"measurement": "temperature_c", "from": at(0), "to": at(120), "every": "1m", "agg": agg}
    found = api.get("readings", params=query).json()["items"]
    assert [(one["at"], one["value"], one["count"]) for one in found] == [
        (at(60 * number).replace("Z", ".000000Z"), value, 6) for number, value in enumerate(values)
    ]


def test_buckets_come_page_by_page(api: httpx.Client) -> None:
    found = every_page(api, "readings", device="lab-1", every="5m", agg="count", to=at(3000), limit=3)
    assert [one["value"] for one in found] == [30] * 20


def test_the_latest_of_every_series(api: httpx.Client) -> None:
    found = every_page(api, "readings/latest", limit=2)
    assert {one["measurement"]: one["value"] for one in found} == {
        "temperature_c": 299,
        "humidity_pct": 50.5,
        "battery_pct": 99,
    }


def test_a_device_that_is_not_there_has_no_readings(api: httpx.Client) -> None:
    assert api.get("readings", params={"device": "nobody"}).json() == {"items": [], "next": None}


@pytest.mark.parametrize(
    "query",
    [
        {"after": "x"},
        {"after": "0" * 16},
        {"after": "f" * 16 + "-" + "0" * 16 + "-" + "0" * 16},
        {"limit": "0"},
        {"limit": "1001"},
        {"limit": "many"},
        {"from": "yesterday"},
        {"from": "2026-02-30T00:00:00Z"},
        {"to": "2026-11-23T08:00:00"},
        {"every": "0s"},
        {"every": "1y"},
        {"agg": "median"},
        {"device": "a b"},
        {"measurement": "Temperature"},
    ],
)
def test_a_query_that_is_not_as_described_is_refused_by_name(api: httpx.Client, query: dict[str, str]) -> None:
    answer = api.get("readings", params=query)
    assert answer.status_code == 400
    assert [fault["field"] for fault in answer.json()["errors"]] == [f"query.{next(iter(query))}"]
