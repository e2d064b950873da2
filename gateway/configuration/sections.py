"""The sections of the configuration: every key with its type, default, bounds and meaning.

A field's description is its documentation: docs/configuration.md is made from it. gateway.configuration.layers
reads the values.
"""

import re
from pathlib import Path
from typing import Annotated, Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    model_validator,
)

from devices.mqtt.topics import filter_fault

KIB = 1024
MIB = 1024 * KIB
GIB = 1024 * MIB
DAY_S = 86_400

_SIZE = re.compile(r"(\d{1,15})\s*(|B|KiB|MiB|GiB|kB|MB|GB)", re.ASCII)
_UNITS = {"": 1, "B": 1, "KiB": KIB, "MiB": MIB, "GiB": GIB, "kB": 10**3, "MB": 10**6, "GB": 10**9}


def _size(value: object) -> object:
    if not isinstance(value, str):
        return value
    match = _SIZE.fullmatch(value.strip())
    if match is None:
        raise ValueError("a size is a number of bytes, or a number with its unit: 67108864, 64 MiB, 1 GB")
    return int(match[1]) * _UNITS[match[2]]


def _timezone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError("a time zone has its IANA name: Europe/Vienna, America/Bogota, UTC") from error
    return value


def _topic_filter(value: str) -> str:
    if (fault := filter_fault(value)) is not None:
        raise ValueError(fault)
    return value


def _nothing_if_empty(value: object) -> object:
    return None if value == "" else value


Bytes = Annotated[int, BeforeValidator(_size)]
Port = Annotated[int, Field(ge=1, le=65_535)]
Host = Annotated[str, Field(min_length=1, max_length=253)]
FilePath = Annotated[Path | None, BeforeValidator(_nothing_if_empty)]
Timezone = Annotated[Annotated[str, AfterValidator(_timezone)] | None, BeforeValidator(_nothing_if_empty)]
TopicFilter = Annotated[str, AfterValidator(_topic_filter)]
TopicFilters = Annotated[tuple[TopicFilter, ...], Field(max_length=1_000)]


class Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, hide_input_in_errors=True)


class _TlsDoor(Section):
    enabled: bool = True
    host: Host = Field(default="0.0.0.0", description="Address to listen on")  # noqa: S104 - a gateway serves its LAN
    port: Port
    certificate: FilePath = Field(
        default=None,
        description="PEM file of the server's certificate and its chain; none: one signed by the school's CA",
    )
    key: FilePath = Field(default=None, description="PEM file of the certificate's private key")

    @model_validator(mode="after")
    def _has_both(self) -> Self:
        if (self.certificate is None) != (self.key is None):
            raise ValueError("certificate and key belong together: set both, or neither for the school's own")
        return self


class Node(Section):
    name: str = Field(
        default="schoolgate",
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$",
        description="What this gateway calls itself in status, logs and its certificate",
    )
    data: Path = Field(
        default=Path("data"),
        description="Directory of everything the gateway keeps; the flag --data sets it too",
    )


class School(Section):
    name: str = Field(
        default="", max_length=200, description="The school's name as people read it; empty: the node's name"
    )
    timezone: Timezone = Field(
        default=None, description="IANA time zone that the school's days begin in; none: where the reader sits"
    )


class Store(Section):
    queue_bytes: Bytes = Field(
        default=64 * MIB,
        ge=MIB,
        le=64 * GIB,
        description="What may wait for a commit, in memory; at the cap the doors slow their peers down",
    )
    cache_bytes: Bytes = Field(default=32 * MIB, ge=MIB, le=64 * GIB, description="Page cache of the database's writer")
    raw_days: int = Field(default=400, ge=1, le=36_500, description="Days that single readings are kept")
    roll_up_1m_days: int = Field(
        default=1_100, ge=1, le=36_500, description="Days that one-minute roll-ups are kept; hourly ones stay"
    )
    audit_days: int = Field(default=400, ge=1, le=36_500, description="Days that audit rows and ended alerts are kept")
    dead_letter_bytes: Bytes = Field(
        default=64 * MIB,
        ge=0,
        le=64 * GIB,
        description="Payload bytes kept of frames that could not be decoded; the oldest go first",
    )
    kept_frame_bytes: Bytes = Field(
        default=64 * MIB,
        ge=0,
        le=64 * GIB,
        description="Payload bytes kept of devices that are seen but not adopted; the oldest go first",
    )


class Mqtt(Section):
    enabled: bool = Field(default=True, description="Listen for MQTT without TLS")
    host: Host = Field(default="0.0.0.0", description="Address to listen on")  # noqa: S104 - a gateway serves its LAN
    port: Port = Field(default=1883, description="TCP port to listen on")
    anonymous_topics: TopicFilters = Field(
        default=(),
        description="What a client without credentials may publish and subscribe; none: it may not connect",
    )
    max_packet_bytes: Bytes = Field(
        default=MIB, ge=KIB, le=256 * MIB, description="Largest packet accepted from a client"
    )
    receive_max: int = Field(
        default=1_024,
        ge=1,
        le=65_535,
        description="Unacknowledged QoS 1 and 2 messages a client may have on the way in",
    )
    max_inflight: int = Field(
        default=256,
        ge=1,
        le=65_535,
        description="Unacknowledged QoS 1 and 2 messages on the way out to one client",
    )
    topic_alias_max: int = Field(default=64, ge=0, le=65_535, description="Topic aliases a client may set")
    max_connections: int = Field(
        default=10_000, ge=1, le=1_000_000, description="Open connections, MQTT and MQTTS together"
    )
    connect_timeout_s: float = Field(
        default=10.0, gt=0, le=600, description="Time a new connection has to send its CONNECT"
    )
    max_keep_alive_s: int = Field(
        default=3_600,
        ge=1,
        le=65_535,
        description="Longest keep-alive; an MQTT 5 client that asks for more, or for none, is given this one",
    )
    slow_consumer_s: float = Field(
        default=10.0,
        gt=0,
        le=3_600,
        description="Time a client may leave its socket unread before it is disconnected",
    )
    session_expiry_max_s: int = Field(
        default=30 * DAY_S,
        ge=0,
        le=4_294_967_294,
        description="Longest life of a session without a connection",
    )
    queue_bytes: Bytes = Field(
        default=16 * MIB,
        ge=KIB,
        le=64 * GIB,
        description="What may wait for one session; beyond it the oldest go",
    )
    queue_total_bytes: Bytes = Field(
        default=256 * MIB, ge=KIB, le=64 * GIB, description="What may wait for all sessions together"
    )
    retained_bytes: Bytes = Field(
        default=256 * MIB, ge=KIB, le=64 * GIB, description="Size of all retained messages together"
    )


class Mqtts(_TlsDoor):
    enabled: bool = Field(default=True, description="Listen for MQTT over TLS")
    port: Port = Field(default=8883, description="TCP port to listen on")
    require_client_certificate: bool = Field(
        default=False, description="Refuse clients that show no certificate of the school's CA"
    )


class Http(Section):
    enabled: bool = Field(default=True, description="Serve the API and the console without TLS")
    host: Host = Field(default="0.0.0.0", description="Address to listen on")  # noqa: S104 - a gateway serves its LAN
    port: Port = Field(default=8080, description="TCP port to listen on")


class Https(_TlsDoor):
    enabled: bool = Field(default=True, description="Serve the API and the console over TLS")
    port: Port = Field(default=8443, description="TCP port to listen on")


class Bridge(Section):
    enabled: bool = Field(default=False, description="Take messages from a broker that the school already runs")
    host: str = Field(default="", max_length=253, description="The broker's address")
    port: Port = Field(default=1883, description="The broker's TCP port")
    username: str = Field(default="", max_length=65_535, description="User name to sign in with; empty: none")
    password: SecretStr = Field(default=SecretStr(""), description="Password to sign in with")
    client_id: str = Field(
        default="schoolgate",
        min_length=1,
        max_length=65_535,
        description="Client id of the persistent session; no other client of the broker may use it",
    )
    tls: bool = Field(default=False, description="Use TLS towards the broker")
    ca_file: FilePath = Field(
        default=None,
        description="PEM file of the CA that signed the broker's certificate; none: the system's",
    )
    subscribe: TopicFilters = Field(
        default=("sg/+/telemetry", "sg/+/tap", "sg/+/status", "sg/+/cmd/+/ack"),
        description="Topic filters to take in",
    )
    receive_max: int = Field(
        default=1_000, ge=1, le=65_535, description="Messages the broker may send before one is acknowledged"
    )
    session_expiry_s: int = Field(
        default=7 * DAY_S, ge=0, le=4_294_967_294, description="Time the broker is asked to keep the session"
    )
    canary_s: float = Field(
        default=30.0,
        gt=0,
        le=3_600,
        description="Interval of the message to itself that proves the bridge not deaf",
    )

    @model_validator(mode="after")
    def _is_complete(self) -> Self:
        if self.enabled and not self.host:
            raise ValueError("an enabled bridge needs the host of its broker")
        if self.enabled and not self.subscribe:
            raise ValueError("an enabled bridge needs a topic filter to subscribe to")
        return self


class Alerts(Section):
    stale_after_s: float = Field(
        default=600.0,
        gt=0,
        le=30 * DAY_S,
        description="Without a reading for this long a threshold alert is unknown: not firing, not resolved",
    )


class Privacy(Section):
    card_key_file: FilePath = Field(
        default=None, description="File of the key that card numbers are digested with; none: DATA/card.key"
    )
    tap_days: int = Field(default=400, ge=1, le=36_500, description="Days that taps are kept")


class Log(Section):
    level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="Least severe event that is logged"
    )
    format: Literal["text", "json"] = Field(default="text", description="Lines for people, or one JSON object a line")


class Configuration(Section):
    """The whole tree; each part of the gateway gets its own section."""

    node: Node = Field(default=Node(), description="This gateway")
    school: School = Field(default=School(), description="The school")
    store: Store = Field(default=Store(), description="The database and how long it keeps what")
    mqtt: Mqtt = Field(default=Mqtt(), description="The MQTT door; its limits hold for MQTTS too")
    mqtts: Mqtts = Field(default=Mqtts(), description="The MQTT door over TLS")
    http: Http = Field(default=Http(), description="The API and the console")
    https: Https = Field(default=Https(), description="The API and the console over TLS")
    bridge: Bridge = Field(default=Bridge(), description="The bridge to a broker that the school already runs")
    alerts: Alerts = Field(default=Alerts(), description="Alerts")
    privacy: Privacy = Field(default=Privacy(), description="What is kept about people")
    log: Log = Field(default=Log(), description="The log, on standard error")

    @model_validator(mode="after")
    def _has_a_port_for_each_door(self) -> Self:
        taken: dict[int, str] = {}
        for name, door in (
            ("mqtt", self.mqtt),
            ("mqtts", self.mqtts),
            ("http", self.http),
            ("https", self.https),
        ):
            if door.enabled and (other := taken.setdefault(door.port, name)) != name:
                raise ValueError(f"{other}.port and {name}.port are both {door.port}: give each door its own")
        return self
