"""Who may do what at the door."""

from devices.mqtt.server.access import anonymous, of_device
from devices.registry import Device, DeviceState, PayloadFormat


def device(publish: tuple[str, ...] = (), subscribe: tuple[str, ...] = ()) -> Device:
    return Device("d1", "sensor", "", "", DeviceState.ACTIVE, PayloadFormat.NATIVE, None, publish, subscribe, 0, 0)


def test_a_device_may_publish_below_its_own_topic_and_nowhere_else() -> None:
    principal = of_device(device())
    assert principal.may_publish("sg/d1/telemetry")
    assert principal.may_publish("sg/d1/cmd/reboot/ack")
    assert not principal.may_publish("sg/d2/telemetry")
    assert not principal.may_publish("sg/d10/telemetry")
    assert not principal.may_publish("other")
    assert not principal.may_publish("$SYS/broker")


def test_a_device_may_subscribe_to_its_commands_and_nothing_else() -> None:
    principal = of_device(device())
    assert principal.may_subscribe("sg/d1/cmd/#")
    assert principal.may_subscribe("sg/d1/cmd/reboot")
    assert principal.may_subscribe("sg/d1/cmd/+")
    assert principal.may_subscribe("$share/g/sg/d1/cmd/+")
    for refused in ("#", "+/#", "sg/#", "sg/+/cmd/#", "sg/d1/#", "sg/d1/telemetry", "$share/g/#", "sg/d2/cmd/#"):
        assert not principal.may_subscribe(refused), refused


def test_grants_add_to_a_devices_own_topics() -> None:
    principal = of_device(device(publish=("zigbee2mqtt/#",), subscribe=("zigbee2mqtt/+/set",)))
    assert principal.may_publish("zigbee2mqtt/lamp")
    assert principal.may_subscribe("zigbee2mqtt/lamp/set")
    assert not principal.may_subscribe("zigbee2mqtt/lamp/get")
    assert not principal.may_publish("homeassistant/x")


def test_an_anonymous_client_has_the_listed_filters_for_both() -> None:
    principal = anonymous(("public/#",))
    assert principal.device_id is None
    assert principal.may_publish("public/a")
    assert principal.may_subscribe("public/+")
    assert not principal.may_subscribe("#")
