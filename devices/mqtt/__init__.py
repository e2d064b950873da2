"""MQTT, server side (the door) and client side (the bridge)."""
