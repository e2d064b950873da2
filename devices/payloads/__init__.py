"""Payload formats: bytes in, values or DecodeError out; no I/O, no clock."""
