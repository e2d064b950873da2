"""paho-mqtt clients that wait for what must come, in both protocol versions."""

import queue
import socket
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from paho.mqtt.client import ConnectFlags, DisconnectFlags, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from tests.patient_client import PatientClient

V311, V5 = MQTTProtocolVersion.MQTTv311, MQTTProtocolVersion.MQTTv5
WITHIN_S = 120.0


@dataclass(frozen=True)
class ConnAck:
    """What CONNACK said."""

    is_present: bool
    reason: ReasonCode
    properties: Properties | None


def properties(kind: int, **values: object) -> Properties:
    """Returns MQTT 5 properties, named as paho names them."""
    made = Properties(kind)
    for name, value in values.items():
        for one in value if isinstance(value, list) else [value]:
            setattr(made, name, one)
    return made


def publish_properties(**values: object) -> Properties:
    return properties(PacketTypes.PUBLISH, **values)


class PahoClient:
    """One client with a network thread of its own. It does not reconnect. As a context manager it connects, and says
    good-bye in the end; `cut` leaves without."""

    def __init__(
        self,
        port: int,
        client_id: str,
        version: MQTTProtocolVersion = V5,
        *,
        clean: bool = True,
        expiry_s: int = 0,
        user: tuple[str, str] | None = None,
        will: tuple[str, bytes, int, bool] | None = None,
        will_properties: Properties | None = None,
        manual_ack: bool = False,
        keep_alive: int = 60,
        **connect: object,
    ) -> None:
        self.version = version
        self._port = port
        self._keep_alive = keep_alive
        self._clean = clean
        self._connect = {"SessionExpiryInterval": expiry_s, **connect} if expiry_s else connect
        session = {"clean_session": clean} if version is V311 else {}
        self.client = client = PatientClient(
            CallbackAPIVersion.VERSION2,
            client_id,
            protocol=version,
            manual_ack=manual_ack,
            reconnect_on_failure=False,
            **session,  # type: ignore[arg-type]
        )
        if user is not None:
            client.username_pw_set(*user)
        if will is not None:
            topic, payload, qos, retain = will
            client.will_set(topic, payload, qos, retain, will_properties)
        self._connacks: queue.Queue[ConnAck] = queue.Queue()
        self._subacks: queue.Queue[list[int]] = queue.Queue()
        self._unsubacks: queue.Queue[list[int]] = queue.Queue()
        self._pubacks: queue.Queue[tuple[int, int]] = queue.Queue()
        self._ends: queue.Queue[ReasonCode] = queue.Queue()
        self._messages: queue.Queue[MQTTMessage] = queue.Queue()
        client.on_connect = self._on_connect
        client.on_subscribe = self._on_subscribe
        client.on_unsubscribe = self._on_unsubscribe
        client.on_publish = self._on_publish
        client.on_disconnect = self._on_disconnect
        client.on_message = lambda _client, _data, message: self._messages.put(message)

    def _on_connect(
        self, _client: PatientClient, _data: object, flags: ConnectFlags, reason: ReasonCode, told: Properties | None
    ) -> None:
        self._connacks.put(ConnAck(flags.session_present, reason, told))

    def _on_subscribe(
        self, _client: PatientClient, _data: object, _id: int, reasons: list[ReasonCode], _told: Properties | None
    ) -> None:
        self._subacks.put([reason.value for reason in reasons])

    def _on_unsubscribe(
        self, _client: PatientClient, _data: object, _id: int, reasons: list[ReasonCode], _told: Properties | None
    ) -> None:
        self._unsubacks.put([reason.value for reason in reasons])

    def _on_publish(
        self, _client: PatientClient, _data: object, packet_id: int, reason: ReasonCode, _told: Properties | None
    ) -> None:
        self._pubacks.put((packet_id, reason.value))

    def _on_disconnect(
        self,
        _client: PatientClient,
        _data: object,
        _flags: DisconnectFlags,
        reason: ReasonCode,
        _told: Properties | None,
    ) -> None:
        self._ends.put(reason)

    def refusal(self) -> int:
        """Connects, which is refused, and returns the reason code."""
        reason = self.connect().reason.value
        self.end()
        self.close()
        return reason

    def come_back_by_itself(self) -> None:
        """Reconnects after a second whenever the connection has ended, until `disconnect`."""
        self.client._reconnect_on_failure = True
        self.client.reconnect_delay_set(1, 1)

    def connect(self) -> ConnAck:
        """Connects and returns what CONNACK says, be it a refusal."""
        more: dict[str, object] = {}
        if self.version is V5:
            more = {"clean_start": self._clean, "properties": properties(PacketTypes.CONNECT, **self._connect)}
        self.client.connect("127.0.0.1", self._port, self._keep_alive, **more)  # type: ignore[arg-type]
        self.client.loop_start()
        return self._connacks.get(timeout=WITHIN_S)

    def subscribe(
        self, *filters: str, qos: int = 2, subscription_id: int | None = None, **options: object
    ) -> list[int]:
        """Subscribes and returns the reason codes. `options`: those of version 5, as paho names them."""
        if self.version is V5:
            told = properties(PacketTypes.SUBSCRIBE)
            if subscription_id is not None:
                told.SubscriptionIdentifier = subscription_id
            entries = [(name, SubscribeOptions(qos, **options)) for name in filters]  # type: ignore[arg-type]
            self.client.subscribe(entries, properties=told)
        else:
            self.client.subscribe([(name, qos) for name in filters])
        return self._subacks.get(timeout=WITHIN_S)

    def unsubscribe(self, *filters: str) -> list[int]:
        self.client.unsubscribe(list(filters))
        return self._unsubacks.get(timeout=WITHIN_S)

    def publish(
        self, topic: str, payload: bytes = b"x", qos: int = 1, *, retain: bool = False, told: Properties | None = None
    ) -> int:
        """Publishes, waits until the message is acknowledged, and returns the reason code; 0 with QoS 0."""
        packet_id = self.client.publish(topic, payload, qos, retain, told).mid
        while True:
            acknowledged, reason = self._pubacks.get(timeout=WITHIN_S)
            if acknowledged == packet_id:
                return reason

    def next(self) -> MQTTMessage:
        """Returns the next message that comes."""
        return self._messages.get(timeout=WITHIN_S)

    def take(self, count: int) -> list[MQTTMessage]:
        return [self.next() for _ in range(count)]

    def until(self, last: bytes) -> list[MQTTMessage]:
        """Returns the messages that come before one with this payload, so what does not come is known too."""
        messages = []
        while (message := self.next()).payload != last:
            messages.append(message)
        return messages

    def end(self) -> ReasonCode:
        """Waits until the connection has ended and returns why."""
        return self._ends.get(timeout=WITHIN_S)

    def disconnect(self, *, reason: int | None = None, expiry_s: int | None = None) -> None:
        """Says good-bye, in version 5 with a reason or another expiry."""
        code = told = None
        if reason is not None:
            code = ReasonCode(PacketTypes.DISCONNECT, identifier=reason)
        if expiry_s is not None:
            told = properties(PacketTypes.DISCONNECT, SessionExpiryInterval=expiry_s)
        self.client._reconnect_on_failure = False
        self.client.disconnect(code, told)
        while self.client.is_connected():
            self.end()
        self.close()

    def cut(self) -> None:
        """Ends the connection as a broken line does."""
        sock = self.client.socket()
        if sock is not None:
            sock.shutdown(socket.SHUT_RDWR)
            self.end()
        self.close()

    def close(self) -> None:
        """Ends the network thread and lets go of the sockets; after the connection has ended."""
        client = self.client
        client.loop_stop()
        client.on_connect = client.on_subscribe = client.on_unsubscribe = None
        client.on_publish = client.on_disconnect = client.on_message = None

    def __enter__(self) -> Self:
        connack = self.connect()
        assert connack.reason == 0, connack
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.client.is_connected():
            self.disconnect()
        else:
            self.close()
