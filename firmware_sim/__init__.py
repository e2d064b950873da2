"""Devices that do not exist: a school day, a fleet, faults, the load generator. Imports nothing of ours."""
