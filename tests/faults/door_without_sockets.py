"""The MQTT door without sockets: connections and a broker over a sink that keeps what it got in a list."""

from collections.abc import Callable

import mqtt5
from mqtt5 import ConnAckPacket, ConnectPacket, PubAckPacket, PublishPacket, QoS, SubAckPacket, SubscribePacket

from devices.frame import Frame, Intake
from devices.mqtt.server.access import Principal
from devices.mqtt.server.broker import Broker
from devices.mqtt.server.connection import Connection
from devices.mqtt.server.journal import STATEMENTS
from devices.mqtt.server.limits import Limits

EVERYTHING = Principal(None, ("#",), ("#",))
BYSTANDER = Principal("bystander", ("#",), ("#",))
START_US = 1_700_000_000_000_000
LIMITS = Limits(max_packet_bytes=4_096, receive_max=16, max_inflight=4, topic_alias_max=4, queue_bytes=8_192)


class ListSink:
    """Commits when it is told to. A journal entry that no statement could take is a mistake of the door's."""

    def __init__(self) -> None:
        self._waiting: list[Intake] = []
        self.frames: list[Frame] = []

    def submit(self, intake: Intake) -> None:
        """See `devices.frame.Sink`."""
        self._waiting.append(intake)

    def on_room(self, _call: Callable[[], None]) -> bool:
        """See `devices.frame.Sink`."""
        return True

    def commit(self) -> None:
        """Commits everything, also what the acknowledgements bring up."""
        while self._waiting:
            group, self._waiting = self._waiting, []
            for intake in group:
                for entry in intake.journal:
                    assert entry.statement in STATEMENTS
                self.frames += intake.frames
                intake.done()


class Line:
    """One client's end of a connection, without a socket."""

    def __init__(self, door: "SocketlessDoor", principal: Principal) -> None:
        self._door = door
        self.pauses = 0
        self.connection = Connection(
            door.broker, lambda _user, _secret: principal, "192.0.2.7", lambda: None, self._on_wait
        )

    def _on_wait(self) -> Callable[[], None]:
        self.pauses += 1

        def go_on() -> None:
            self.pauses -= 1

        return go_on

    def say(self, data: bytes) -> bytes:
        """Sends this, has it committed, and returns what came back; a connection that ends is taken down."""
        connection = self.connection
        connection.receive(data, self._door.now_us)
        self._door.sink.commit()
        answer = connection.data_to_send()
        if connection.is_closing:
            self.hang_up()
        else:
            connection.pump()
        return answer

    def hang_up(self) -> None:
        """The socket is gone."""
        self.connection.lost()
        self._door.sink.commit()


class SocketlessDoor:
    """A broker with one well-behaved client, the bystander, which hears everything of `quiet/#`."""

    def __init__(self) -> None:
        self.now_us = START_US
        self.sink = ListSink()
        self.broker = Broker(self.sink, LIMITS, lambda: self.now_us, lambda: self.now_us)
        self._bystander = Line(self, BYSTANDER)
        connect = ConnectPacket("bystander", session_expiry_interval=3_600).write()
        subscribe = SubscribePacket(1, [mqtt5.TopicFilter("quiet/#", max_qos=QoS.AT_LEAST_ONCE)]).write()
        kinds = [type(packet) for packet in read_all(self._bystander.say(connect + subscribe))]
        assert kinds == [ConnAckPacket, SubAckPacket]
        self._packet_id = 0

    def assert_bystander_is_served(self) -> None:
        """What it publishes is acknowledged and stored, and comes back to it, once and in its order."""
        self._packet_id += 1
        payload = b"quiet %d" % self._packet_id
        message = PublishPacket("quiet/please", payload, qos=QoS.AT_LEAST_ONCE, packet_id=self._packet_id).write()
        answers: list[object] = []
        said = message
        while data := self._bystander.say(said) + self._bystander.connection.data_to_send():
            fresh = read_all(data)
            answers += fresh
            said = b"".join(
                PubAckPacket(packet.packet_id).write()
                for packet in fresh
                if isinstance(packet, PublishPacket) and packet.packet_id is not None
            )
        assert not self._bystander.connection.is_closing
        acknowledged = [packet.packet_id for packet in answers if isinstance(packet, PubAckPacket)]
        assert acknowledged == [self._packet_id]
        came = [packet.payload for packet in answers if isinstance(packet, PublishPacket)]
        assert came.count(payload) == 1
        assert sum(frame.payload == payload and frame.device_id == "bystander" for frame in self.sink.frames) == 1

    def later(self, seconds: float) -> None:
        """Lets the time pass, and sweeps as the door does."""
        self.now_us += round(seconds * 1_000_000)
        self.broker.expire(self.now_us)
        self.sink.commit()


def read_all(data: bytes) -> list[object]:
    """Returns the MQTT 5 packets of what a server sent: whole ones, and nothing else."""
    packets: list[object] = []
    while data:
        packet, size = mqtt5.read(memoryview(data))
        packets.append(packet)
        data = data[size:]
    return packets


def assert_whole_packets(data: bytes) -> None:
    """What was sent, in either version, is headers with as many bytes behind them as they say (§2.1.4)."""
    at = 0
    while at < len(data):
        size = shift = 0
        at += 1
        while True:
            byte = data[at]
            at += 1
            size |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                break
        at += size
    assert at == len(data)
