"""The MQTT door without sockets: real connections, broker and journal on a real SQLite database, and a disk that
commits when the test says so. Clients speak bytes; what they send and get is written as packets of `mqtt5`."""

from collections.abc import Callable
from typing import TypeAlias, TypeVar

import mqtt5
from mqtt5 import (
    ConnAckPacket,
    ConnAckReasonCode,
    ConnectPacket,
    DisconnectPacket,
    PingReqPacket,
    PubAckPacket,
    PubCompPacket,
    PublishPacket,
    PubRecPacket,
    PubRelPacket,
    QoS,
    SubAckPacket,
    SubAckReasonCode,
    SubscribePacket,
    TopicFilter,
    UnsubAckPacket,
    UnsubscribePacket,
    Will,
)
from sqlalchemy import Engine, create_engine
from sqlalchemy.pool import StaticPool

from devices.frame import Frame, Intake, Presence, Refusal
from devices.mqtt.codec.codec import Version
from devices.mqtt.server import journal
from devices.mqtt.server.access import Principal
from devices.mqtt.server.broker import Broker
from devices.mqtt.server.connection import Connection
from devices.mqtt.server.limits import Limits
from devices.mqtt.server.tables import metadata
from foundation.stored import Skipped
from gateway.ingest.statements import driver_text

P = TypeVar("P")
Packet: TypeAlias = (
    ConnectPacket
    | PublishPacket
    | PubAckPacket
    | PubRecPacket
    | PubRelPacket
    | PubCompPacket
    | SubscribePacket
    | UnsubscribePacket
    | PingReqPacket
    | DisconnectPacket
    | mqtt5.AuthPacket
)

EVERYTHING = Principal(None, ("#",), ("#",))
START_US = 1_700_000_000_000_000


class Disk:
    """The sink: what is submitted waits for `commit`, which writes the journal to tables and calls back."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._statements = {name: driver_text(text, engine.dialect) for name, text in journal.STATEMENTS.items()}
        self.waiting: list[Intake] = []
        self.frames: list[Frame] = []
        self.events: list[Presence | Refusal] = []
        self.is_prompt = True
        self.is_full = False

    def submit(self, intake: Intake) -> None:
        self.waiting.append(intake)

    def on_room(self, call: Callable[[], None]) -> bool:
        return not self.is_full

    def commit(self) -> None:
        """Commits everything, also what the callbacks submit."""
        while self.waiting:
            group, self.waiting = self.waiting, []
            with self._engine.begin() as connection:
                for intake in group:
                    for entry in intake.journal:
                        connection.exec_driver_sql(self._statements[entry.statement], entry.parameters)
            for intake in group:
                self.frames += intake.frames
                self.events += intake.events
                intake.done()


class World:
    """A broker with its disk and its clock. `limits` are those of `Limits`; the wills of clients that were connected
    at a crash come a second after it."""

    def __init__(self, **limits: int) -> None:
        engine = create_engine("sqlite://", poolclass=StaticPool)
        metadata.create_all(engine)
        self.engine = engine
        self.limits = Limits(**limits)
        self.now_us = START_US
        self.disk = Disk(engine)
        self.broker = self._new_broker()

    def _new_broker(self) -> Broker:
        return Broker(self.disk, self.limits, lambda: self.now_us, lambda: self.now_us)

    def commit(self) -> None:
        self.disk.commit()

    def crash(self, down_s: float = 0) -> None:
        """`kill -9` and a start on what was committed."""
        self.disk.waiting.clear()
        self.now_us += round(down_s * 1_000_000)
        self.broker = self._new_broker()
        with self.engine.connect() as connection:
            self.broker.restore(
                journal.load_sessions(connection, self.now_us, Skipped()),
                journal.load_retained(connection, self.now_us, Skipped()),
                journal.load_wills(connection, Skipped()),
                self.now_us + 1_000_000,
            )

    def later(self, seconds: float) -> None:
        """Lets the time pass, and sweeps once after it."""
        self.now_us += round(seconds * 1_000_000)
        self.broker.expire(self.now_us)
        if self.disk.is_prompt:
            self.commit()

    def count(self, table: str) -> int:
        with self.engine.connect() as connection:
            return int(connection.exec_driver_sql(f"select count(*) from {table}").scalar_one())


class Client:
    """One client's socket. Nothing is acknowledged by itself but by `answer`."""

    def __init__(self, world: World, version: Version = Version.V5, principal: Principal | None = EVERYTHING) -> None:
        self.world = world
        self.version = version
        self.pauses = 0
        self.connack: ConnAckPacket
        self.connection = Connection(
            world.broker, lambda user, secret: principal, "192.0.2.7", lambda: None, self._on_wait
        )

    def _on_wait(self) -> Callable[[], None]:
        self.pauses += 1

        def go_on() -> None:
            self.pauses -= 1

        return go_on

    @property
    def is_closed(self) -> bool:
        return self.connection.is_closing

    def send(self, *packets: Packet | bytes) -> None:
        """Sends the packets in one piece; a prompt disk commits at once."""
        data = b"".join(packet if isinstance(packet, bytes) else self._write(packet) for packet in packets)
        self.connection.receive(data, self.world.now_us)
        if self.world.disk.is_prompt:
            self.world.commit()

    def got(self) -> list[object]:
        """Takes the packets that came since the last call."""
        data = self.connection.data_to_send()
        self.connection.pump()  # as the shell does after each write
        packets: list[object] = []
        while data:
            packet, size = self._read(data)
            packets.append(packet)
            data = data[size:]
        return packets

    def all(self, kind: type[P]) -> list[P]:
        """Takes what came and returns the packets of one kind."""
        return [packet for packet in self.got() if isinstance(packet, kind)]

    def one(self, kind: type[P]) -> P:
        """Takes what came: a single packet, of this kind."""
        packets = self.got()
        assert len(packets) == 1, packets
        assert isinstance(packets[0], kind), packets
        return packets[0]

    def drop(self) -> None:
        """The socket breaks."""
        self.connection.lost()
        if self.world.disk.is_prompt:
            self.world.commit()

    def hang_up(self, packet: DisconnectPacket | None = None) -> None:
        """DISCONNECT, and the socket closes."""
        self.send(packet or DisconnectPacket())
        self.drop()

    def subscribe(self, *filters: str, qos: int = 2, subscription_id: int | None = None) -> list[int]:
        """Subscribes and returns the reason codes; what else came is lost."""
        entries = [TopicFilter(entry, max_qos=QoS(qos), retain_as_published=False) for entry in filters]
        self.send(SubscribePacket(1, entries, subscription_id=subscription_id))
        (suback,) = self.all(SubAckPacket)
        return [code.value for code in suback.reason_codes]

    def answer(self) -> list[PublishPacket]:
        """Acknowledges whatever comes until nothing does; returns the messages, those of QoS 2 once a packet id."""
        messages: list[PublishPacket] = []
        known: set[int] = set()
        while packets := self.got():
            for packet in packets:
                if isinstance(packet, PublishPacket):
                    packet_id = packet.packet_id
                    if packet_id is None:
                        messages.append(packet)
                    elif packet.qos is QoS.AT_LEAST_ONCE:
                        messages.append(packet)
                        self.send(PubAckPacket(packet_id))
                    else:
                        if packet_id not in known:
                            known.add(packet_id)
                            messages.append(packet)
                        self.send(PubRecPacket(packet_id))
                elif isinstance(packet, PubRelPacket):
                    known.discard(packet.packet_id)
                    self.send(PubCompPacket(packet.packet_id))
        return messages

    def _write(self, packet: Packet) -> bytes:
        return packet.write() if self.version is Version.V5 else write_311(packet)

    def _read(self, data: bytes) -> tuple[object, int]:
        return mqtt5.read(memoryview(data)) if self.version is Version.V5 else read_311(data)


def connected(
    world: World,
    client_id: str = "c",
    version: Version = Version.V5,
    *,
    clean: bool = True,
    expiry_s: int = 0,
    principal: Principal | None = EVERYTHING,
    keep_alive: int = 60,
    will: Will | None = None,
    receive_max: int = 65_535,
    topic_alias_max: int = 0,
    max_packet_size: int | None = None,
) -> Client:
    """Returns a client whose CONNACK has come."""
    client = Client(world, version, principal)
    packet = ConnectPacket(
        client_id,
        clean_start=clean,
        session_expiry_interval=expiry_s,
        keep_alive=keep_alive,
        will=will,
        receive_max=receive_max,
        topic_alias_max=topic_alias_max,
        max_packet_size=max_packet_size,
    )
    client.send(packet)
    client.connack = first(client)
    return client


def first(client: Client) -> ConnAckPacket:
    """Takes the CONNACK, and leaves what came behind it."""
    data = client.connection.data_to_send()
    packet, size = client._read(data)
    assert isinstance(packet, ConnAckPacket), packet
    if data[size:]:
        client.connection.outflow.write(data[size:])
    return packet


def publish(
    topic: str, payload: bytes = b"x", qos: int = 0, packet_id: int | None = None, **more: object
) -> PublishPacket:
    """Returns a PUBLISH; `more` are its properties and flags."""
    return PublishPacket(topic, payload, qos=QoS(qos), packet_id=packet_id if qos else None, **more)  # type: ignore[arg-type]


# MQTT 3.1.1, written from its specification for the client's side.


def write_311(packet: Packet) -> bytes:
    """The packet as a 3.1.1 client writes it."""
    match packet:
        case ConnectPacket():
            will = packet.will
            flags = packet.clean_start << 1 | (packet.username is not None) << 7 | (packet.password is not None) << 6
            body = _text("MQTT") + b"\4"
            if will is not None:
                flags |= 4 | will.qos.value << 3 | will.retain << 5
            body += bytes((flags,)) + packet.keep_alive.to_bytes(2, "big") + _text(packet.client_id)
            if will is not None:
                body += _text(will.topic) + _binary(will.payload or b"")
            if packet.username is not None:
                body += _text(packet.username)
            if packet.password is not None:
                body += _binary(packet.password)
            return _packet(0x10, body)
        case PublishPacket():
            first_byte = 0x30 | packet.duplicate << 3 | packet.qos.value << 1 | packet.retain
            packet_id = packet.packet_id.to_bytes(2, "big") if packet.packet_id is not None else b""
            return _packet(first_byte, _text(packet.topic) + packet_id + packet.payload)
        case PubAckPacket():
            return _packet(0x40, packet.packet_id.to_bytes(2, "big"))
        case PubRecPacket():
            return _packet(0x50, packet.packet_id.to_bytes(2, "big"))
        case PubRelPacket():
            return _packet(0x62, packet.packet_id.to_bytes(2, "big"))
        case PubCompPacket():
            return _packet(0x70, packet.packet_id.to_bytes(2, "big"))
        case SubscribePacket():
            filters = b"".join(_text(entry.pattern) + bytes((entry.max_qos.value,)) for entry in packet.topic_filters)
            return _packet(0x82, packet.packet_id.to_bytes(2, "big") + filters)
        case UnsubscribePacket():
            return _packet(0xA2, packet.packet_id.to_bytes(2, "big") + b"".join(map(_text, packet.patterns)))
        case PingReqPacket():
            return b"\xc0\0"
        case DisconnectPacket():
            return b"\xe0\0"
        case _:
            raise AssertionError(f"3.1.1 has no {packet}")


def read_311(data: bytes) -> tuple[object, int]:
    """The first packet of what a 3.1.1 server sent, and its size."""
    length = shift = 0
    at = 1
    while True:
        byte = data[at]
        length |= (byte & 0x7F) << shift
        shift += 7
        at += 1
        if byte < 0x80:
            break
    body, end = data[at : at + length], at + length
    flags = data[0] & 0x0F
    packet_id = int.from_bytes(body[:2], "big")
    match data[0] >> 4:
        case 2:
            codes = {0: 0, 1: 132, 2: 133, 3: 136, 4: 134, 5: 135}
            return ConnAckPacket(session_present=bool(body[0]), reason_code=ConnAckReasonCode(codes[body[1]])), end
        case 3:
            size = 2 + packet_id
            qos = QoS(flags >> 1 & 3)
            topic = body[2:size].decode()
            identifier = int.from_bytes(body[size : size + 2], "big") if qos.value else None
            payload = body[size + 2 if qos.value else size :]
            return PublishPacket(
                topic, payload, qos=qos, packet_id=identifier, retain=bool(flags & 1), duplicate=bool(flags & 8)
            ), end
        case 4:
            return PubAckPacket(packet_id), end
        case 5:
            return PubRecPacket(packet_id), end
        case 6:
            return PubRelPacket(packet_id), end
        case 7:
            return PubCompPacket(packet_id), end
        case 9:
            return SubAckPacket(packet_id, [SubAckReasonCode(code) for code in body[2:]]), end
        case 11:
            return UnsubAckPacket(packet_id, []), end
        case 13:
            return mqtt5.PingRespPacket(), end
        case kind:
            raise AssertionError(f"a server sends no packet of kind {kind}")


def _packet(first_byte: int, body: bytes) -> bytes:
    length = bytearray()
    size = len(body)
    while size > 0x7F:
        length.append(size & 0x7F | 0x80)
        size >>= 7
    return bytes((first_byte, *length, size)) + body


def _binary(value: bytes) -> bytes:
    return len(value).to_bytes(2, "big") + value


def _text(value: str) -> bytes:
    return _binary(value.encode())
