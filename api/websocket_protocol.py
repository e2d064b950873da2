"""The server's end of a WebSocket: uvicorn's, with bounds on what it leaves open.

uvicorn bounds a message, reads no further while one waits for the handler, pings and gives up on who does not answer.
Not bounded by it: a handshake that its parser cannot read, how many small messages one read brings, fragments without
content, answers to pings that nobody takes, and a reader that takes nothing.
"""

import asyncio
from typing import Final

from uvicorn._types import ASGISendEvent
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import CloseCode
from websockets.protocol import State

MESSAGE_BYTES: Final = 64 << 10
PING_EVERY_S: Final = 2.0
PONG_WITHIN_S: Final = 3.0
MAX_QUEUED: Final = 1024
MAX_FRAGMENTS: Final = 1024
MAX_UNSENT_BYTES: Final = 1 << 20
TAKE_WITHIN_S = 10.0
"""A reader that takes nothing for so long while much waits for it is cut off."""

CLOSE_WITHIN_S: Final = 1.0
SLICE_BYTES: Final = 4 << 10
"""So much is taken apart at a time: a read brings 256 KiB, which may be forty thousand messages."""

REFUSED: Final = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class WebSocketProtocol(WebSocketsSansIOProtocol):
    """One connection, from its handshake to its end."""

    _deadline: asyncio.TimerHandle | None = None
    """While more waits for the reader than should: what ends the connection."""

    def data_received(self, data: bytes) -> None:
        for begin in range(0, len(data), SLICE_BYTES):
            if self.transport.is_closing():
                return
            super().data_received(data[begin : begin + SLICE_BYTES])
            self._check()
        if not self.handshake_initiated:  # it came whole: httptools could read it, and the parser could not
            self.transport.write(b"".join(self.conn.data_to_send()) or REFUSED)
            self.transport.close()

    def handle_parser_exception(self) -> None:
        """Ends what is no WebSocket; who was not let in yet is told nothing."""
        if self.conn.close_sent is None:
            self.transport.abort()
        else:
            super().handle_parser_exception()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._deadline = self.loop.call_later(TAKE_WITHIN_S, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._forget_deadline()

    def connection_lost(self, exc: Exception | None) -> None:
        self._forget_deadline()
        super().connection_lost(exc)

    async def send(self, message: ASGISendEvent) -> None:
        await super().send(message)
        if self.initial_response is not None and self.close_sent:
            self.handshake_complete = True  # uvicorn takes a refusal for an application that forgot to answer

    def keepalive_timeout(self) -> None:
        super().keepalive_timeout()
        self._end_soon()

    def shutdown(self) -> None:
        """Closes with 1001, going away (RFC 6455 §7.4.1)."""
        if self.handshake_complete and self.conn.state is State.OPEN:
            self.stop_keepalive()
            self._close(CloseCode.GOING_AWAY, "the gateway stops")
        else:
            super().shutdown()
        self._end_soon()

    def _check(self) -> None:
        if self.transport.get_write_buffer_size() > MAX_UNSENT_BYTES:
            self.transport.abort()
        elif self.queue.qsize() > MAX_QUEUED or len(self.frames) > MAX_FRAGMENTS:
            self._close(CloseCode.POLICY_VIOLATION, "too many messages, or pieces of one, at a time")
            self._end_soon()

    def _close(self, code: CloseCode, reason: str) -> None:
        if self.conn.state is State.OPEN:
            self.conn.send_close(code, reason)
            self.transport.write(b"".join(self.conn.data_to_send()))
        self.close_sent = True
        self.queue.put_nowait({"type": "websocket.disconnect", "code": int(code), "reason": reason})
        self.transport.close()

    def _end_soon(self) -> None:
        """Closing waits until all is sent, which may be never."""
        self.loop.call_later(CLOSE_WITHIN_S, self.transport.abort)

    def _forget_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
