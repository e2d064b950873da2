"""What a CONNECT is answered: who the client is, and on which terms it is served (MQTT 5.0 §3.1.4). No I/O.

CONNECT ──▶ sign in ──▶ client id ──▶ will ──▶ Accepted
               └───────────┴───────────┴─────▶ Refused
"""

import secrets
from dataclasses import dataclass, replace
from typing import Protocol

from mqtt5 import ConnAckPacket, ConnAckReasonCode, ConnectPacket

from devices.mqtt.codec.codec import Version, encode
from devices.mqtt.server.access import Principal
from devices.mqtt.server.limits import Limits
from devices.mqtt.server.message import is_declared_right
from devices.mqtt.server.will import WillMessage
from devices.mqtt.topics import is_too_deep

MAX_CLIENT_ID = 256
UNLIMITED = 1 << 31
UNTOLD_RECEIVE_MAX = 65_535
ALL_MAXIMA = 3
"""Of the door itself: maximum packet size, receive maximum, topic alias maximum."""

SIGN_IN_FAILED = "sign_in_failed"


class SignIn(Protocol):
    """Decides who a client is."""

    def __call__(self, username: str | None, password: bytes | None) -> Principal | None:
        """Returns what the client may do, None if it may not connect."""


@dataclass(frozen=True, slots=True)
class Refused:
    """Why a client may not connect. `reason`: for CONNACK, None where the connection closes without one. `principal`:
    who it is, where that is known. `action`, `detail`: for the audit log, None where nothing was asked for that it has
    no right to."""

    reason: ConnAckReasonCode | None
    principal: Principal | None = None
    action: str | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Accepted:
    """Who a client is, and what holds on its connection. `server_keep_alive_s` and `told_expiry_s` are None where the
    client has what it asked for. Maxima: `receive_max` of messages that the client may leave unacknowledged,
    `send_max` of those to it, `alias_max` of topic aliases to it, `packet_max` in bytes of a packet to it.
    `is_will_dropped`: the client gave a will that is not kept, see `bridge_state`. `told_maxima`: how many of the
    door's own maxima CONNACK names."""

    principal: Principal
    will: WillMessage | None
    client_id: str
    is_id_assigned: bool
    is_clean: bool
    expiry_s: int
    told_expiry_s: int | None
    keep_alive_s: int
    server_keep_alive_s: int | None
    receive_max: int
    send_max: int
    alias_max: int
    packet_max: int | None
    is_will_dropped: bool = False
    told_maxima: int = ALL_MAXIMA

    @property
    def session_key(self) -> str:
        """Names the session: another user's client of the same id has another one."""
        return f"{self.principal.device_id or ''}\x1f{self.client_id}"

    def connack(self, limits: Limits, *, is_present: bool) -> ConnAckPacket:
        """Returns the CONNACK; `is_present`: the session goes on.

        What it must say comes first ([MQTT-3.2.2-16], [MQTT-3.2.2-22], §3.2.2.3.2), then of the door's own maxima those
        that the client misses most.
        """
        told = self.told_maxima
        return ConnAckPacket(
            session_present=is_present,
            assigned_client_id=self.client_id if self.is_id_assigned else None,
            server_keep_alive=self.server_keep_alive_s,
            session_expiry_interval=self.told_expiry_s,
            max_packet_size=limits.max_packet_bytes if told >= 1 else None,
            receive_max=limits.receive_max if told >= 2 else UNTOLD_RECEIVE_MAX,
            topic_alias_max=limits.topic_alias_max if told >= ALL_MAXIMA else 0,
        )

    def fitting(self, limits: Limits) -> "Accepted | None":
        """Returns terms whose CONNACK the client accepts, None if it is too large without any of the door's maxima.

        "The Server MUST NOT send packets exceeding Maximum Packet Size to the Client" [MQTT-3.1.2-24]. A receive
        maximum that the client is not told is the protocol's own, 65,535 (§3.2.2.3.3).
        """
        if self.packet_max is None:
            return self
        for told in range(ALL_MAXIMA, -1, -1):
            receive_max = self.receive_max if told >= 2 else UNTOLD_RECEIVE_MAX
            terms = replace(self, told_maxima=told, receive_max=receive_max)
            if len(encode(terms.connack(limits, is_present=False), Version.V5)) <= self.packet_max:
                return terms
        return None


def answer(packet: ConnectPacket, version: Version, sign_in: SignIn, limits: Limits) -> Accepted | Refused:
    """Returns what the client is told: the first reason not to serve it, or the terms."""
    if packet.authentication_method is not None:
        return Refused(ConnAckReasonCode.BAD_AUTHENTICATION_METHOD)
    principal = sign_in(packet.username, packet.password)
    if principal is None:
        return _failed_sign_in(packet.username)
    client_id = packet.client_id
    if len(client_id) > MAX_CLIENT_ID or (
        not client_id and version is Version.V311 and not packet.clean_start  # [MQTT-3.1.3-8] of 3.1.1
    ):
        return Refused(ConnAckReasonCode.CLIENT_ID_NOT_VALID, principal)
    given = packet.will
    # Not kept, but no reason to refuse a bridge for ever: it gives this will by itself.
    is_will_dropped = (
        given is not None
        and principal.device_id is not None
        and given.topic == bridge_state(client_id)
        and not principal.may_publish(given.topic)
    )
    will = WillMessage.of(given, principal.device_id) if given is not None and not is_will_dropped else None
    if will is not None and is_too_deep(will.topic):
        return Refused(ConnAckReasonCode.TOPIC_NAME_INVALID, principal, "will_refused", will.topic)
    if will is not None and not principal.may_publish(will.topic):
        return Refused(ConnAckReasonCode.NOT_AUTHORIZED, principal, "will_refused", will.topic)
    if will is not None and not is_declared_right(will.properties.payload_format_indicator, will.payload):
        return Refused(ConnAckReasonCode.PAYLOAD_FORMAT_INVALID, principal)
    accepted = replace(_accept(packet, version, principal, will, limits), is_will_dropped=is_will_dropped)
    terms = accepted.fitting(limits)
    return terms if terms is not None else Refused(None, principal)


def bridge_state(client_id: str) -> str:
    """Returns where a Mosquitto that is connected as a bridge says whether it is, retained and as its will (its option
    `notifications`, on by default)."""
    return f"$SYS/broker/connection/{client_id}/state"


def _failed_sign_in(username: str | None) -> Refused:
    is_nameless = username is None
    reason = ConnAckReasonCode.NOT_AUTHORIZED if is_nameless else ConnAckReasonCode.BAD_USER_NAME_OR_PASSWORD
    return Refused(reason, None, SIGN_IN_FAILED, username or "")


def _accept(
    packet: ConnectPacket, version: Version, principal: Principal, will: WillMessage | None, limits: Limits
) -> Accepted:
    is_v5 = version is Version.V5
    expiry_s = min(packet.session_expiry_interval, limits.session_expiry_max_s)
    keep_alive_s = packet.keep_alive
    is_overruled = is_v5 and (keep_alive_s == 0 or keep_alive_s > limits.max_keep_alive_s)
    return Accepted(
        principal,
        will,
        client_id=packet.client_id or f"auto-{secrets.token_hex(12)}",
        is_id_assigned=not packet.client_id,
        is_clean=packet.clean_start,
        expiry_s=expiry_s,
        told_expiry_s=expiry_s if expiry_s != packet.session_expiry_interval else None,
        keep_alive_s=limits.max_keep_alive_s if is_overruled else keep_alive_s,
        server_keep_alive_s=limits.max_keep_alive_s if is_overruled else None,
        # 3.1.1 has no word for these: its client may send at will, and takes what it is sent.
        receive_max=limits.receive_max if is_v5 else UNLIMITED,
        send_max=min(packet.receive_max, limits.max_inflight) if is_v5 else limits.max_inflight,
        alias_max=min(packet.topic_alias_max, limits.topic_alias_max) if is_v5 else 0,
        packet_max=packet.max_packet_size if is_v5 else None,
    )
