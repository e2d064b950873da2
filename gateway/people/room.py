"""What people and their cards declare: their tables, and the key that cards are known by."""

from pathlib import Path
from typing import Final

from foundation.room import Room
from gateway.configuration.sections import Privacy
from gateway.people.tables import metadata

CARD_KEY_FILE: Final = "card.key"


def people_room(data: Path, privacy: Privacy) -> Room:
    return Room(name="people", tables=(metadata,), files=(card_key_file(data, privacy),))


def card_key_file(data: Path, privacy: Privacy) -> Path:
    """Returns where the key lies that card numbers are digested with."""
    return privacy.card_key_file or data / CARD_KEY_FILE
