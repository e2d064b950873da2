"""A process that does one job beside this one: an order in, messages out, both as lines of JSON.

The job's module runs as `python -m MODULE`. It reads its order from standard input, says what it sees on
standard output, and explains a failure on standard error. Secrets travel in the order, never as arguments.
"""

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator
from typing import Generic, TypeVar

import msgspec

from firmware_sim.errors import SimError

_LINE_LIMIT = 16 << 20

Message = TypeVar("Message", bound=msgspec.Struct)


class Worker(Generic[Message]):
    """The near end of a running job."""

    def __init__(self, process: asyncio.subprocess.Process, decoder: msgspec.json.Decoder[Message]) -> None:
        self._process = process
        self._decoder = decoder

    async def tell(self, line: bytes) -> None:
        if self._process.stdin is None:
            raise SimError("the process has no input")
        self._process.stdin.write(line + b"\n")
        await self._process.stdin.drain()

    async def next(self) -> Message:
        """The job's next message. Raises SimError with its explanation if the job has failed."""
        if self._process.stdout is None or self._process.stderr is None:
            raise SimError("the process has no output")
        line = await self._process.stdout.readline()
        if line:
            return self._decoder.decode(line)
        reason = (await self._process.stderr.read()).decode(errors="replace").strip()
        raise SimError(reason or "the sending process ended without a word")


@contextlib.asynccontextmanager
async def started(
    module: str, order: msgspec.Struct, decoder: msgspec.json.Decoder[Message]
) -> AsyncIterator[Worker[Message]]:
    """Runs `module` with `order`; on leaving, a job that is still at work is ended."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        module,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        limit=_LINE_LIMIT,
    )
    try:
        worker = Worker(process, decoder)
        await worker.tell(msgspec.json.encode(order))
        yield worker
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
        # communicate() also closes the pipes, so that nothing is left to the garbage collector
        await process.communicate()


def say(message: msgspec.Struct) -> None:
    """The far end: one message to whoever ordered the job."""
    sys.stdout.buffer.write(msgspec.json.encode(message) + b"\n")
    sys.stdout.buffer.flush()
