"""Which base a catalogue's songs are laid out in: exact up to where that stops paying, then by measured recall.

The classes are tried in turn, each with more effort until it finds enough of what the exact one finds; the first
that does, and is quicker, is taken. None may be: then it is the exact one.

Legend: N rows of the catalogue · Q width of a query · T queries tried
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from time import perf_counter
from typing import Final

import numpy as np
import structlog
from jaxtyping import Bool, Float, Int
from numpy import ndarray

from models.bundle import Projections
from service.live.directions import Directions, directions
from service.live.exact import ExactIndex
from service.live.index import Base, SongIndex
from service.live.inverted import InvertedIndex
from service.live.linked import LinkedIndex
from service.live.quantised import QuantisedIndex

EXACT_UP_TO: Final = 20_000
"""Songs up to which the exact scan is kept unmeasured: it takes well under a millisecond."""
RECALL: Final = 0.98
"""The share of the exact 100 best songs that an approximate index must find on average."""
AT: Final = 100
TRIED: Final = 100
"""Queries a class is measured by."""
AIMED: Final = 5
"""A query aims between so many songs, as the policy's do: at a taste, not at a song."""
CLASSES: Final = (QuantisedIndex, InvertedIndex, LinkedIndex)

Timer = Callable[[], float]
Approximate = QuantisedIndex | InvertedIndex | LinkedIndex

_log = structlog.get_logger("amrs.live")


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What a base does, measured here and now."""

    recall: float
    """Of the exact 100 best."""
    seconds: Float[ndarray, " T"]
    """Of each search."""

    @property
    def median_seconds(self) -> float:
        """Half of the searches take no longer."""
        return float(np.median(self.seconds))


def lay_out(
    vectors: Float[ndarray, "N Q"],
    allowed: Bool[ndarray, " N"],
    projections: Projections,
    *,
    exact_up_to: int = EXACT_UP_TO,
    timer: Timer = perf_counter,
) -> SongIndex:
    """Return an index over all rows that are allowed, without newcomers.

    Args:
        vectors: the projected vector of every row.
        allowed: which rows may be given.
        projections: the bundle's, which say in which directions songs differ.
        exact_up_to: songs up to which nothing is measured.
        timer: tells seconds; what is quicker is measured by it.
    """
    rows = np.flatnonzero(allowed)
    held = vectors if len(rows) == len(vectors) else vectors[rows]
    return SongIndex(_base(held, projections, exact_up_to, timer), rows, vectors, allowed, laid_out=len(vectors))


def _base(vectors: Float[ndarray, "n Q"], projections: Projections, exact_up_to: int, timer: Timer) -> Base:
    exact = ExactIndex(vectors)
    if len(vectors) <= exact_up_to:
        return exact
    space = directions(projections)
    queries = draw_queries(vectors, space)
    truth, scan = measure_exact(exact, queries, AT, timer)
    for kind in CLASSES:
        base = kind(vectors, space)
        for measured in with_more_effort(base, queries, truth, AT, timer):
            if measured.recall >= RECALL and measured.median_seconds < scan.median_seconds:
                _log.info("songs laid out", index=base.name, song_count=len(base), recall=measured.recall)
                return base
    return exact


def draw_queries(vectors: Float[ndarray, "n Q"], space: Directions) -> Float[ndarray, "T Q"]:
    """Return queries like the policy's, always the same ones for the same songs."""
    chosen = np.random.default_rng(0).integers(len(vectors), size=TRIED * AIMED)
    between = space.songs(vectors[chosen]).reshape(TRIED, AIMED, -1).mean(axis=1)
    lengths = np.linalg.norm(between, axis=1, keepdims=True)
    return space.aimed_at(between / np.where(lengths > 0, lengths, 1))


def measure_exact(
    exact: ExactIndex, queries: Float[ndarray, "T Q"], count: int, timer: Timer = perf_counter
) -> tuple[list[Int[ndarray, " found"]], Measured]:
    """Return what the exact index finds of each query, and what that costs."""
    found, seconds = _searched(exact, queries, count, timer)
    return [places[:AT] for places in found], Measured(recall=1.0, seconds=seconds)


def with_more_effort(
    base: Approximate,
    queries: Float[ndarray, "T Q"],
    truth: list[Int[ndarray, " found"]],
    count: int,
    timer: Timer = perf_counter,
) -> Iterator[Measured]:
    """Yield how an index does with each effort, the least first; it keeps the last one asked for."""
    for effort in base.efforts:
        base.effort = effort
        found, seconds = _searched(base, queries, count, timer)
        shares = [
            len(np.intersect1d(places[:AT], best)) / max(1, len(best))
            for places, best in zip(found, truth, strict=True)
        ]
        yield Measured(recall=float(np.mean(shares)), seconds=seconds)


def _searched(
    base: Base, queries: Float[ndarray, "T Q"], count: int, timer: Timer
) -> tuple[list[Int[ndarray, " found"]], Float[ndarray, " T"]]:
    found, seconds = [], []
    for query in queries:
        began = timer()
        places, _ = base.search(query, count)
        seconds.append(timer() - began)
        found.append(places)
    return found, np.array(seconds)
