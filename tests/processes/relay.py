"""A wire between two processes, which a test may make slow, or leave open with nothing coming through any more."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Event, Thread
from urllib.parse import urlsplit

CHUNK_BYTES = 65536


class Relay:
    """Passes bytes from a port of its own to another port, and back."""

    def __init__(self, target_port: int) -> None:
        self.port = 0
        self._target_port = target_port
        self._delay_seconds = 0.0
        self._is_silent = False
        self._lines: dict[_Line, asyncio.Task[None] | None] = {}
        self._started = Event()
        self._thread = Thread(target=lambda: asyncio.run(self._run()), name="relay", daemon=True)

    def start(self) -> None:
        """Take connections."""
        self._thread.start()
        assert self._started.wait(10)

    def stop(self) -> None:
        """Let go of every connection."""
        self._loop.call_soon_threadsafe(self._stopped.set)
        self._thread.join(10)

    @contextmanager
    def slow(self, seconds: float) -> Iterator[None]:
        """Let whatever comes back come so much later, for the length of the block."""
        self._delay_seconds = seconds
        try:
            yield
        finally:
            self._delay_seconds = 0.0

    @contextmanager
    def silent(self) -> Iterator[None]:
        """Leave every connection half open: nothing comes through, and nobody is told.

        After the block new connections pass; those that were silenced stay so for ever, as behind a balancer that
        has lost its memory of them.
        """
        self._is_silent = True
        self._loop.call_soon_threadsafe(self._silence)
        try:
            yield
        finally:
            self._is_silent = False

    async def _run(self) -> None:
        self._loop, self._stopped = asyncio.get_running_loop(), asyncio.Event()
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        self._started.set()
        async with server:
            await self._stopped.wait()
            for line in self._lines:
                line.end()
            tasks = [task for task in self._lines.values() if task]
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line = _Line(self, reader, writer)
        if self._is_silent:
            line.passes.clear()
        self._lines[line] = asyncio.current_task()
        try:
            await line.run(self._target_port)
        finally:
            del self._lines[line]

    def _silence(self) -> None:
        for line in self._lines:
            line.passes.clear()

    @property
    def delay_seconds(self) -> float:
        return self._delay_seconds


class _Line:
    """One connection and the one that it becomes."""

    def __init__(self, relay: Relay, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.passes = asyncio.Event()
        self.passes.set()
        self._relay, self._reader, self._writer = relay, reader, writer
        self._over = asyncio.Event()

    def end(self) -> None:
        self._over.set()

    async def run(self, port: int) -> None:
        writers, tasks = [self._writer], []
        try:
            if self.passes.is_set():
                with suppress(OSError):
                    reader, writer = await asyncio.open_connection("127.0.0.1", port)
                    writers.append(writer)
                    tasks = [
                        asyncio.create_task(self._pump(self._reader, writer, is_answer=False)),
                        asyncio.create_task(self._pump(reader, self._writer, is_answer=True)),
                    ]
                if not tasks:
                    return
            await self._over.wait()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            for writer in writers:
                writer.close()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, is_answer: bool) -> None:
        with suppress(OSError):
            while chunk := await reader.read(CHUNK_BYTES):
                if is_answer and self._relay.delay_seconds:
                    await asyncio.sleep(self._relay.delay_seconds)
                await self.passes.wait()
                writer.write(chunk)
                await writer.drain()
        await self.passes.wait()
        self.end()


@contextmanager
def relayed(url: str) -> Iterator[tuple[Relay, str]]:
    """Give a wire to the server of a URL, and the URL by which the server is reached through it."""
    parts = urlsplit(url)
    assert parts.port is not None
    relay = Relay(parts.port)
    relay.start()
    try:
        netloc = parts.netloc.replace(f":{parts.port}", f":{relay.port}")
        yield relay, parts._replace(netloc=netloc).geturl()
    finally:
        relay.stop()
