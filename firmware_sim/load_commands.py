"""The commands of `school-sim` that load a broker: load, flood, fleet, latency."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from firmware_sim import enrolment
from firmware_sim.enrolment import Registration
from firmware_sim.errors import SimError
from firmware_sim.load import LoadProgress, LoadResult, LoadSpec, run_load
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
    Qos,
    Version,
    address,
    api_client,
    mqtt_version,
    run_until_stopped,
)
from firmware_sim.report import Report
from firmware_sim.steady import SteadyResult, SteadySpec, SteadyState, run_steady
from firmware_sim.wire import Credential


def load(
    api: Api = API,
    mqtt: Mqtt = MQTT,
    key: Key = "",
    key_file: KeyFile = None,
    ca_file: CaFile = None,
    connections: Annotated[int, typer.Option(min=1, help="How many connections, each a device.")] = 1,
    window: Annotated[int, typer.Option(min=1, max=65535, help="Messages in flight on each of them.")] = 1000,
    duration: Annotated[float, typer.Option(min=0, help="Seconds to measure; 0: until --messages are sent.")] = 10.0,
    warm_up: Annotated[float, typer.Option(min=0, help="Seconds before measuring.")] = 1.0,
    messages: Annotated[int, typer.Option(min=0, help="Messages for each connection; 0: no limit.")] = 0,
    qos: Qos = 1,
    version: Version = "3.1.1",
    processes: Annotated[int, typer.Option(min=1, help="Sending processes.")] = 1,
    anonymous: IsAnonymous = False,
    is_json: IsJson = False,
) -> None:
    """Sends as fast as a broker acknowledges, and says how fast that is."""
    report = Report(is_json=is_json)
    spec = LoadSpec(
        *address(mqtt),
        _load_devices(connections, "load", anonymous, api, key, key_file, ca_file, report),
        version=mqtt_version(version),
        qos=qos,
        window=window,
        duration_s=duration,
        warm_up_s=warm_up,
        messages_each=messages,
        processes=processes,
    )

    def told(progress: LoadProgress) -> None:
        if progress.per_s is None:
            report.progress("connections", progress.connected, connections)
        else:
            report.note(f"{progress.per_s:,.0f} messages/s", is_final=False)

    result = run_until_stopped(run_load(spec, told))
    if result is not None:
        _say_load(result, is_json=is_json)


def flood(
    api: Api = API,
    mqtt: Mqtt = MQTT,
    key: Key = "",
    key_file: KeyFile = None,
    ca_file: CaFile = None,
    device: Annotated[str, typer.Option(help="The device that floods.")] = "flood-0001",
    rate: Annotated[float, typer.Option(min=0, help="Messages a second; 0: as fast as it is let.")] = 0.0,
    duration: Annotated[float, typer.Option(min=0.1, help="Seconds.")] = 10.0,
    anonymous: IsAnonymous = False,
    is_json: IsJson = False,
) -> None:
    """Lets one device send far more than it should."""
    report = Report(is_json=is_json)
    host, port = address(mqtt)
    flooding = [Registration(device, "load_generator")]
    devices = _registered(flooding, anonymous, api, key, key_file, ca_file, report)
    report.event(
        "fault",
        f"fault flood: {device} sends {rate or 'as many'} messages a second" + ("" if rate else " as it is let"),
    )
    if rate:
        steady = run_until_stopped(run_steady(SteadySpec(host, port, devices, rate, duration)))
        if steady is not None:
            _say_steady(steady, is_json=is_json)
        return
    result = run_until_stopped(run_load(LoadSpec(host, port, devices, duration_s=duration, warm_up_s=0.0)))
    if result is not None:
        _say_load(result, is_json=is_json)


def fleet(
    api: Api = API,
    mqtt: Mqtt = MQTT,
    key: Key = "",
    key_file: KeyFile = None,
    ca_file: CaFile = None,
    connections: Annotated[int, typer.Option(min=1, help="How many devices are connected.")] = 2000,
    interval: Annotated[float, typer.Option(min=0.01, help="Seconds between two messages of a device.")] = 10.0,
    duration: Annotated[float, typer.Option(min=0.1, help="Seconds.")] = 60.0,
    qos: Qos = 1,
    version: Version = "3.1.1",
    anonymous: IsAnonymous = False,
    is_json: IsJson = False,
) -> None:
    """Connects many devices that say little, at next to no cost here."""
    report = Report(is_json=is_json)
    devices = _load_devices(connections, "fleet", anonymous, api, key, key_file, ca_file, report)
    _steady(devices, mqtt, connections / interval, duration, qos, version, report, is_stamped=False, is_json=is_json)


def latency(
    api: Api = API,
    mqtt: Mqtt = MQTT,
    key: Key = "",
    key_file: KeyFile = None,
    ca_file: CaFile = None,
    connections: Annotated[int, typer.Option(min=1, help="How many connections.")] = 1,
    rate: Annotated[float, typer.Option(min=0.01, help="Messages a second, over all of them.")] = 1000.0,
    duration: Annotated[float, typer.Option(min=0.1, help="Seconds.")] = 10.0,
    qos: Qos = 1,
    version: Version = "3.1.1",
    anonymous: IsAnonymous = False,
    is_json: IsJson = False,
) -> None:
    """Sends messages stamped with the moment of sending (`sent_us`), and times their acknowledgements."""
    report = Report(is_json=is_json)
    devices = _load_devices(connections, "latency", anonymous, api, key, key_file, ca_file, report)
    _steady(devices, mqtt, rate, duration, qos, version, report, is_stamped=True, is_json=is_json)


def _steady(
    devices: list[Credential],
    mqtt: str,
    per_s: float,
    duration: float,
    qos: int,
    version: str,
    report: Report,
    *,
    is_stamped: bool,
    is_json: bool,
) -> None:
    def told(state: SteadyState) -> None:
        if state.sent == 0:
            report.progress("connections", state.connected, len(devices))
        else:
            report.note(
                f"{state.connected:,} connected, {state.acknowledged:,} of {state.sent:,} acknowledged", is_final=False
            )

    spec = SteadySpec(*address(mqtt), devices, per_s, duration, mqtt_version(version), qos, is_stamped)
    result = run_until_stopped(run_steady(spec, told))
    if result is not None:
        _say_steady(result, is_json=is_json)


def _load_devices(
    count: int,
    prefix: str,
    is_anonymous: bool,
    api: str,
    key: str,
    key_file: Path | None,
    ca_file: Path | None,
    report: Report,
) -> list[Credential]:
    return _registered(enrolment.for_load(count, prefix), is_anonymous, api, key, key_file, ca_file, report)


def _registered(
    wanted: list[Registration],
    is_anonymous: bool,
    api: str,
    key: str,
    key_file: Path | None,
    ca_file: Path | None,
    report: Report,
) -> list[Credential]:
    """Credentials of devices that the gateway knows now."""
    if is_anonymous:
        return [Credential(device.id) for device in wanted]
    with api_client(api, key, key_file, ca_file) as client:
        return enrolment.enrol_devices(client, wanted, {}, report.progress)[0]


def _say_load(result: LoadResult, *, is_json: bool) -> None:
    if is_json:
        print(_as_json(result))
    else:
        print(
            f"{result.acknowledged_per_s:,.0f} messages/s acknowledged (median of {len(result.samples_per_s)} "
            f"samples); {result.acknowledged:,} of {result.sent:,} in {result.seconds:.1f} s over "
            f"{result.connections:,} connections with {result.window} in flight; a chunk of {result.chunk} took "
            f"{result.chunk_ms_p50:.2f} ms (p99 {result.chunk_ms_p99:.2f}); the generator used "
            f"{result.cpu_share:.0%} of a core"
        )
    _check_losses(result.lost_connections, result.refused, result.trouble)


def _say_steady(result: SteadyResult, *, is_json: bool) -> None:
    if is_json:
        print(_as_json(result))
    else:
        print(
            f"{result.acknowledged:,} of {result.sent:,} messages acknowledged over {result.connections:,} "
            f"connections in {result.seconds:.1f} s; acknowledgement p50 {result.ack_ms_p50:.2f} ms, p99 "
            f"{result.ack_ms_p99:.2f} ms, at most {result.ack_ms_max:.2f} ms; {result.held_back} held back; "
            f"the sender used {result.cpu_share:.1%} of a core"
        )
    _check_losses(result.lost_connections, result.refused, result.trouble)


def _as_json(result: LoadResult | SteadyResult) -> str:
    """One line; a time of which there was no measurement is null, since JSON knows no NaN."""
    fields = asdict(result)
    return json.dumps({name: None if value != value else value for name, value in fields.items()})


def _check_losses(lost: int, refused: int, trouble: str) -> None:
    if lost:
        raise SimError(f"{lost} connections were lost: {trouble}")
    if refused:
        raise SimError(f"{refused} messages were refused")
