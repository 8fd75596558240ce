"""A load from outside: listeners who ask for the next song, say what became of it, and ask again.

Closed loop: each connection sends its next request when the answer to the last has come; that finds the peak.
Paced: cycles begin at fixed times whether or not the last has ended, and a wait counts as latency, so that a
server that stalls cannot hide it.

A client of a few lines over asyncio streams, because a comfortable one would cost more than what it measures.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from time import perf_counter
from typing import Any

import numpy as np
import orjson

from models.errors import Unavailable


class Client:
    """One connection, kept open."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    async def post(self, path: str, body: dict[str, Any]) -> tuple[int, Any]:
        """Send a JSON body; return the status and the answer's JSON."""
        content = orjson.dumps(body)
        head = (
            f"POST {path} HTTP/1.1\r\nhost: bench\r\ncontent-type: application/json\r\n"
            f"content-length: {len(content)}\r\n\r\n"
        )
        self._writer.write(head.encode() + content)
        lines = (await self._reader.readuntil(b"\r\n\r\n")).lower().split(b"\r\n")
        status = int(lines[0].split(b" ", 2)[1])
        length = next(int(line.partition(b":")[2]) for line in lines if line.startswith(b"content-length:"))
        return status, orjson.loads(await self._reader.readexactly(length))


@asynccontextmanager
async def connected(host: str, port: int) -> AsyncIterator[Client]:
    """Open a connection to a server."""
    reader, writer = await asyncio.open_connection(host, port)
    try:
        yield Client(reader, writer)
    finally:
        writer.close()
        await writer.wait_closed()


@dataclass(slots=True)
class Measured:
    """What one load saw."""

    seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)
    """Seconds from wanting a recommendation to having it, one per cycle."""
    silences: int = 0
    """Recommendations without a song: the cycle ends there."""
    refusals: int = 0
    """Answers of any other status than 200."""

    @property
    def cycles_per_second(self) -> float:
        """Whole cycles in a second."""
        return (len(self.latencies) - self.silences - self.refusals) / self.seconds

    def percentile(self, share: float) -> float:
        """Return the latency that this share of recommendations did not exceed, in seconds."""
        return float(np.percentile(self.latencies, share * 100))


@dataclass(slots=True)
class Listener:
    """A listener under load, in one session."""

    client: Client
    listener_id: str
    session_id: str
    numbers: Any = field(default_factory=count)

    async def start(self) -> None:
        """Begin the session."""
        body = {"session_id": self.session_id, "mode": "unspecified", "report": {"valence": 0.5, "arousal": 0.5}}
        status, answer = await self.client.post(f"/v1/listeners/{self.listener_id}/sessions", body)
        if status != 201:
            raise Unavailable(f"a session could not be started: {answer}")

    async def end(self) -> None:
        """End the session."""
        path = f"/v1/listeners/{self.listener_id}/sessions/{self.session_id}/end"
        body = {"event_id": f"{self.session_id}-end", "report": {"valence": 0.6, "arousal": 0.4}}
        status, answer = await self.client.post(path, body)
        if status != 200:
            raise Unavailable(f"a session could not be ended: {answer}")

    async def cycle(self, measured: Measured, *, since: float) -> None:
        """Ask for a song and tell what became of it; latency counts from `since`."""
        number = next(self.numbers)
        listener = f"/v1/listeners/{self.listener_id}"
        status, answer = await self.client.post(
            f"{listener}/sessions/{self.session_id}/recommendations",
            {"request_id": f"{self.session_id}-r-{number}", "count": 1},
        )
        measured.latencies.append(perf_counter() - since)
        if status != 200:
            measured.refusals += 1
            return
        if not answer["recommendations"]:
            measured.silences += 1
            return
        recommendation_id = answer["recommendations"][0]["recommendation_id"]
        status, _ = await self.client.post(
            f"{listener}/recommendations/{recommendation_id}/feedback",
            {"event_id": f"{self.session_id}-e-{number}", "engagement": (number % 10) / 10, "rating": number % 2},
        )
        measured.refusals += status != 200


async def closed_loop(listeners: Sequence[Listener], *, seconds: float) -> Measured:
    """Let every listener go round as fast as the answers come."""
    measured = Measured()
    begun = perf_counter()

    async def go_round(listener: Listener) -> None:
        while (now := perf_counter()) < begun + seconds:
            await listener.cycle(measured, since=now)

    await asyncio.gather(*(go_round(listener) for listener in listeners))
    measured.seconds = perf_counter() - begun
    return measured


async def grow(listeners: Sequence[Listener], *, cycles: int) -> Measured:
    """Let every listener go round so many times: how histories are made."""
    measured = Measured()
    begun = perf_counter()

    async def go_round(listener: Listener) -> None:
        for _ in range(cycles):
            await listener.cycle(measured, since=perf_counter())

    await asyncio.gather(*(go_round(listener) for listener in listeners))
    measured.seconds = perf_counter() - begun
    return measured


async def paced(listeners: Sequence[Listener], *, cycles_per_second: float, seconds: float) -> Measured:
    """Let cycles begin at a fixed rate, spread over the listeners."""
    measured = Measured()
    begun = perf_counter()
    interval = len(listeners) / cycles_per_second

    async def go_round(place: int, listener: Listener) -> None:
        for turn in count():
            due = begun + (turn + place / len(listeners)) * interval
            if due >= begun + seconds:
                return
            await asyncio.sleep(max(0.0, due - perf_counter()))
            await listener.cycle(measured, since=max(due, begun))

    await asyncio.gather(*(go_round(place, listener) for place, listener in enumerate(listeners)))
    measured.seconds = perf_counter() - begun
    return measured
