"""Cycles per second here and on four serving frameworks: `python -m tests.bench.peers.compare HOME --python P=…`.

The same whole job, each peer in an environment of its own (README.md), one after another in every round: the
service with one worker, then each peer as it was tuned. Whoever is not measured stands still. `--tune` measures
each peer in every tuning of its grid instead.
"""

import argparse
import asyncio
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import time
from typing import Final

import numpy as np
from redis import Redis
from rich.console import Console
from rich.table import Table

from models.errors import Unavailable
from models.guardrails import OFFERS_KNOWN
from service.benchmark.home import benchmark_home
from service.benchmark.load import Listener, Measured, closed_loop, connected, grow
from service.benchmark.serve import running_service as service_of
from service.journal.bundles import live_bundle
from service.journal.journal import JournalConfig, open_journal
from service.journal.songs import read_catalogue
from service.serve import shared_resources, stopping_on_sigterm
from service.settings import Settings
from tests.bench.peers.bentoml.peer import BENTOML
from tests.bench.peers.choosing import pack_play, write_songs
from tests.bench.peers.job import history_key
from tests.bench.peers.litserve.peer import LITSERVE
from tests.bench.peers.markdown import as_markdown
from tests.bench.peers.mlserver.peer import MLSERVER
from tests.bench.peers.processes import Belonging
from tests.bench.peers.ray_serve.peer import RAY_SERVE
from tests.bench.peers.serving import HOST, Material, Peer, Running, Tuning, running

PEERS: Final[Mapping[str, Peer]] = {
    "litserve": LITSERVE,
    "bentoml": BENTOML,
    "mlserver": MLSERVER,
    "ray_serve": RAY_SERVE,
}
Page = tuple[list[str], list[list[str]]]
"""The head and the rows of a table."""
HEAD: Final = ["whole job", "tuning", "cycles/s", "p50 ms", "p99 ms", "CPU ms a cycle"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CompareConfig:
    """What is measured, and for how long."""

    song_count: int = 7000
    event_count: int = 100
    """Plays in each history before anything is measured."""
    listener_count: int = 16
    """Listeners, and connections, at a time."""
    round_count: int = 5
    round_seconds: float = 5.0
    warm_seconds: float = 1.0
    """How long each goes round before the clock runs."""
    workers: tuple[int, ...] = (1, 2)
    batches: tuple[int, ...] = (1, 8, 16)
    waits_ms: tuple[float, ...] = (0, 1, 2)
    """Which tunings of a grid are tried."""

    def tries(self, tuning: Tuning) -> bool:
        """Whether a tuning of a grid is tried."""
        return tuning.workers in self.workers and tuning.batch in self.batches and tuning.wait_ms in self.waits_ms


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """What one contender did in one turn."""

    measured: Measured
    cpu_seconds: float
    """Of the processor, in all its processes; Redis and the load are not among them."""

    @property
    def rate(self) -> float:
        """Whole cycles in a second."""
        return self.measured.cycles_per_second

    @property
    def cpu_ms(self) -> float:
        """Milliseconds of the processor for a whole cycle."""
        return 1000 * self.cpu_seconds / (self.rate * self.measured.seconds)


@dataclass(frozen=True, slots=True, kw_only=True)
class Contender:
    """One of those compared."""

    name: str
    described: str
    port: int
    listeners: Sequence[Listener]
    processes: Belonging
    may_stand_still: bool = True

    def stand_still(self) -> None:
        """Wait for the next turn without taking any time."""
        if self.may_stand_still:
            self.processes.stand_still()

    async def turn(self, config: CompareConfig) -> Turn:
        """Return what one turn saw; connections are new ones, for idle ones may have been closed.

        Raises:
            Unavailable: a cycle was refused, or brought no song.
        """
        self.processes.go_on()
        async with AsyncExitStack() as stack:
            for listener in self.listeners:
                listener.client = await stack.enter_async_context(connected(HOST, self.port))
            for length in (config.warm_seconds, config.round_seconds):
                before = self.processes.cpu_seconds()
                measured = await closed_loop(list(self.listeners), seconds=length)
                cpu_seconds = self.processes.cpu_seconds() - before
                if fruitless := measured.refusals + measured.silences:
                    raise Unavailable(
                        f"{self.name} gave no song in {fruitless} of {len(measured.latencies)} cycles: refused, "
                        f"or silent, as for listeners who were offered {OFFERS_KNOWN} songs in a day"
                    )
        self.stand_still()
        return Turn(measured=measured, cpu_seconds=cpu_seconds)


@contextmanager
def material_of(home: Settings) -> Iterator[Material]:
    """Give what the live bundle of a furnished home is made of, as the peers read it."""
    version, song_ids, embeddings = asyncio.run(_read(home))
    with TemporaryDirectory(prefix="amrs-material-") as folder:
        write_songs(Path(folder, "songs.npz"), song_ids, embeddings)
        yield Material(bundle=home.home / "bundles" / version, songs=Path(folder, "songs.npz"))


async def _read(home: Settings) -> tuple[str, list[str], np.ndarray]:
    patient = JournalConfig(read_timeout_seconds=60.0)
    async with open_journal(home.database_url, config=patient) as journal:
        live = await journal.read(live_bundle)
        catalogue = await journal.read(read_catalogue)
    rows = np.flatnonzero(~catalogue.withdrawn)
    song_ids = [catalogue.songs[row].song_id for row in rows.tolist()]
    return live.version, song_ids, np.asarray(catalogue.embeddings[live.embedding_space])[rows]


@contextmanager
def ours(home: Settings, config: CompareConfig) -> Iterator[Contender]:
    """Give the service with one worker, its histories grown through its own front door."""
    processes = Belonging()
    with shared_resources(home) as shared, ExitStack() as stack:
        with processes.inherited():
            port = stack.enter_context(service_of(shared))
        stack.callback(processes.go_on)

        async def furnish() -> list[Listener]:
            async with AsyncExitStack() as stack:
                listeners = [
                    Listener(await stack.enter_async_context(connected(HOST, port)), name, name)
                    for name in listener_names(config)
                ]
                await asyncio.gather(*(listener.start() for listener in listeners))
                await grow(listeners, cycles=config.event_count)
            return listeners

        listeners = asyncio.run(furnish())
        processes.stand_still()
        yield Contender(name="service", described="1 worker", port=port, listeners=listeners, processes=processes)


@contextmanager
def theirs(
    peer: Peer, python: Path, material: Material, config: CompareConfig, *, tuning: Tuning | None = None
) -> Iterator[Contender]:
    """Give a peer, its histories written where it reads them; it stands still."""
    with running(peer, python, material, tuning=tuning) as run:
        seed(run, material, config)
        contender = Contender(
            name=peer.name,
            described=str(tuning or peer.tuning),
            port=run.config.port,
            listeners=[peer.listener(None, name, name) for name in listener_names(config)],
            processes=run.processes,
            may_stand_still=peer.may_stand_still,
        )
        contender.stand_still()
        yield contender


def listener_names(config: CompareConfig) -> list[str]:
    """Return the listeners of one contender."""
    return [f"bench-{place}" for place in range(config.listener_count)]


def seed(run: Running, material: Material, config: CompareConfig) -> None:
    """Write histories of random songs into a peer's Redis."""
    rng = np.random.default_rng(0)
    with np.load(material.songs, allow_pickle=False) as held:
        song_ids = held["song_ids"].tolist()
    with Redis.from_url(run.config.redis_url) as redis:
        for name in listener_names(config):
            songs = rng.choice(len(song_ids), config.event_count)
            plays = [
                pack_play(song_ids[row], engagement=place % 10 / 10, rating=place % 2, at=time())
                for place, row in enumerate(songs.tolist())
            ]
            redis.set(history_key(name), b"".join(plays))


async def in_rounds(contenders: Sequence[Contender], config: CompareConfig) -> list[list[Turn]]:
    """Return each contender's turns."""
    turns: list[list[Turn]] = [[] for _ in contenders]
    for _ in range(config.round_count):
        for place, contender in enumerate(contenders):
            turns[place].append(await contender.turn(config))
    return turns


def table_of(contenders: Sequence[Contender], turns: Sequence[Sequence[Turn]]) -> Page:
    """Return one row a contender: medians over its turns, and the first's cycles for one of its own."""
    head = [*HEAD, f"{contenders[0].name} to it"]
    rows = []
    for contender, own in zip(contenders, turns, strict=True):
        ratio = median(first.rate / turn.rate for first, turn in zip(turns[0], own, strict=True))
        percentiles = [median(turn.measured.percentile(share) for turn in own) for share in (0.5, 0.99)]
        rows.append(
            [
                contender.name,
                contender.described,
                f"{median(turn.rate for turn in own):,.0f}",
                *(f"{1000 * seconds:.1f}" for seconds in percentiles),
                f"{median(turn.cpu_ms for turn in own):.2f}",
                f"{ratio:.2f}×",
            ]
        )
    return head, rows


def compare(home: Settings, pythons: Mapping[str, Path], config: CompareConfig) -> Page:
    """Measure the service and each peer in turns; return the table."""
    with ExitStack() as stack:
        material = stack.enter_context(material_of(home))
        contenders = [stack.enter_context(ours(home, config))]
        contenders += [
            stack.enter_context(theirs(PEERS[name], python, material, config)) for name, python in pythons.items()
        ]
        return table_of(contenders, asyncio.run(in_rounds(contenders, config)))


def tune(home: Settings, pythons: Mapping[str, Path], config: CompareConfig) -> Page:
    """Measure each peer in every tuning of its grid, each started anew; return the table, a peer's best first."""
    rows: list[list[str]] = []
    with material_of(home) as material:
        for name, python in pythons.items():
            found = [
                _tuned(PEERS[name], python, material, config, tuning)
                for tuning in PEERS[name].grid
                if config.tries(tuning)
            ]
            rows += [row for _, row in sorted(found, key=lambda each: -each[0])]
    return HEAD, rows


def _tuned(
    peer: Peer, python: Path, material: Material, config: CompareConfig, tuning: Tuning
) -> tuple[float, list[str]]:
    """Return the cycles per second in one tuning, and its row, which is also told at once."""
    with theirs(peer, python, material, config, tuning=tuning) as contender:
        turns = asyncio.run(in_rounds([contender], config))
    (row,) = table_of([contender], turns)[1]
    print(*row[:-1], sep=" | ", file=sys.stderr, flush=True)
    return median(turn.rate for turn in turns[0]), row[:-1]


def named_path(said: str) -> tuple[str, Path]:
    """Return a peer's name and a path.

    Raises:
        ArgumentTypeError: there is no such peer, or no such file.
    """
    name, _, path = said.partition("=")
    if name not in PEERS or not Path(path).is_file():
        raise argparse.ArgumentTypeError(
            f"expected one of {', '.join(PEERS)}, `=` and an interpreter; got {said!r}"
        )
    return name, Path(path)


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("home", type=Path, help="of a deployment with a live bundle; it is only read")
    parser.add_argument(
        "--python", type=named_path, action="append", required=True, metavar="PEER=PATH", help="who has the peer"
    )
    parser.add_argument("--rounds", type=int, default=5, help="medians are taken over them")
    parser.add_argument("--seconds", type=float, default=5.0, help="of each turn")
    parser.add_argument("--plays", type=int, default=100, help="in each history before anything is measured")
    parser.add_argument("--tune", action="store_true", help="measure every tuning of each peer instead")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2], help="that `--tune` tries")
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 8, 16], help="that `--tune` tries")
    parser.add_argument("--waits", type=float, nargs="+", default=[0, 1, 2], help="in ms, that `--tune` tries")
    parser.add_argument("--markdown", action="store_true", help="print the table for a page")
    arguments = parser.parse_args()
    config = CompareConfig(
        event_count=arguments.plays,
        round_count=arguments.rounds,
        round_seconds=arguments.seconds,
        workers=tuple(arguments.workers),
        batches=tuple(arguments.batches),
        waits_ms=tuple(arguments.waits),
    )
    measure = tune if arguments.tune else compare
    deployment = Settings(home=arguments.home)
    with (
        stopping_on_sigterm(),
        benchmark_home(deployment, song_count=config.song_count, database_url=None) as home,
    ):
        head, rows = measure(home, dict(arguments.python), config)
    if arguments.markdown:
        print(as_markdown(head, rows))
        return
    table = Table(*head)
    for row in rows:
        table.add_row(*row)
    Console().print(table)


if __name__ == "__main__":
    main()
