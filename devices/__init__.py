"""What comes in: the MQTT door, the bridge, payload formats, the device registry."""
