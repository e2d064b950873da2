"""What alerts declare: rules and alerts as stored. Open, they are evaluated with every commit."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from foundation.clocks import wall_us
from foundation.room import Lifetime, Room, Transactions
from gateway.alerts.lifecycle import Change
from gateway.alerts.saved import forget_resolved
from gateway.alerts.stage import AlertStage, Catalogue
from gateway.alerts.tables import metadata
from gateway.committed import Stages
from gateway.configuration.sections import Alerts
from gateway.configuration.sections import Store as Kept
from gateway.store.store import Store
from gateway.supervision import Supervisor


def alerts_room(kept: Kept) -> Room:
    return Room(name="alerts", tables=(metadata,), lifetimes=(Lifetime(kept.audit_days, _forget),))


async def _forget(store: Transactions, before_us: int) -> None:
    await store.write(lambda connection: forget_resolved(connection, before_us))


@asynccontextmanager
async def open_alerts(
    section: Alerts,
    store: Store,
    catalogue: Catalogue,
    stages: Stages,
    supervisor: Supervisor,
    publish: Callable[[Change], None],
) -> AsyncIterator[AlertStage]:
    """Evaluates what is committed until left; then what was committed before is evaluated and stored."""
    stage = AlertStage(store, catalogue, publish, wall_us, section.stale_after_s)
    stages.add(stage.feed)
    async with supervisor.running("alerts", stage.run, stage.close):
        yield stage
