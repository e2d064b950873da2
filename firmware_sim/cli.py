"""The command `school-sim`: a school of devices that do not exist, for a gateway that does.

Exit codes: 0 good, 1 a failure it explains, 2 wrong usage.
"""

import asyncio
import contextlib
import os
import sys
import threading
import time
from pathlib import Path
from typing import Annotated

import typer

from firmware_sim import enrolment, load_commands, rules
from firmware_sim.api_client import ApiClient
from firmware_sim.day import DayOrder, SchoolDay
from firmware_sim.enrolment import Progress, Registration
from firmware_sim.errors import SimError, UsageError
from firmware_sim.faults import FaultOrders
from firmware_sim.fleet import FleetState
from firmware_sim.options import (
    API,
    MQTT,
    Api,
    CaFile,
    IsAnonymous,
    IsJson,
    Key,
    KeyFile,
    Mqtt,
    SecretsFile,
    Seed,
    Wait,
    address,
    api_client,
    run_until_stopped,
    second_of_day,
    wait_until_ready,
)
from firmware_sim.report import Report
from firmware_sim.school import School, SchoolClock
from firmware_sim.wire import Credential

app = typer.Typer(
    help="A simulated school: 1,000 pupils, 200 sensors, readers at the doors, faults to order, and load.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)


@app.command()
def day(
    api: Api = API,
    mqtt: Mqtt = MQTT,
    key: Key = "",
    key_file: KeyFile = None,
    ca_file: CaFile = None,
    credentials: SecretsFile = None,
    wait: Wait = 0.0,
    seed: Seed = 1,
    speed: Annotated[
        float, typer.Option(min=0.01, help="Simulated seconds in a real one; 60: a minute a second.")
    ] = 60.0,
    start: Annotated[str, typer.Option(metavar="HH:MM", help="When the day begins.")] = "07:25",
    end: Annotated[str, typer.Option(metavar="HH:MM", help="When it ends.")] = "16:15",
    loop: Annotated[bool, typer.Option("--loop", help="Begin the next day when one ends, until Ctrl-C.")] = False,
    duration: Annotated[float, typer.Option(min=0, help="End after so many real seconds; 0: no limit.")] = 0.0,
    sensors: Annotated[int, typer.Option(min=1, help="Take part of the 200 sensors only.")] = 200,
    incidents: Annotated[bool, typer.Option(help="Let the day's small disasters happen.")] = True,
    anonymous: IsAnonymous = False,
    drop_line: Annotated[
        float, typer.Option(min=0, metavar="N", help="Fault: N lines a minute drop in mid-packet.")
    ] = 0.0,
    repeat: Annotated[
        float, typer.Option(min=0, max=1, metavar="SHARE", help="Fault: a share of the messages is repeated.")
    ] = 0.0,
    wrong_clock: Annotated[
        int, typer.Option(min=0, metavar="N", help="Fault: N devices are ten years off, at 1970, or run backwards.")
    ] = 0,
    garbage: Annotated[float, typer.Option(min=0, metavar="N", help="Fault: N payloads a minute mean nothing.")] = 0.0,
    flood: Annotated[
        float, typer.Option(min=0, metavar="RATE", help="Fault: one device sends RATE messages a second.")
    ] = 0.0,
    is_json: IsJson = False,
) -> None:
    """Plays a school day: enrols the school, then bells ring, sensors measure and pupils tap their cards."""
    report = Report(is_json=is_json)
    host, port = address(mqtt)
    clock = SchoolClock(speed, second_of_day(start), second_of_day(end), loop)
    if clock.ends <= clock.starts:
        raise UsageError(f"the day cannot end at {end} if it begins at {start}")
    school = School(seed)
    school.sensors = school.sensors[:sensors]
    registrations = enrolment.of_school(school.devices)
    faults = FaultOrders(drop_line, repeat, wrong_clock, garbage, flood)

    def order(devices: list[Credential]) -> DayOrder:
        return DayOrder(host, port, devices, clock, faults, duration, incidents)

    if anonymous:
        state = run_until_stopped(_play(school, order([Credential(device.id) for device in registrations]), report))
    else:
        with api_client(api, key, key_file, ca_file) as client:
            wait_until_ready(client, wait, report)
            devices = _enrol_devices(client, registrations, credentials, speed, report)
            state = run_until_stopped(_play(school, order(devices), report, client))
    if state is not None and state.acknowledged == 0:
        raise SimError(f"nothing was acknowledged by {host}:{port}")
    if state is not None and state.refused_devices:
        raise SimError(f"{state.refused_devices} devices were refused; delete the file of credentials and try again")


async def _play(school: School, order: DayOrder, report: Report, api: ApiClient | None = None) -> FleetState:
    """Plays the day; where there is an API, the pupils are enrolled meanwhile, so that the day begins at once."""
    is_over = threading.Event()

    def progress(what: str, done: int, total: int) -> None:
        if is_over.is_set():
            raise SimError("the day was over before all people were enrolled")
        report.progress(what, done, total)

    def enrol_people(api: ApiClient) -> None:
        try:
            _enrol_people(api, school, report, progress)
        except SimError as error:
            report.event("trouble", f"Enrolling people: {error}")

    people = None if api is None else asyncio.ensure_future(asyncio.to_thread(enrol_people, api))
    try:
        return await SchoolDay(school, order, report).play()
    finally:
        is_over.set()
        if people is not None:
            await people


@app.command()
def enrol(
    api: Api = API,
    key: Key = "",
    key_file: KeyFile = None,
    ca_file: CaFile = None,
    credentials: SecretsFile = None,
    wait: Wait = 0.0,
    seed: Seed = 1,
    speed: Annotated[float, typer.Option(min=0.01, help="The speed the day will have: rules wait accordingly.")] = 1.0,
    is_json: IsJson = False,
) -> None:
    """Makes the school known to a gateway: devices, people and cards, alert rules. May be done again."""
    report = Report(is_json=is_json)
    school = School(seed)
    with api_client(api, key, key_file, ca_file) as client:
        wait_until_ready(client, wait, report)
        _enrol_devices(client, enrolment.of_school(school.devices), credentials, speed, report)
        _enrol_people(client, school, report, report.progress)


def _enrol_devices(
    api: ApiClient, registrations: list[Registration], secrets_file: Path | None, speed: float, report: Report
) -> list[Credential]:
    """Devices, their secrets into the file, and rules."""
    began = time.monotonic()
    known = enrolment.saved_secrets(secrets_file)
    devices, new_devices = enrolment.enrol_devices(api, registrations, known, report.progress)
    if secrets_file is not None:
        secrets = {device.device_id: device.secret for device in devices if device.secret is not None}
        enrolment.save_secrets(secrets_file, known | secrets)
    new_rules = enrolment.enrol_rules(api, rules.for_speed(speed), report.progress)
    report.event(
        "enrolled",
        f"{len(devices)} devices are enrolled ({new_devices} new), {new_rules} new rules, "
        f"in {time.monotonic() - began:.1f} s",
        devices=new_devices,
        rules=new_rules,
    )
    return devices


def _enrol_people(api: ApiClient, school: School, report: Report, on_progress: Progress) -> None:
    """The pupils and their cards."""
    began = time.monotonic()
    people, cards = enrolment.enrol_people(api, school.pupils, on_progress)
    report.event(
        "enrolled",
        f"{len(school.pupils):,} people are enrolled ({people} new, {cards} new cards), "
        f"in {time.monotonic() - began:.1f} s",
        people=people,
        cards=cards,
    )


for command in (load_commands.load, load_commands.flood, load_commands.fleet, load_commands.latency):
    app.command()(command)


def main() -> None:
    """Runs the command line; failures that can be explained are one line on standard error."""
    try:
        app()
    except UsageError as error:
        print(f"school-sim: {error}", file=sys.stderr)
        sys.exit(2)
    except SimError as error:
        print(f"school-sim: {error}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)


if __name__ == "__main__":
    main()
