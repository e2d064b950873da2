"""Opening the store: what one run of the gateway leaves to the next."""

import sqlite3
from pathlib import Path

from foundation.clocks import wall_us
from gateway.configuration.sections import Configuration, Node
from gateway.core import open_core
from gateway.main import rooms
from gateway.store.database import FILE_NAME

TOMORROW_US = wall_us() + 86_400_000_000


async def run_no(data: Path) -> int:
    """Opens the store and closes it again."""
    configuration = Configuration(node=Node(data=data))
    async with open_core(configuration, rooms(configuration), bytes(32), lambda _: None) as core:
        return core.run_no


async def test_a_run_has_a_greater_number_than_all_before_it_though_the_clock_was_set_back(tmp_path: Path) -> None:
    before_us = wall_us()
    numbers = [await run_no(tmp_path), await run_no(tmp_path)]
    assert before_us <= numbers[0] < numbers[1]
    connection = sqlite3.connect(tmp_path / FILE_NAME)
    with connection:
        connection.execute("UPDATE fact SET value = ? WHERE name = 'run_no'", (str(TOMORROW_US),))
    connection.close()
    assert [await run_no(tmp_path), await run_no(tmp_path)] == [TOMORROW_US + 1, TOMORROW_US + 2]
