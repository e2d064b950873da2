"""Readings as they are asked for: lists, buckets, roll-ups."""
