"""The MQTT door and everything behind it: connections, sessions, routes, what is retained."""
