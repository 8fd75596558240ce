"""Connections that are held to a time and a size: whoever sends slowly, or never ends, is shown out.

uvicorn bounds neither how long a request may take to arrive nor how long its head may be, nor how many
connections there are; a few idle sockets would hold a worker's memory for ever. Here the head and the body each
have their time from their first byte (a new connection from its opening), the head its size, and a reader who does
not take the answer its patience. What is refused is told in the words of HTTP and the connection is closed.

Built on the callbacks of uvicorn's own protocol; `tests/service/access/test_connections.py` holds them to it.
"""

from asyncio import TimerHandle
from dataclasses import dataclass
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

_CLOSING: Final = b"connection: close\r\ncontent-length: 0\r\n"
_TIMEOUT: Final = b"HTTP/1.1 408 Request Timeout\r\n" + _CLOSING + b"\r\n"
_HEAD_TOO_LARGE: Final = b"HTTP/1.1 431 Request Header Fields Too Large\r\n" + _CLOSING + b"\r\n"
_CROWDED: Final = b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\n" + _CLOSING + b"\r\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionLimits:
    """How patient a worker is with one connection, and with how many."""

    head_seconds: float = 10.0
    body_seconds: float = 20.0
    """From the end of the head to the end of the body."""
    write_seconds: float = 30.0
    """How long an answer may wait for a reader who takes nothing."""
    head_bytes: int = 32 * 1024
    connections: int = 1000


class PatientProtocol(HttpToolsProtocol):
    """uvicorn's protocol with limits."""

    def __init__(self, *arguments: Any, limits: ConnectionLimits, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._limits = limits
        self._reading: TimerHandle | None = None
        self._writing: TimerHandle | None = None
        self._head_bytes = 0
        self._in_head = True

    def connection_made(self, transport: Any) -> None:
        """Let the connection in, if there is room; its first request must come soon."""
        if len(self.connections) >= self._limits.connections:
            transport.write(_CROWDED)
            transport.close()
            return
        super().connection_made(transport)
        self._wait(self._limits.head_seconds)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._stop_waiting()
        self._stop_patience()
        if self.flow is not None:
            super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take bytes in, as many as a head may have."""
        if self.flow is None or self.transport.is_closing():
            return
        if self._in_head:
            self._head_bytes += len(data)
            if self._reading is None:
                self._wait(self._limits.head_seconds)
        super().data_received(data)
        if self._in_head and self._head_bytes > self._limits.head_bytes:
            self._show_out(_HEAD_TOO_LARGE)

    def on_headers_complete(self) -> None:
        """Begin to wait for the body."""
        self._in_head = False
        self._head_bytes = 0
        self._wait(self._limits.body_seconds)
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Wait for nothing: the request is whole."""
        self._in_head = True
        self._head_bytes = 0
        self._stop_waiting()
        super().on_message_complete()

    def pause_writing(self) -> None:
        """The reader is behind: give it a while."""
        if self.flow is None:
            return
        self._writing = self.loop.call_later(self._limits.write_seconds, self.transport.abort)
        super().pause_writing()

    def resume_writing(self) -> None:
        """The reader has caught up."""
        self._stop_patience()
        super().resume_writing()

    def _stop_patience(self) -> None:
        if self._writing is not None:
            self._writing.cancel()
            self._writing = None

    def _wait(self, seconds: float) -> None:
        self._stop_waiting()
        self._reading = self.loop.call_later(seconds, self._give_up)

    def _stop_waiting(self) -> None:
        if self._reading is not None:
            self._reading.cancel()
            self._reading = None

    def _give_up(self) -> None:
        self._reading = None
        self._show_out(_TIMEOUT)

    def _show_out(self, words: bytes) -> None:
        """Close the connection; say why, unless an answer is on its way already."""
        if self.transport.is_closing():
            return
        answering = self.cycle is not None and not self.cycle.response_complete
        if not answering if self._in_head else not self.cycle.response_started:
            self.transport.write(words)
        self.transport.close()
