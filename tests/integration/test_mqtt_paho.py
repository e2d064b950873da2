"""The MQTT door and paho-mqtt, in both versions of the protocol."""

from itertools import count
from pathlib import Path

import pytest
from paho.mqtt.client import MQTTMessage
from paho.mqtt.enums import MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes

from tests.gateway_process import GatewayProcess
from tests.integration.open_door import open_door
from tests.integration.paho_client import V5, V311, PahoClient, properties, publish_properties

both_versions = pytest.mark.parametrize("version", [V311, V5], ids=["v311", "v5"])
numbers = count(1)


@pytest.fixture
def topic() -> str:
    """A topic that no other test uses."""
    return f"paho/{next(numbers)}"


@both_versions
def test_every_qos_arrives_in_both_directions(door: GatewayProcess, topic: str, version: MQTTProtocolVersion) -> None:
    with PahoClient(door.mqtt_port, "one", version) as client:
        assert client.subscribe(f"{topic}/+", qos=2) == [2]
        for qos in (0, 1, 2):
            assert client.publish(f"{topic}/a", b"%d" % qos, qos) == 0
        messages = client.take(3)
    assert [(message.payload, message.qos, message.retain) for message in messages] == [
        (b"0", 0, False),
        (b"1", 1, False),
        (b"2", 2, False),
    ]


@both_versions
def test_a_thousand_messages_of_each_qos_keep_their_order(
    door: GatewayProcess, topic: str, version: MQTTProtocolVersion
) -> None:
    with PahoClient(door.mqtt_port, "to", version) as to, PahoClient(door.mqtt_port, "from", version) as sender:
        to.subscribe(topic, qos=2)
        for qos in (1, 2):
            for number in range(1000):
                sender.client.publish(topic, b"%d" % number, qos)
            assert [message.payload for message in to.take(1000)] == [b"%d" % number for number in range(1000)]


@both_versions
def test_retained_messages_come_to_who_subscribes_later(
    door: GatewayProcess, topic: str, version: MQTTProtocolVersion
) -> None:
    with PahoClient(door.mqtt_port, "sender", version) as sender:
        for qos in (0, 1, 2):
            sender.publish(f"{topic}/{qos}", b"kept", qos, retain=True)
        sender.publish(f"{topic}/1", b"", 1, retain=True)
        with PahoClient(door.mqtt_port, "late", version) as late:
            late.subscribe(f"{topic}/#")
            got = late.take(2)
            sender.publish(f"{topic}/end", b"end")
            assert late.until(b"end") == []
    assert sorted((message.topic, message.payload, message.retain) for message in got) == [
        (f"{topic}/0", b"kept", True),
        (f"{topic}/2", b"kept", True),
    ]


@both_versions
def test_a_will_tells_of_a_broken_line_and_not_of_a_good_bye(
    door: GatewayProcess, topic: str, version: MQTTProtocolVersion
) -> None:
    with PahoClient(door.mqtt_port, "watcher", version) as watcher:
        watcher.subscribe(topic)
        for qos in (0, 1, 2):
            dying = PahoClient(door.mqtt_port, "dying", version, will=(topic, b"gone", qos, False))
            dying.connect()
            dying.cut()
            assert watcher.next().payload == b"gone"
        with PahoClient(door.mqtt_port, "polite", version, will=(topic, b"gone", 1, False)):
            pass
        watcher.publish(topic, b"end")
        assert watcher.until(b"end") == []


@both_versions
def test_a_second_connection_of_a_client_id_takes_over(door: GatewayProcess, version: MQTTProtocolVersion) -> None:
    old = PahoClient(door.mqtt_port, "twice", version)
    old.connect()
    with PahoClient(door.mqtt_port, "twice", version):
        reason = old.end()
        if version is V5:
            assert reason.value == 0x8E
    old.close()


def kept(door: GatewayProcess, client_id: str, version: MQTTProtocolVersion, *, manual_ack: bool = False) -> PahoClient:
    """Returns a client whose session goes on; in 3.1.1 there is no expiry."""
    expiry_s = 600 if version is V5 else 0
    return PahoClient(door.mqtt_port, client_id, version, clean=False, expiry_s=expiry_s, manual_ack=manual_ack)


@both_versions
def test_a_kept_session_gets_what_came_while_it_was_away(
    door: GatewayProcess, topic: str, version: MQTTProtocolVersion
) -> None:
    with kept(door, f"away{version}", version) as client:
        client.subscribe(topic)
    with PahoClient(door.mqtt_port, "sender", version) as sender:
        for number in range(10):
            sender.publish(topic, b"%d" % number, 1 + number % 2)
    client = kept(door, f"away{version}", version)
    assert client.connect().is_present
    assert in_order(client.take(10), 10)
    client.disconnect()


@both_versions
def test_what_was_not_acknowledged_comes_again_as_a_duplicate(
    door: GatewayProcess, topic: str, version: MQTTProtocolVersion
) -> None:
    slow = kept(door, f"slow{version}", version, manual_ack=True)
    slow.connect()
    slow.subscribe(topic)
    with PahoClient(door.mqtt_port, "sender", version) as sender:
        sender.publish(topic, b"1", 1)
    first = slow.next()
    slow.cut()
    again = kept(door, f"slow{version}", version)
    assert again.connect().is_present
    message = again.next()
    assert (message.payload, message.mid, message.dup) == (b"1", first.mid, True)
    again.disconnect()


def in_order(messages: list[MQTTMessage], count: int) -> bool:
    """Whether the numbers up to `count` came, each once, those of a QoS in their order. paho hands a message of
    QoS 2 on with its PUBREL, later than one of QoS 1 that was sent after it."""
    got = [[int(message.payload) for message in messages if message.qos == qos] for qos in (1, 2)]
    return sorted(got[0] + got[1]) == list(range(count)) and all(part == sorted(part) for part in got)


def test_sessions_queues_and_retained_messages_survive_kill_9(tmp_path: Path) -> None:
    with open_door(tmp_path / "data") as door:
        for version in (V311, V5):
            with kept(door, f"away{version}", version) as away:
                away.subscribe(f"{version}/#")
        online = {version: kept(door, f"online{version}", version) for version in (V311, V5)}
        for version, client in online.items():
            client.connect()
            client.subscribe(f"{version}/#")
            with PahoClient(door.mqtt_port, "sender", version) as sender:
                for number in range(100):
                    sender.publish(f"{version}/a", b"%d" % number, 1 + number % 2)
                sender.publish(f"{version}/retained", b"100", 1, retain=True)
            assert in_order(client.take(101), 101)
        door.kill9()
        for client in online.values():
            client.end()
            client.close()
        door.start()
        for version in (V311, V5):
            away = kept(door, f"away{version}", version)
            assert away.connect().is_present
            assert in_order(away.take(101), 101)
            away.disconnect()
            back = kept(door, f"online{version}", version)
            assert back.connect().is_present
            with PahoClient(door.mqtt_port, "late", version) as late:
                late.subscribe(f"{version}/retained")
                assert late.next().payload == b"100"
                late.publish(f"{version}/end", b"end")
            assert [message for message in back.until(b"end") if message.qos == 2] == []
            back.disconnect()


def test_qos_2_arrives_once_over_kill_9_of_the_gateway(tmp_path: Path) -> None:
    with open_door(tmp_path / "data") as door:
        receivers = [kept(door, f"receiver{version}", version) for version in (V311, V5)]
        senders = [kept(door, f"sender{version}", version) for version in (V311, V5)]
        for client in [*receivers, *senders]:
            client.connect()
            client.come_back_by_itself()
        for version, receiver in zip((V311, V5), receivers, strict=True):
            receiver.subscribe(f"{version}", qos=2)
        for number in range(500):
            for version, sender in zip((V311, V5), senders, strict=True):
                sender.client.publish(f"{version}", b"%d" % number, 2)
            if number in (150, 350):
                door.kill9()
                door.start()
        # In no order: paho sends a new message before it sends the unacknowledged ones again.
        for version, sender, receiver in zip((V311, V5), senders, receivers, strict=True):
            got = [int(message.payload) for message in receiver.take(500)]
            assert sorted(got) == list(range(500))
            sender.client.publish(f"{version}", b"end", 2)
            assert receiver.until(b"end") == []
            sender.disconnect()
            receiver.disconnect()


def test_the_server_says_that_it_shuts_down(tmp_path: Path) -> None:
    with open_door(tmp_path / "data") as door:
        client = PahoClient(door.mqtt_port, "c")
        client.connect()
        door.stop()
        assert client.end().value == 0x8B
        client.close()


def test_connack_of_version_5_says_what_the_server_is(door: GatewayProcess) -> None:
    with PahoClient(door.mqtt_port, "", keep_alive=0) as client:
        client.disconnect()
    client = PahoClient(door.mqtt_port, "", keep_alive=60_000)
    told = client.connect().properties
    assert told is not None
    assert told.AssignedClientIdentifier
    assert told.ServerKeepAlive == 3600
    assert told.ReceiveMaximum == 1024
    assert told.TopicAliasMaximum == 64
    assert told.MaximumPacketSize == 1 << 20
    client.disconnect()


def test_properties_are_passed_on(door: GatewayProcess, topic: str) -> None:
    told = publish_properties(
        PayloadFormatIndicator=1,
        ContentType="text/plain",
        ResponseTopic="answers",
        CorrelationData=b"\x00\x01",
        UserProperty=[("b", "2"), ("a", "1"), ("b", "1")],
        MessageExpiryInterval=100,
    )
    with PahoClient(door.mqtt_port, "c") as client:
        client.subscribe(topic, subscription_id=4711)
        client.publish(topic, "ä".encode(), 1, told=told)
        got = client.next().properties
    assert got is not None
    assert got.json() | {"SubscriptionIdentifier": None} == told.json() | {"SubscriptionIdentifier": None}
    assert got.SubscriptionIdentifier == [4711]


def test_request_and_response_find_each_other(door: GatewayProcess, topic: str) -> None:
    with PahoClient(door.mqtt_port, "asks") as asks, PahoClient(door.mqtt_port, "answers") as answers:
        asks.subscribe(f"{topic}/answers")
        answers.subscribe(f"{topic}/questions")
        told = publish_properties(ResponseTopic=f"{topic}/answers", CorrelationData=b"7")
        asks.publish(f"{topic}/questions", b"?", told=told)
        question = answers.next().properties
        assert question is not None
        answers.publish(question.ResponseTopic, b"!", told=publish_properties(CorrelationData=question.CorrelationData))
        answer = asks.next()
        assert answer.properties is not None
        assert (answer.payload, answer.properties.CorrelationData) == (b"!", b"7")


def test_a_message_grows_old_and_dies(door: GatewayProcess, topic: str) -> None:
    with PahoClient(door.mqtt_port, "old", clean=False, expiry_s=600) as client:
        client.subscribe(topic)
    with PahoClient(door.mqtt_port, "sender") as sender:
        sender.publish(topic, b"dies", told=publish_properties(MessageExpiryInterval=1))
        sender.publish(topic, b"lives", told=publish_properties(MessageExpiryInterval=100))
        # A will whose delay is two seconds is the door's own clock.
        told = properties(PacketTypes.WILLMESSAGE, WillDelayInterval=2)
        timer = PahoClient(
            door.mqtt_port, "timer", expiry_s=10, will=(f"{topic}/timer", b"now", 1, False), will_properties=told
        )
        timer.connect()
        sender.subscribe(f"{topic}/timer")
        timer.cut()
        assert sender.next().payload == b"now"
    client = PahoClient(door.mqtt_port, "old", clean=False, expiry_s=600)
    client.connect()
    message = client.next()
    assert message.payload == b"lives"
    assert message.properties is not None
    assert 90 <= message.properties.MessageExpiryInterval <= 98
    client.disconnect(expiry_s=0)


def test_a_session_ends_with_its_expiry(door: GatewayProcess) -> None:
    with PahoClient(door.mqtt_port, "short", expiry_s=600) as client:
        client.disconnect(expiry_s=0)
    client = PahoClient(door.mqtt_port, "short", clean=False, expiry_s=600)
    assert not client.connect().is_present
    client.disconnect()
    client = PahoClient(door.mqtt_port, "short", clean=False, expiry_s=600)
    assert client.connect().is_present
    client.disconnect(expiry_s=0)


def test_subscription_options_are_kept(door: GatewayProcess, topic: str) -> None:
    with PahoClient(door.mqtt_port, "c") as client, PahoClient(door.mqtt_port, "d") as other:
        client.subscribe(topic, noLocal=True, retainAsPublished=True)
        other.subscribe(topic)
        client.publish(topic, b"own", retain=True)
        other.publish(topic, b"other", retain=True)
        assert [message.retain for message in other.take(2)] == [False, False]
        message = client.next()
        assert (message.payload, message.retain) == (b"other", True)
        client.subscribe(topic, retainHandling=2)
        client.subscribe(topic, retainHandling=1)
        client.publish(topic, b"end")
        assert client.until(b"end") == []
        client.subscribe(topic, retainHandling=0)
        assert client.next().payload == b"other"
        client.publish(topic, b"", retain=True)


def test_a_shared_subscription_parts_the_work_and_a_dead_worker_loses_nothing(door: GatewayProcess, topic: str) -> None:
    with (
        PahoClient(door.mqtt_port, "sender") as sender,
        PahoClient(door.mqtt_port, "living") as living,
    ):
        dying = PahoClient(door.mqtt_port, "dying", manual_ack=True)
        dying.connect()
        for worker in (dying, living):
            assert worker.subscribe(f"$share/workers/{topic}", qos=1) == [1]
        for number in range(1000):
            sender.client.publish(topic, b"%d" % number, 1)
        first = living.take(500)
        dying.take(256)  # what the door sends without an acknowledgement
        dying.cut()
        got = {int(message.payload) for message in [*first, *living.take(500)]}
        assert got == set(range(1000))


def test_topic_aliases_are_used_in_both_directions(door: GatewayProcess, topic: str) -> None:
    with PahoClient(door.mqtt_port, "c", TopicAliasMaximum=5) as client:
        client.subscribe(topic)
        client.publish(topic, b"1", told=publish_properties(TopicAlias=3))
        client.client.publish("", b"2", 1, properties=publish_properties(TopicAlias=3))
        # paho does not resolve the aliases it gets: the second message comes as it is on the wire
        one, two = client.take(2)
    assert one.properties is not None
    assert two.properties is not None
    assert (one.topic, one.properties.TopicAlias) == (topic, 1)
    assert (two.topic, two.properties.TopicAlias) == ("", 1)


@both_versions
def test_a_device_may_do_what_is_its_own_and_nothing_else(door: GatewayProcess, version: MQTTProtocolVersion) -> None:
    device = f"sensor-{version}"
    secret = door.add_device(device)
    assert PahoClient(door.mqtt_port, "", version, user=(device, "guess")).refusal() == 0x86
    with PahoClient(door.mqtt_port, "", version, user=(device, secret)) as client:
        refused = 0x87 if version is V5 else 0x80
        assert client.subscribe(f"sg/{device}/cmd/#", "#", "sg/other/cmd/#", qos=1) == [1, refused, refused]
        assert client.publish(f"sg/{device}/telemetry", b'{"values": {"temperature_c": 20}}') == 0
        assert client.publish("sg/other/telemetry", b"{}") == (0x87 if version is V5 else 0)
    with door.api() as api:
        items = api.get("audit", params={"limit": 100}).json()["items"]
    noted = {(item["actor"], item["action"], item["detail"]) for item in items}
    assert (f"device:{device}", "publish_refused", "sg/other/telemetry") in noted
    assert (f"device:{device}", "subscribe_refused", "#") in noted
    assert ("client:127.0.0.1", "sign_in_failed", device) in noted


@both_versions
def test_a_revoked_device_is_put_out(door: GatewayProcess, version: MQTTProtocolVersion) -> None:
    device = f"revoked-{version}"
    secret = door.add_device(device)
    client = PahoClient(door.mqtt_port, "", version, user=(device, secret))
    assert client.connect().reason == 0
    assert door.command("devices", "revoke", device).returncode == 0
    reason = client.end()
    if version is V5:
        assert reason.value == 0x87
    client.close()
    assert PahoClient(door.mqtt_port, "", version, user=(device, secret)).refusal() == 0x86


def test_a_new_secret_puts_out_who_came_with_the_old_one_and_a_new_name_does_not(door: GatewayProcess) -> None:
    secret = door.add_device("renewed", publish=["zigbee2mqtt/#"], subscribe=["homeassistant/#"])
    client = PahoClient(door.mqtt_port, "", user=("renewed", secret))
    assert client.connect().reason == 0
    other = PahoClient(door.mqtt_port, "", user=("other", door.add_device("other")))
    other.connect()
    with door.api() as api:
        assert api.patch("devices/renewed", json={"name": "by the window"}).status_code == 200
        assert api.delete("devices/other").status_code == 204
        other.end()  # the door has read the registry again
        other.close()
        assert client.publish("zigbee2mqtt/lamp", b"{}") == 0
        assert client.subscribe("homeassistant/#", qos=1) == [1]
        new = api.post("devices/renewed/secret").json()["secret"]
    assert client.end().value == 0x98
    client.close()
    assert PahoClient(door.mqtt_port, "", user=("renewed", secret)).refusal() == 0x86
    with PahoClient(door.mqtt_port, "", user=("renewed", new)):
        pass
