"""The live feed: what was committed, as events."""
