"""`amrs bench serve`: cycles per second beside the reference cycle on the same durability; the wait for a song.

One cycle is a recommendation and the feedback on it, both committed before they are answered, so that every
history grows; each round has listeners of its own, so that histories are as long in the last as in the first. The
load runs in this process, the servers in theirs. Each round measures the service and then the reference program,
so that a ratio compares the same minutes of the same machine; medians over the rounds.
"""

import asyncio
import os
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, ExitStack, contextmanager
from dataclasses import dataclass
from socket import create_connection, socket
from statistics import median
from time import monotonic, sleep
from urllib.error import URLError
from urllib.request import urlopen

from rich.console import Console
from rich.table import Table

from models.errors import Unavailable
from service.benchmark.home import benchmark_home
from service.benchmark.load import Client, Listener, Measured, closed_loop, connected, grow, paced
from service.benchmark.reference import DATABASE_VARIABLE, REDIS_VARIABLE
from service.serve import as_environment, shared_resources
from service.settings import Settings

HOST = "127.0.0.1"
Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchmarkConfig:
    """What is measured, and for how long."""

    song_count: int = 7000
    event_count: int = 100
    """Plays in each history before anything is measured."""
    listener_count: int = 16
    """Listeners, and connections, at a time."""
    round_count: int = 5
    round_seconds: float = 5.0
    paced_share: float = 0.7
    """The share of the peak at which the paced load runs."""
    worker_count: int = 1
    """Processes of the service; the reference has one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """One round: the service at its peak, the reference at its own, the service at a share of its peak."""

    peak: Measured
    reference: Measured
    paced: Measured

    @property
    def ratio(self) -> float:
        """Cycles of the service for one of the reference."""
        return self.peak.cycles_per_second / self.reference.cycles_per_second


def bench_serve(
    deployment: Settings, config: BenchmarkConfig, *, database_url: str | None, console: Console
) -> list[Round]:
    """Measure a deployment's live bundle in a home made for it, and print what was found; return the rounds.

    Raises:
        ConfigError: no bundle is live.
        Unavailable: a server did not come up, or refused the load.
    """
    with benchmark_home(deployment, song_count=config.song_count, database_url=database_url) as home:
        rounds = benchmark(home, config, tell=console.print)
        report(rounds, config, described=durability_of(home.database_url), console=console)
    return rounds


def benchmark(settings: Settings, config: BenchmarkConfig, *, tell: Tell) -> list[Round]:
    """Measure a furnished home; return the rounds.

    Raises:
        Unavailable: a server did not come up, or refused the load.
    """
    with ExitStack() as stack:
        shared = stack.enter_context(shared_resources(settings))
        port = stack.enter_context(running_service(shared, worker_count=config.worker_count))
        reference_port = stack.enter_context(_reference(shared))
        return asyncio.run(_measure(port, reference_port, config, tell))


async def _measure(port: int, reference_port: int, config: BenchmarkConfig, tell: Tell) -> list[Round]:
    async with AsyncExitStack() as stack:

        async def clients(at: int) -> list[Client]:
            return [await stack.enter_async_context(connected(HOST, at)) for _ in range(config.listener_count)]

        ours, theirs = await clients(port), _listeners(await clients(reference_port), "reference")
        tell(f"each round, {len(ours)} new histories of {config.event_count} plays")
        rounds = []
        for number in range(config.round_count):
            fresh = _listeners(ours, f"bench-{number}")
            await asyncio.gather(*(listener.start() for listener in fresh))
            await _sound(grow(fresh, cycles=config.event_count))
            peak = await _sound(closed_loop(fresh, seconds=config.round_seconds))
            reference = await _sound(closed_loop(theirs, seconds=config.round_seconds))
            rate = peak.cycles_per_second * config.paced_share
            steady = await _sound(paced(fresh, cycles_per_second=rate, seconds=config.round_seconds))
            rounds.append(Round(peak=peak, reference=reference, paced=steady))
            tell(
                f"round {number + 1}: {peak.cycles_per_second:.0f} cycles/s, "
                f"reference {reference.cycles_per_second:.0f}, ratio {rounds[-1].ratio:.3f}, "
                f"p99 {peak.percentile(0.99) * 1000:.1f} ms, at {config.paced_share:.0%} of the peak "
                f"{steady.percentile(0.99) * 1000:.1f} ms"
            )
        return rounds


def _listeners(clients: Sequence[Client], name: str) -> list[Listener]:
    """Return a new listener for each connection."""
    return [
        Listener(client, f"{name}-{place}", f"{name}-{os.getpid()}-{place}")
        for place, client in enumerate(clients)
    ]


async def _sound(load: Awaitable[Measured]) -> Measured:
    measured = await load
    if measured.refusals:
        raise Unavailable(f"{measured.refusals} of {len(measured.latencies)} cycles were refused")
    return measured


def report(rounds: list[Round], config: BenchmarkConfig, *, described: str, console: Console) -> None:
    """Print the medians over the rounds."""
    console.print(
        f"{config.song_count:,} songs, histories of {config.event_count} plays and more, "
        f"{config.listener_count} connections, workers: {config.worker_count}; {described}"
    )
    table = Table("median of rounds", "cycles/s", "p50 ms", "p95 ms", "p99 ms", "silences")
    for name, measured in (
        ("service, peak", [each.peak for each in rounds]),
        (f"service, {config.paced_share:.0%} of its peak", [each.paced for each in rounds]),
        ("reference, peak", [each.reference for each in rounds]),
    ):
        rate = median(each.cycles_per_second for each in measured)
        percentiles = [median(each.percentile(share) for each in measured) for share in (0.5, 0.95, 0.99)]
        silences = sum(each.silences for each in measured)
        table.add_row(name, f"{rate:.0f}", *(f"{value * 1000:.1f}" for value in percentiles), str(silences))
    console.print(table)
    console.print(f"ratio to the reference: {median(each.ratio for each in rounds):.3f}")


def durability_of(database_url: str) -> str:
    """Return in words which database is written to and what a commit survives."""
    if database_url.startswith("sqlite"):
        return "SQLite, WAL, synchronous=FULL: a commit survives the loss of power"
    return "PostgreSQL, synchronous_commit=on: a commit survives the loss of power"


@contextmanager
def running_service(settings: Settings, *, worker_count: int = 1) -> Iterator[int]:
    """Give the port of a service that is ready; it has ended afterwards.

    Raises:
        Unavailable: it did not come up.
    """
    port = _free_port()
    chosen = settings.model_copy(update={"port": port, "workers": worker_count})
    program = "from service.serve import serve; from service.settings import Settings; serve(Settings())"
    with _running([sys.executable, "-c", program], as_environment(chosen)):
        _wait_until(lambda: _is_ready(port))
        yield port


@contextmanager
def _reference(settings: Settings) -> Iterator[int]:
    port = _free_port()
    command = [sys.executable, "-m", "uvicorn", "service.benchmark.reference:create_app", "--factory"]
    command += ["--host", HOST, "--port", str(port), "--loop", "uvloop", "--http", "httptools"]
    command += ["--no-access-log", "--log-level", "warning", "--timeout-keep-alive", "600"]
    environment = {REDIS_VARIABLE: str(settings.redis_url), DATABASE_VARIABLE: settings.database_url}
    with _running(command, environment):
        _wait_until(lambda: _listens(port))
        yield port


@contextmanager
def _running(command: list[str], environment: Mapping[str, str]) -> Iterator[None]:
    quiet = subprocess.DEVNULL
    process = subprocess.Popen(command, env={**os.environ, **environment}, stdout=quiet, stderr=quiet)
    try:
        yield
    finally:
        process.terminate()
        process.wait()


def _free_port() -> int:
    with socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def _is_ready(port: int) -> bool:
    try:
        with urlopen(f"http://{HOST}:{port}/readyz", timeout=1) as answer:  # a fixed scheme and host
            return bool(answer.status == 200)
    except (URLError, OSError):
        return False


def _listens(port: int) -> bool:
    try:
        with create_connection((HOST, port), timeout=1):
            return True
    except OSError:
        return False


def _wait_until(holds: Callable[[], bool], *, seconds: float = 30) -> None:
    until = monotonic() + seconds
    while not holds():
        if monotonic() > until:
            raise Unavailable(f"a server did not come up within {seconds:g} s")
        sleep(0.05)
