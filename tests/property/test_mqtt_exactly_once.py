"""However connections and the gateway break, QoS 2 arrives once, QoS 1 at least once, and each in its order."""

from collections.abc import Callable

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from mqtt5 import PubAckPacket, PubCompPacket, PublishPacket, PubRecPacket, PubRelPacket, QoS

from devices.mqtt.codec.codec import Version
from tests.mqtt_world import Client, World, connected, publish

EXPIRY_S = 3600


class Sender:
    """A client's half of publishing: keeps a message until it is acknowledged, sends it again on each connection."""

    def __init__(self) -> None:
        self.client: Client | None = None
        self.unfinished: dict[int, PublishPacket | PubRelPacket] = {}
        self.next_number = 0
        self.sent: dict[int, QoS] = {}

    def publish(self, qos: int) -> None:
        number = self.next_number
        self.next_number += 1
        packet = publish(f"t/{qos}", b"%d" % number, qos, number % 0xFFFF + 1)
        self.sent[number] = packet.qos
        self.unfinished[number % 0xFFFF + 1] = packet
        if self.client is not None:
            self.client.send(packet)

    def connect(self, world: World, version: Version) -> None:
        self.client = connected(world, "sender", version, clean=False, expiry_s=EXPIRY_S)
        for packet in list(self.unfinished.values()):
            self.client.send(packet)

    def read(self) -> None:
        if self.client is None:
            return
        for packet in self.client.got():
            if isinstance(packet, PubAckPacket | PubCompPacket):
                self.unfinished.pop(packet.packet_id, None)
            elif isinstance(packet, PubRecPacket) and packet.packet_id in self.unfinished:
                release = self.unfinished[packet.packet_id] = PubRelPacket(packet.packet_id)
                self.client.send(release)


class Receiver:
    """A client's half of receiving: what it has of QoS 2 is known by its packet id until PUBREL."""

    def __init__(self) -> None:
        self.client: Client | None = None
        self.known: set[int] = set()
        self.got: list[tuple[str, int]] = []

    def connect(self, world: World, version: Version) -> None:
        self.client = connected(world, "receiver", version, clean=False, expiry_s=EXPIRY_S)
        if not self.client.connack.session_present:
            assert not self.got
            assert self.client.subscribe("t/#") == [2]

    def read(self, count: int) -> None:
        """Handles so many packets; the connection breaks before the others are read, if there are any more."""
        if self.client is None:
            return
        client, packets = self.client, self.client.got()
        for packet in packets[:count]:
            if isinstance(packet, PublishPacket):
                packet_id = packet.packet_id or 0
                if packet.qos is QoS.AT_LEAST_ONCE:
                    self.got.append((packet.topic, int(packet.payload)))
                    client.send(PubAckPacket(packet_id))
                else:
                    if packet_id not in self.known:
                        self.known.add(packet_id)
                        self.got.append((packet.topic, int(packet.payload)))
                    client.send(PubRecPacket(packet_id))
            elif isinstance(packet, PubRelPacket):
                self.known.discard(packet.packet_id)
                client.send(PubCompPacket(packet.packet_id))
        if len(packets) > count:
            client.drop()
            self.client = None


class Delivery(RuleBasedStateMachine):
    """Two clients, a gateway, and everything that breaks."""

    @initialize(version=st.sampled_from(Version), inflight=st.sampled_from([1, 2, 10]), prompt=st.booleans())
    def begin(self, version: Version, inflight: int, prompt: bool) -> None:
        self.version = version
        self.world = World(max_inflight=inflight)
        self.sender, self.receiver = Sender(), Receiver()
        self.sender.connect(self.world, version)
        self.receiver.connect(self.world, version)
        self.world.disk.is_prompt = prompt

    @rule(qos=st.sampled_from([1, 2, 2]))
    def publish(self, qos: int) -> None:
        self.sender.publish(qos)

    @rule()
    def commit(self) -> None:
        self.world.commit()

    @rule()
    def sender_reads(self) -> None:
        self.sender.read()

    @rule()
    def receiver_reads(self) -> None:
        self.receiver.read(1000)

    @rule(count=st.integers(0, 5))
    def receiver_breaks_while_it_reads(self, count: int) -> None:
        self.receiver.read(count)
        if self.receiver.client is None:
            self.receiver_comes_again(is_take_over=False)

    @rule(is_take_over=st.booleans())
    def sender_comes_again(self, is_take_over: bool) -> None:
        if self.sender.client is not None and not is_take_over:
            self.sender.client.drop()
        self._promptly(lambda: self.sender.connect(self.world, self.version))

    @rule(is_take_over=st.booleans())
    def receiver_comes_again(self, is_take_over: bool) -> None:
        if self.receiver.client is not None and not is_take_over:
            self.receiver.client.drop()
        self._promptly(lambda: self.receiver.connect(self.world, self.version))

    @rule()
    def crash(self) -> None:
        self.world.crash()
        self.sender.client = self.receiver.client = None
        self.sender_comes_again(is_take_over=False)
        self.receiver_comes_again(is_take_over=False)

    def _promptly(self, call: Callable[[], None]) -> None:
        prompt, self.world.disk.is_prompt = self.world.disk.is_prompt, True
        self.world.commit()
        call()
        self.world.disk.is_prompt = prompt

    @invariant()
    def what_came_is_in_order_and_of_qos_2_once(self) -> None:
        if not hasattr(self, "receiver"):
            return
        exactly = [number for topic, number in self.receiver.got if topic == "t/2"]
        assert exactly == sorted(set(exactly))
        at_least = [number for topic, number in self.receiver.got if topic == "t/1"]
        firsts = list(dict.fromkeys(at_least))
        assert firsts == sorted(firsts)

    def teardown(self) -> None:
        """In the end both connect and stay, and everything has arrived."""
        if not hasattr(self, "world"):
            return
        world, sender, receiver = self.world, self.sender, self.receiver
        world.disk.is_prompt = True
        world.commit()
        sender.connect(world, self.version)
        receiver.connect(world, self.version)
        for _ in range(200):
            sender.read()
            receiver.read(1000)
            if receiver.client is None:
                receiver.connect(world, self.version)
        assert not sender.unfinished
        assert {number for _, number in receiver.got} == set(sender.sent)
        self.what_came_is_in_order_and_of_qos_2_once()
        stored = [frame.payload for frame in world.disk.frames if sender.sent[int(frame.payload)] is QoS.EXACTLY_ONCE]
        assert len(stored) == len(set(stored))
        assert world.count("mqtt_queued") == world.count("mqtt_received") == 0


TestDelivery = Delivery.TestCase
TestDelivery.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)
