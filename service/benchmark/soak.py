"""`amrs bench soak`: an hour at half of the peak, in which memory stays flat, errors away and answers quick.

Listeners come and go as they would: each connection belongs to one at a time, who hears a few sessions of some
songs and is followed by somebody new. What is held against the service is the trend, quarter by quarter; in the
first one histories, caches and pools fill.
"""

import asyncio
import os
from collections.abc import Sequence
from contextlib import AsyncExitStack, ExitStack
from dataclasses import dataclass
from statistics import median
from typing import Final
from urllib.request import urlopen

from rich.console import Console
from rich.table import Table

from service.benchmark.home import benchmark_home
from service.benchmark.load import Client, Listener, Measured, closed_loop, connected, paced
from service.benchmark.serve import HOST, Tell, durability_of, running_service
from service.serve import shared_resources
from service.settings import Settings

_MEMORY: Final = "amrs_memory_resident_bytes"
_MEGABYTE: Final = 1e6


@dataclass(frozen=True, slots=True, kw_only=True)
class SoakConfig:
    """How long, and under how much."""

    minutes: int = 60
    minute_seconds: float = 60.0
    share: float = 0.5
    """Of the peak, measured first."""
    peak_seconds: float = 20.0
    song_count: int = 7000
    connection_count: int = 16
    session_songs: int = 12
    """Songs a session has."""
    sessions_each: int = 8
    """Sessions after which somebody else comes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Minute:
    """What one minute saw."""

    cycles: int
    refusals: int
    p50_seconds: float
    p99_seconds: float
    memory_bytes: float
    """Resident, of the worker, at the minute's end."""


class Guest(Listener):
    """Whoever holds a connection just now: after some sessions of some songs, somebody else."""

    def __init__(self, client: Client, name: str, config: SoakConfig) -> None:
        super().__init__(client, f"{name}-0", f"{name}-0-0")
        self._name, self._config = name, config
        self._songs = self._sessions = 0

    async def cycle(self, measured: Measured, *, since: float) -> None:
        """Go round once; first end a session that has had its songs, and begin another."""
        if self._songs == self._config.session_songs:
            await self._next_session()
        self._songs += 1
        await super().cycle(measured, since=since)

    async def _next_session(self) -> None:
        await self.end()
        self._sessions, self._songs = self._sessions + 1, 0
        self.listener_id = f"{self._name}-{self._sessions // self._config.sessions_each}"
        self.session_id = f"{self._name}-{self._sessions}"
        await self.start()


def bench_soak(
    deployment: Settings, config: SoakConfig, *, database_url: str | None, console: Console
) -> list[Minute]:
    """Soak a deployment's live bundle in a home made for it; print each minute and the trend; return the minutes.

    Raises:
        ConfigError: no bundle is live.
        Unavailable: the service did not come up, or refused a session.
    """
    with benchmark_home(deployment, song_count=config.song_count, database_url=database_url) as home:
        minutes = soak(home, config, tell=console.print)
        console.print(durability_of(home.database_url))
    console.print(_table(minutes, config))
    return minutes


def soak(settings: Settings, config: SoakConfig, *, tell: Tell) -> list[Minute]:
    """Soak the service of a furnished home.

    Raises:
        Unavailable: it did not come up, or refused a session.
    """
    with ExitStack() as stack:
        shared = stack.enter_context(shared_resources(settings))
        port = stack.enter_context(running_service(shared))
        return asyncio.run(_soak(port, config, tell))


async def _soak(port: int, config: SoakConfig, tell: Tell) -> list[Minute]:
    async with AsyncExitStack() as stack:
        guests = [
            Guest(await stack.enter_async_context(connected(HOST, port)), f"soak-{os.getpid()}-{place}", config)
            for place in range(config.connection_count)
        ]
        await asyncio.gather(*(guest.start() for guest in guests))
        peak = await closed_loop(guests, seconds=config.peak_seconds)
        rate = peak.cycles_per_second * config.share
        tell(f"peak {peak.cycles_per_second:.0f} cycles/s; {config.minutes} minutes at {rate:.0f}")
        minutes = []
        for number in range(config.minutes):
            measured = await paced(guests, cycles_per_second=rate, seconds=config.minute_seconds)
            minutes.append(_minute(measured, memory_bytes=await asyncio.to_thread(_memory, port)))
            tell(_line(number + 1, minutes[-1]))
        return minutes


def _minute(measured: Measured, *, memory_bytes: float) -> Minute:
    return Minute(
        cycles=len(measured.latencies) - measured.refusals,
        refusals=measured.refusals,
        p50_seconds=measured.percentile(0.5),
        p99_seconds=measured.percentile(0.99),
        memory_bytes=memory_bytes,
    )


def _memory(port: int) -> float:
    with urlopen(f"http://{HOST}:{port}/metrics", timeout=30) as answer:  # a fixed scheme and host
        lines = answer.read().decode().splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith(f"{_MEMORY} "))


def _line(number: int, minute: Minute) -> str:
    return (
        f"minute {number}: {minute.cycles} cycles, {minute.refusals} refused, "
        f"p50 {1e3 * minute.p50_seconds:.1f} ms, p99 {1e3 * minute.p99_seconds:.1f} ms, "
        f"{minute.memory_bytes / _MEGABYTE:.0f} MB"
    )


def _table(minutes: Sequence[Minute], config: SoakConfig) -> Table:
    """Return the medians of each quarter of the time."""
    table = Table(title=f"{len(minutes)} minutes at {config.share:.0%} of the peak, medians")
    for name in ("quarter", "cycles/s", "p50 ms", "p99 ms", "MB", "refused"):
        table.add_column(name, justify="right")
    quarter = max(1, len(minutes) // 4)
    for first in range(0, len(minutes), quarter):
        part = minutes[first : first + quarter]
        table.add_row(
            f"{first // quarter + 1}",
            f"{median(each.cycles for each in part) / config.minute_seconds:.0f}",
            f"{1e3 * median(each.p50_seconds for each in part):.1f}",
            f"{1e3 * median(each.p99_seconds for each in part):.1f}",
            f"{median(each.memory_bytes for each in part) / _MEGABYTE:.0f}",
            f"{sum(each.refusals for each in part)}",
        )
    return table
