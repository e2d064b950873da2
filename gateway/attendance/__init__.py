"""Taps at the doors."""
