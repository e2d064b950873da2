"""Home Assistant MQTT discovery: announcements, entities, value templates. Pure."""
