"""A table with a cap on its payload bytes: the oldest rows go when newer ones need the room, and are counted."""

from sqlalchemy import Connection, Table, delete, func, select

from gateway.store.sqlite import take_deleted_bytes, watch_deletions


class ByteCap:
    """Owned by the writer's thread. The table has the columns `id` (ascending) and `payload`. Whoever deletes rows does
    it on the writer's connection, which notes it."""

    def __init__(self, table: Table, cap_bytes: int) -> None:
        self._table = table
        self._cap_bytes = cap_bytes
        self._held_bytes: int | None = None
        self.dropped_total = 0

    def forget(self) -> None:
        """Drops what may be ahead of the disk after a rollback."""
        self._held_bytes = None

    def grown(self, connection: Connection, by_bytes: int) -> None:
        """Call after inserting rows of `by_bytes` in the same transaction; deletes the oldest rows over the cap."""
        if self._held_bytes is None:
            total = select(func.coalesce(func.sum(func.length(self._table.c.payload)), 0))
            self._held_bytes = int(connection.execute(total).scalar_one())
            watch_deletions(connection, self._table)
        else:
            self._held_bytes += by_bytes
        if self._held_bytes <= self._cap_bytes:
            return
        self._held_bytes -= take_deleted_bytes(connection, self._table)
        if self._held_bytes <= self._cap_bytes:
            return
        last_id = 0
        dropped = 0
        sizes = select(self._table.c.id, func.length(self._table.c.payload)).order_by(self._table.c.id)
        for row_id, size in connection.execute(sizes):
            if self._held_bytes <= self._cap_bytes:
                break
            self._held_bytes -= size
            last_id = row_id
            dropped += 1
        connection.execute(delete(self._table).where(self._table.c.id <= last_id))
        take_deleted_bytes(connection, self._table)  # they are counted already
        self.dropped_total += dropped
