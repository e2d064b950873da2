"""A TCP line that can be cut, or go deaf, between a client and a server on 127.0.0.1."""

import asyncio
import enum
from types import TracebackType
from typing import Self

CHUNK_BYTES = 1 << 14


class Way(enum.Enum):
    """A direction on the line."""

    TO_SERVER = enum.auto()
    TO_CLIENT = enum.auto()


class CutLine:
    """Clients connect to `port`; what they send is passed on to the server at `server_port`, and back.

    `swallowed`: directions whose bytes are read and thrown away just now. `unanswered`: numbers of the connections,
    from 1, that hear nothing of the server. An async context manager.
    """

    def __init__(self, server_port: int) -> None:
        self._server_port = server_port
        self._server: asyncio.Server
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.port = 0
        self.swallowed: set[Way] = set()
        self.unanswered: set[int] = set()
        self.connections_total = 0

    def cut(self) -> None:
        """Aborts every connection in both directions; new ones are taken."""
        for writer in self._writers:
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._writers.add(writer)
        self.connections_total += 1
        is_answered = self.connections_total not in self.unanswered
        back: asyncio.StreamWriter | None = None
        try:
            answers, back = await asyncio.open_connection("127.0.0.1", self._server_port)
            self._writers.add(back)
            await asyncio.gather(
                self._pass_on(reader, back, Way.TO_SERVER),
                self._pass_on(answers, writer, Way.TO_CLIENT, is_kept=is_answered),
            )
        except OSError:
            pass
        finally:
            for one in (writer, back):
                if one is not None:
                    one.transport.abort()
                    self._writers.discard(one)
            self._tasks.discard(task)

    async def _pass_on(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, way: Way, *, is_kept: bool = True
    ) -> None:
        while data := await reader.read(CHUNK_BYTES):
            if is_kept and way not in self.swallowed:
                writer.write(data)
                await writer.drain()
        writer.transport.abort()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = int(self._server.sockets[0].getsockname()[1])
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        self.cut()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
