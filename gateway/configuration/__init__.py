"""The configuration: its sections, the layers it is read from, its reference."""
