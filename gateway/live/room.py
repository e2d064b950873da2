"""The live feed, open: it publishes what is committed."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from gateway.committed import Series, Stages
from gateway.live.hub import Hub
from gateway.store.store import Store
from gateway.supervision import Supervisor


@asynccontextmanager
async def open_live(
    run_no: int, store: Store, series: Callable[[int], Series], stages: Stages, supervisor: Supervisor
) -> AsyncIterator[Hub]:
    """Publishes until left. Arguments as of `Hub`."""
    hub = Hub(run_no, store, series)
    stages.add(hub.publish)
    async with supervisor.running("live", hub.run):
        yield hub
