"""People, their groups and their cards."""
