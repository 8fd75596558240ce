"""`amrs bench catalogue`: what a search, a change and a song's memory cost as the catalogue grows.

Songs are invented between the deployment's own, so that neighbours are as near as among real ones; queries aim
between a few songs, as the policy's do. Everything runs here, in one process, on one thread.
"""

import gc
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Final

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from rich.console import Console
from rich.table import Table

from models.bundle import Bundle
from models.catalogue import Catalogue, Changes, Song, empty_catalogue
from models.errors import ConfigError
from models.repository import repository_in
from service.journal.bundles import live_bundle
from service.journal.songs import read_catalogue
from service.live.directions import directions
from service.live.engine import Engine, open_engine
from service.live.exact import ExactIndex
from service.live.layout import CLASSES, RECALL, Measured, draw_queries, measure_exact, with_more_effort
from service.operations import run_on_journal
from service.settings import Settings

FOUND: Final = 200
"""K: songs asked of a search."""
PAGE: Final = 8192
CHANGES: Final = 20
LINKED_UP_TO: Final = 50_000
"""Songs up to which the graph of neighbours is built here: beyond, that takes longer than all the rest."""
_MEGABYTE: Final = 1e6


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One index over so many songs."""

    song_count: int
    index: str
    chosen: bool
    build_seconds: float
    size_bytes: int
    measured: Measured
    """Searches for `FOUND` songs; recall is of the first 100."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Growth:
    """A worker's catalogue of so many songs."""

    song_count: int
    open_seconds: float
    """From embeddings in memory to an engine that answers."""
    change_seconds: float
    """From one changed song to an engine that gives it, the median; a look at SQL comes on top."""
    bytes_per_song: float
    """Of arrays: embeddings, vectors and keys; titles come on top."""
    rows: tuple[Row, ...]


def bench_catalogue(settings: Settings, song_counts: Sequence[int], *, console: Console) -> list[Growth]:
    """Measure each size with the deployment's live bundle, print the table, and return what was measured.

    Raises:
        ConfigError: no bundle is live.
    """
    bundle, known = _material(settings)
    measured: list[Growth] = []
    for song_count in song_counts:
        with console.status(f"{song_count:,} songs"):
            measured.append(measure_growth(bundle, known, song_count))
        gc.collect()
    console.print(_table(measured))
    return measured


def measure_growth(bundle: Bundle, known: Float[ndarray, "n E"], song_count: int) -> Growth:
    """Measure one size; `known` are embeddings to invent between."""
    space = bundle.manifest.space.name
    rng = np.random.default_rng(song_count)
    catalogue = empty_catalogue(room=song_count)
    for first in range(0, song_count, PAGE):
        count = min(PAGE, song_count - first)
        catalogue = catalogue.after(_songs(first, invent(known, count, rng), space, revision=1))
    began = perf_counter()
    engine = open_engine(bundle, catalogue)
    open_seconds = perf_counter() - began
    change_seconds = float(np.median(list(_changes(engine, invent(known, CHANGES, rng), space))))
    arrays = [*_arrays(catalogue), *(getattr(engine.vectors, name) for name in _VECTORS)]
    return Growth(
        song_count=song_count,
        open_seconds=open_seconds,
        change_seconds=change_seconds,
        bytes_per_song=sum(array.nbytes for array in arrays) / song_count,
        rows=tuple(_indexes(engine)),
    )


def invent(known: Float[ndarray, "n E"], count: int, rng: np.random.Generator) -> Float[ndarray, "c E"]:
    """Return embeddings between three known ones each, spread as the known are, and moved a little."""
    mean, spread = known.mean(axis=0), known.std(axis=0)
    weights = rng.dirichlet([0.5] * 3, count).astype(np.float32)
    weights /= np.linalg.norm(weights, axis=1, keepdims=True)
    mixed = sum(weights[:, [one]] * (known[rng.integers(len(known), size=count)] - mean) for one in range(3))
    noise = rng.standard_normal((count, known.shape[1]), np.float32)
    return np.asarray(mean + mixed + 0.1 * spread * noise, np.float32)


def _indexes(engine: Engine) -> Iterator[Row]:
    """Yield the exact index and each approximate one with the least effort that finds enough, or the most."""
    vectors, space = engine.vectors.index_rows, directions(engine.bundle.projections)
    queries = draw_queries(vectors, space)
    began = perf_counter()
    exact = ExactIndex(vectors)
    build_seconds = perf_counter() - began
    truth, scan = measure_exact(exact, queries, FOUND)
    yield _row(engine, exact.name, build_seconds, exact.size_bytes, scan)
    for kind in CLASSES:
        if kind.kind == "linked" and len(vectors) > LINKED_UP_TO:
            continue
        began = perf_counter()
        base = kind(vectors, space)
        build_seconds = perf_counter() - began
        for measured in with_more_effort(base, queries, truth, FOUND):
            if measured.recall >= RECALL:
                break
        yield _row(engine, base.name, build_seconds, base.size_bytes, measured)


def _row(engine: Engine, name: str, build_seconds: float, size_bytes: int, measured: Measured) -> Row:
    return Row(
        song_count=len(engine.catalogue),
        index=name,
        chosen=engine.index.base_name.partition(" ")[0] == name.partition(" ")[0],
        build_seconds=build_seconds,
        size_bytes=size_bytes,
        measured=measured,
    )


def _changes(engine: Engine, embeddings: Float[ndarray, "c E"], space: str) -> Iterator[float]:
    """Yield the seconds that each of some changed songs takes to be followed."""
    for place in range(len(embeddings)):
        changes = _songs(place, embeddings[[place]], space, revision=engine.catalogue.revision + 1)
        began = perf_counter()
        engine = engine.with_catalogue(engine.catalogue.after(changes))
        yield perf_counter() - began


def _songs(first: int, embeddings: Float[ndarray, "c E"], space: str, *, revision: int) -> Changes:
    return Changes(
        revision=revision,
        songs=[
            Song(song_id=f"song-{first + place}", title=f"Song {first + place}", artist=f"Artist {place % 997}")
            for place in range(len(embeddings))
        ],
        withdrawn=np.zeros(len(embeddings), bool),
        embeddings={space: embeddings},
    )


def _arrays(catalogue: Catalogue) -> list[ndarray]:
    return [
        *map(np.asarray, catalogue.embeddings.values()),
        catalogue.keys,
        catalogue.artists,
        catalogue.withdrawn,
    ]


_VECTORS: Final = ("world_token", "policy_token", "head_hidden", "index_rows", "support_distance", "known")


def _material(settings: Settings) -> tuple[Bundle, Float[ndarray, "n E"]]:
    live = run_on_journal(settings, lambda journal: journal.read(live_bundle))
    if live is None:
        raise ConfigError(
            f"a benchmark needs a live bundle; there is none in {settings.home}: `make run` makes one"
        )
    catalogue = run_on_journal(settings, lambda journal: journal.read(read_catalogue))
    matrix = np.asarray(catalogue.embeddings[live.embedding_space])
    return repository_in(settings.home).open(live.version), matrix[np.isfinite(matrix).all(axis=1)]


def _table(measured: Sequence[Growth]) -> Table:
    table = Table(title=f"Searches for {FOUND} songs, milliseconds; recall of the exact 100 best")
    for name in ("songs", "open s", "change ms", "bytes/song", "index", "build s", "MB", "p50", "p99", "recall"):
        table.add_column(name, justify="left" if name == "index" else "right")
    for growth in measured:
        for place, row in enumerate(growth.rows):
            head = (
                f"{growth.song_count:,}",
                f"{growth.open_seconds:.1f}",
                f"{1e3 * growth.change_seconds:.1f}",
                f"{growth.bytes_per_song:,.0f}",
            )
            table.add_row(
                *(head if place == 0 else ("", "", "", "")),
                f"{row.index}{' (chosen)' if row.chosen else ''}",
                f"{row.build_seconds:.1f}",
                f"{row.size_bytes / _MEGABYTE:.1f}",
                f"{1e3 * row.measured.median_seconds:.2f}",
                f"{1e3 * float(np.percentile(row.measured.seconds, 99)):.2f}",
                f"{row.measured.recall:.3f}",
            )
        table.add_section()
    return table
