"""The fallback ladder, widest rung first: each gives its candidates only when the one before allowed nothing."""

from collections.abc import Callable, Iterator

import numpy as np
from jaxtyping import Int
from numpy import ndarray

from models.guardrails import WIDER, Candidates, Rung
from models.listening import NO_SONG
from service.live.engine import Engine
from service.recommend.encode import Encoded
from service.recommend.guard import candidates
from service.recommend.match import match
from service.recommend.stopwatch import Stopwatch
from service.recommend.view import View


def ladder(
    engine: Engine, view: View, encoded: Encoded, excluded: Int[ndarray, " n"], watch: Stopwatch
) -> Iterator[tuple[Rung, Callable[[], Candidates]]]:
    """Yield the rungs. On the last two people chose songs and order, and a song's score is minus its place."""
    proposed = engine.bundle.manifest.candidate_count
    yield Rung.POLICY, lambda: _nearest(engine, view, encoded, excluded, proposed, watch)
    yield Rung.WIDER, lambda: _nearest(engine, view, encoded, excluded, WIDER * proposed, watch)
    yield Rung.KNOWN_SAFE, lambda: _listed(engine, view, encoded, excluded, _known_safe(engine, view), watch)
    yield Rung.APPROVED, lambda: _listed(engine, view, encoded, excluded, engine.approved[view.mode], watch)


def _nearest(
    engine: Engine, view: View, encoded: Encoded, excluded: Int[ndarray, " n"], count: int, watch: Stopwatch
) -> Candidates:
    with watch("match"):
        rows, scores = match(engine, encoded.query, count, excluded)
    with watch("predict"):
        return candidates(engine, encoded, rows, scores, view.blocks)


def _listed(
    engine: Engine,
    view: View,
    encoded: Encoded,
    excluded: Int[ndarray, " n"],
    listed: Int[ndarray, " l"],
    watch: Stopwatch,
) -> Candidates:
    with watch("match"):
        rows = listed[np.isin(listed, excluded, invert=True)][: engine.bundle.manifest.candidate_count]
        scores = -np.arange(len(rows), dtype=np.float32)
    with watch("predict"):
        return candidates(engine, encoded, rows, scores, view.blocks)


def _known_safe(engine: Engine, view: View) -> Int[ndarray, " n"]:
    rows = engine.catalogue.rows(view.known_safe())
    return rows[rows != NO_SONG]
