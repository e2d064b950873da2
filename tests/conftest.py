"""What many tests start from."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.gateway_process import GatewayProcess

# How long an example takes says more of what else the machine has to do than of what is tested.
settings.register_profile("busy machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("busy machine")


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[GatewayProcess]:
    """A running gateway on an empty data directory, MQTT and HTTP on free ports of 127.0.0.1."""
    with GatewayProcess(tmp_path / "data") as running:
        yield running
        print(running.log_tail())  # pytest shows it if the test failed
