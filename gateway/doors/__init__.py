"""The ways in and out, opened: MQTT, the bridge, HTTP, each with and without TLS."""
