"""The command `school-sim`: a school of devices that do not exist, for a gateway that does.

Exit codes: 0 good, 1 a failure it explains, 2 wrong usage.
"""

import contextlib
import os
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from firmware_sim import enrolment, load_commands, rules
from firmware_sim.api_client import ApiClient
from firmware_sim.day import DayOrder, SchoolDay
from firmware_sim.enrolment import Registration
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
    if anonymous:
        devices = [Credential(device.id) for device in registrations]
    else:
        with api_client(api, key, key_file, ca_file) as client:
            wait_until_ready(client, wait, report)
            devices = _enrol_school(client, school, registrations, credentials, speed, report)
    faults = FaultOrders(drop_line, repeat, wrong_clock, garbage, flood)
    order = DayOrder(host, port, devices, clock, faults, duration, incidents)

    async def play() -> FleetState:
        return await SchoolDay(school, order, report).play()

    state = run_until_stopped(play())
    if state is not None and state.acknowledged == 0:
        raise SimError(f"nothing was acknowledged by {host}:{port}")
    if state is not None and state.refused_devices:
        raise SimError(f"{state.refused_devices} devices were refused; delete the file of credentials and try again")


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
        _enrol_school(client, school, enrolment.of_school(school.devices), credentials, speed, report)


def _enrol_school(
    api: ApiClient,
    school: School,
    registrations: list[Registration],
    secrets_file: Path | None,
    speed: float,
    report: Report,
) -> list[Credential]:
    """The whole school, and the secrets into their file."""
    began = time.monotonic()
    known = enrolment.saved_secrets(secrets_file)
    devices, new_devices = enrolment.enrol_devices(api, registrations, known, report.progress)
    if secrets_file is not None:
        secrets = {device.device_id: device.secret for device in devices if device.secret is not None}
        enrolment.save_secrets(secrets_file, known | secrets)
    people, cards = enrolment.enrol_people(api, school.pupils, report.progress)
    added = enrolment.Enrolled(
        devices=new_devices,
        people=people,
        cards=cards,
        rules=enrolment.enrol_rules(api, rules.for_speed(speed), report.progress),
    )
    report.event(
        "enrolled",
        f"The school is enrolled: {len(devices)} devices ({added.devices} new), {len(school.pupils):,} people "
        f"({added.people} new, {added.cards} new cards), {added.rules} new rules, in "
        f"{time.monotonic() - began:.1f} s",
        **asdict(added),
    )
    return devices


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
