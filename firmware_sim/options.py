"""What the commands of `school-sim` share: their options, and what those mean."""

import asyncio
import signal
from collections.abc import Coroutine
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from firmware_sim import packets
from firmware_sim.api_client import ApiClient
from firmware_sim.errors import SimError, UsageError
from firmware_sim.report import Report
from firmware_sim.timetable import at

Result = TypeVar("Result")

Api = Annotated[str, typer.Option(envvar="SCHOOL_SIM_API", help="The gateway's HTTP address.")]
Mqtt = Annotated[str, typer.Option(envvar="SCHOOL_SIM_MQTT", help="HOST:PORT of the gateway's MQTT door.")]
Key = Annotated[str, typer.Option(envvar="SCHOOL_SIM_KEY", help="An admin key; better give --key-file.")]
KeyFile = Annotated[
    Path | None,
    typer.Option(envvar="SCHOOL_SIM_KEY_FILE", help="The file with the admin key: DATA/admin.key."),
]
CaFile = Annotated[Path | None, typer.Option(help="The school CA's certificate, for an https:// address.")]
SecretsFile = Annotated[
    Path | None,
    typer.Option("--credentials", help="Where device secrets are kept between runs, so that none is renewed."),
]
Wait = Annotated[float, typer.Option(help="Wait up to so many seconds for the gateway to be ready.")]
Seed = Annotated[int, typer.Option(help="Another number is another school.")]
IsJson = Annotated[bool, typer.Option("--json", help="Print JSON, one object a line.")]
IsAnonymous = Annotated[
    bool, typer.Option("--anonymous", help="Sign in without secrets and enrol nothing: for a plain broker.")
]
Version = Annotated[str, typer.Option("--mqtt-version", help="3.1.1 or 5.")]
Qos = Annotated[int, typer.Option(min=0, max=2, help="QoS of the messages.")]

API = "http://127.0.0.1:8080"
MQTT = "127.0.0.1:1883"
_VERSIONS = {"3.1.1": packets.MQTT_3_1_1, "5": packets.MQTT_5, "5.0": packets.MQTT_5}


def api_client(api: str, key: str, key_file: Path | None, ca_file: Path | None) -> ApiClient:
    if key_file is not None:
        try:
            key = key_file.read_text().strip()
        except OSError as error:
            raise SimError(f"{key_file}: {error.strerror}; it holds the gateway's admin key") from error
    if not key:
        raise UsageError("an admin key is needed: give --key-file DATA/admin.key (or --anonymous for a plain broker)")
    return ApiClient(api, key, None if ca_file is None else str(ca_file))


def wait_until_ready(api: ApiClient, wait_s: float, report: Report) -> None:
    if wait_s > 0:
        api.wait_until_ready(wait_s, lambda reason: report.note(f"waiting for {api.address}: {reason}", is_final=False))


def address(mqtt: str) -> tuple[str, int]:
    host, _, port = mqtt.rpartition(":")
    if not host or not port.isdigit() or not 0 < int(port) < 65_536:
        raise UsageError(f"{mqtt!r} is not HOST:PORT")
    return host.strip("[]"), int(port)


def second_of_day(text: str) -> float:
    try:
        return at(text)
    except ValueError as error:
        raise UsageError(f"{text!r} is not a time like 07:25") from error


def mqtt_version(text: str) -> int:
    if text not in _VERSIONS:
        raise UsageError(f"MQTT version {text!r}: 3.1.1 or 5")
    return _VERSIONS[text]


def run_until_stopped(work: Coroutine[object, object, Result]) -> Result | None:
    """Runs `work`; Ctrl-C and SIGTERM end it in an orderly way, and then the result is None."""

    async def supervised() -> Result | None:
        task = asyncio.ensure_future(work)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, task.cancel)
        try:
            return await task
        except asyncio.CancelledError:
            return None

    return asyncio.run(supervised())
