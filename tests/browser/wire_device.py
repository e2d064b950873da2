"""A device on the wire: paho-mqtt at the gateway's MQTT door, nothing of ours."""

import json
from threading import Event
from types import TracebackType
from typing import Self

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from tests.gateway_process import GatewayProcess

WAIT_S = 15.0


class WireDevice:
    """Signs in when the `with` begins and disconnects when it ends. Every message is acknowledged before it returns."""

    def __init__(self, gateway: GatewayProcess, device_id: str, secret: str) -> None:
        self.id = device_id
        self._port = gateway.mqtt_port
        self._connected = Event()
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=device_id, protocol=mqtt.MQTTv311)
        self._client.username_pw_set(device_id, secret)
        self._client.will_set(f"sg/{device_id}/status", "offline", qos=1, retain=True)
        self._client.on_connect = self._on_connect
        self._client.max_inflight_messages_set(200)

    @classmethod
    def added(cls, gateway: GatewayProcess, device_id: str, kind: str = "climate", **more: object) -> Self:
        """A device that the gateway has just been told of."""
        return cls(gateway, device_id, gateway.add_device(device_id, kind, **more))

    def measure(self, **values: float) -> None:
        """Sends one telemetry message."""
        self.send("telemetry", json.dumps({"values": values}))

    def tap(self, credential: str, **more: object) -> None:
        """Sends one tap. `more`: at, direction."""
        self.send("tap", json.dumps({"credential": credential, "kind": "uid", **more}))

    def send(self, tail: str, payload: str | bytes) -> None:
        """Sends on one of the device's own topics."""
        self.publish(f"sg/{self.id}/{tail}", payload)

    def publish(self, topic: str, payload: str | bytes, *, retain: bool = False) -> None:
        message = self._client.publish(topic, payload, qos=1, retain=retain)
        message.wait_for_publish(WAIT_S)
        assert message.is_published(), f"{topic} was not acknowledged"

    def measure_many(self, measurement: str, values: range) -> None:
        """Sends one message for each value, as fast as they are acknowledged."""
        topic = f"sg/{self.id}/telemetry"
        sent = [self._client.publish(topic, json.dumps({"values": {measurement: value}}), qos=1) for value in values]
        for message in sent:
            message.wait_for_publish(WAIT_S)
        assert all(message.is_published() for message in sent)

    def _on_connect(
        self,
        _client: mqtt.Client,
        _userdata: object,
        _flags: mqtt.ConnectFlags,
        reason: ReasonCode,
        _properties: Properties | None,
    ) -> None:
        if not reason.is_failure:
            self._connected.set()

    def __enter__(self) -> Self:
        self._client.connect("127.0.0.1", self._port)
        self._client.loop_start()
        assert self._connected.wait(WAIT_S), f"{self.id} could not sign in"
        self.publish(f"sg/{self.id}/status", "online", retain=True)
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.publish(f"sg/{self.id}/status", "offline", retain=True)
        self._client.disconnect()
        self._client.loop_stop()
