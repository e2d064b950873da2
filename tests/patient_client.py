"""A paho client that remembers what it released, as the specification asks."""

import paho.mqtt.client as mqtt
from paho.mqtt.enums import MessageState


class PatientClient(mqtt.Client):
    """paho 2.2 forgets, when it fails to connect twice in a row, that it had sent PUBREL for a QoS 2 message, and sends
    the message as a new one. This one remembers, as [MQTT-4.4.0-1] asks."""

    def _messages_reconnect_reset_out(self) -> None:
        released = [one for one in self._out_messages.values() if one.state is MessageState.MQTT_MS_RESEND_PUBREL]
        super()._messages_reconnect_reset_out()
        for message in released:
            message.state = MessageState.MQTT_MS_RESEND_PUBREL
