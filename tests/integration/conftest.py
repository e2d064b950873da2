"""What many integration tests share."""

from collections.abc import Iterator

import pytest

from tests.gateway_process import GatewayProcess
from tests.integration.open_door import open_door


@pytest.fixture(scope="module")
def school(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    """A running gateway that the tests of one module share: each uses names of its own."""
    with GatewayProcess(tmp_path_factory.mktemp("school") / "data") as running:
        yield running
        print(running.log_tail())  # pytest shows it if a test failed


@pytest.fixture(scope="session")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    """A running gateway whose MQTT door is open to everybody; the tests that share it use topics of their own."""
    with open_door(tmp_path_factory.mktemp("door") / "data") as running:
        yield running
