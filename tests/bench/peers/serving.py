"""Starts a peer with a private Redis and a fresh database, and ends it for sure; how it is spoken to."""

import asyncio
import os
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from socket import socket
from tempfile import TemporaryDirectory
from time import monotonic, perf_counter, sleep
from typing import Final

from models.errors import Unavailable
from service.benchmark.load import Listener, Measured, connected
from service.memory.embedded import embedded_redis, end_with_parent
from tests.bench.peers.job import JobConfig
from tests.bench.peers.processes import MARK, Belonging

HOST: Final = "127.0.0.1"
ROOT: Final = Path(__file__).parents[3]
START_SECONDS: Final = 120.0
STOP_SECONDS: Final = 15.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What a peer answered when it was asked for a song."""

    status: int
    recommendation_id: str = ""
    song_id: str = ""


@dataclass(slots=True)
class PeerListener(Listener):
    """A listener who speaks as one peer wants to be spoken to."""

    async def ask(self) -> Answer:
        """Ask for a song."""
        raise NotImplementedError

    async def tell(self, recommendation_id: str, *, engagement: float, rating: float) -> int:
        """Tell what became of it; return the status."""
        raise NotImplementedError

    async def cycle(self, measured: Measured, *, since: float) -> None:
        number = next(self.numbers)
        answer = await self.ask()
        measured.latencies.append(perf_counter() - since)
        if answer.status != 200:
            measured.refusals += 1
            return
        status = await self.tell(answer.recommendation_id, engagement=(number % 10) / 10, rating=float(number % 2))
        measured.refusals += status != 200


@dataclass(slots=True)
class JsonListener(PeerListener):
    """Speaks JSON to two paths, as most peers let a program of one's own decide."""

    async def ask(self) -> Answer:
        status, said = await self.client.post("/recommend", {"listener_id": self.listener_id})
        return Answer(status, said["recommendation_id"], said["song_id"]) if status == 200 else Answer(status)

    async def tell(self, recommendation_id: str, *, engagement: float, rating: float) -> int:
        body = {
            "recommendation_id": recommendation_id,
            "listener_id": self.listener_id,
            "engagement": engagement,
            "rating": rating,
        }
        status, _ = await self.client.post("/feedback", body)
        return status


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuning:
    """What can be turned: see `JobConfig`."""

    workers: int = 1
    batch: int = 16
    wait_ms: float = 0.0

    def __str__(self) -> str:
        return f"{self.workers} worker{'s' * (self.workers > 1)}, batch {self.batch}, wait {self.wait_ms:g} ms"


def grid(*, waits_ms: tuple[float, ...] = (0, 1, 2)) -> tuple[Tuning, ...]:
    """Return every tuning that is tried; a batch of one waits for nobody."""
    return tuple(
        Tuning(workers=workers, batch=batch, wait_ms=wait_ms)
        for workers in (1, 2)
        for batch in (1, 8, 16)
        for wait_ms in (waits_ms if batch > 1 else waits_ms[:1])
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """One serving framework with the job written for it."""

    name: str
    command: Callable[[Path, JobConfig, Path], list[str]]
    """Makes the command line of an interpreter, a configuration and an empty folder."""
    listener: type[PeerListener]
    tuning: Tuning
    """The best of those tried (README.md)."""
    grid: tuple[Tuning, ...]
    """Those tried."""
    environment: Mapping[str, str] = field(default_factory=dict)
    may_stand_still: bool = True
    """Whether it bears to be stopped and to go on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """What every peer serves."""

    bundle: Path
    songs: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """A peer that answers."""

    config: JobConfig
    processes: Belonging


@contextmanager
def running(peer: Peer, python: Path, material: Material, *, tuning: Tuning | None = None) -> Iterator[Running]:
    """Give a peer that has gone round once; nothing of it is left afterwards.

    Raises:
        Unavailable: it does not come up; what it said is part of the message.
    """
    chosen = tuning or peer.tuning
    with TemporaryDirectory(prefix="amrs-peer-") as name, ExitStack() as stack:
        folder = Path(name)
        config = JobConfig(
            bundle=material.bundle,
            songs=material.songs,
            redis_url=stack.enter_context(embedded_redis(folder)),
            database=folder / "peer.db",
            port=free_port(),
            workers=chosen.workers,
            batch=chosen.batch,
            wait_ms=chosen.wait_ms,
        )
        processes = Belonging()
        talk = stack.enter_context((folder / "talk.txt").open("w+b"))
        environment = {**os.environ, **_OWN_THREAD, **peer.environment, **config.as_environment()}
        scratch = folder / "scratch"
        scratch.mkdir()
        process = subprocess.Popen(
            peer.command(python, config, scratch),
            env=environment | {"PYTHONPATH": str(ROOT), MARK: processes.mark},
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=talk,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=end_with_parent,  # should this process be killed
        )
        stack.callback(_end, process, processes)
        try:
            _await_cycle(peer, config, process)
        except Unavailable as problem:
            talk.seek(0)
            said = talk.read()[-4000:].decode(errors="replace")
            raise Unavailable(f"{peer.name}: {problem}; it said:\n{said}") from None
        yield Running(config=config, processes=processes)


_OWN_THREAD: Final = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
"""Processes are the workers, there as here."""


def _end(process: subprocess.Popen[bytes], processes: Belonging) -> None:
    """Ask the first process to end, and end whatever is left."""
    processes.go_on()
    with processes.ending():
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(STOP_SECONDS)
    process.wait()


def _await_cycle(peer: Peer, config: JobConfig, process: subprocess.Popen[bytes]) -> None:
    until = monotonic() + START_SECONDS
    while not asyncio.run(_goes_round(peer, config)):
        if process.poll() is not None:
            raise Unavailable(f"it ended with status {process.returncode}")
        if monotonic() > until:
            raise Unavailable(f"it did not answer within {START_SECONDS:g} s")
        sleep(0.1)


async def _goes_round(peer: Peer, config: JobConfig) -> bool:
    measured = Measured()
    try:
        async with asyncio.timeout(START_SECONDS), connected(HOST, config.port) as client:
            await peer.listener(client, "first", "first").cycle(measured, since=perf_counter())
    except (OSError, EOFError, ValueError, RuntimeError):  # nobody there, hung up, or an answer of another shape
        return False
    return not measured.refusals


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])
