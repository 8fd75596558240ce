"""Candidates, standings and limits for properties: every kind of number, also those that are none."""

import numpy as np
from hypothesis import strategies as st

from models.guardrails import Candidates, Limits, Standing
from models.listening import NO_SONG

ODD = np.array([np.nan, np.inf, -np.inf, 1e30, -1e30])


@st.composite
def limits(draw: st.DrawFn) -> Limits:
    """Return any limits."""
    cap = st.floats(0.01, 1.0)
    return Limits(
        arousal_rise=draw(cap),
        arousal_fall=draw(cap),
        arousal_band=draw(cap),
        valence_fall=draw(cap),
        caution=draw(st.floats(0, 3)),
        unreported_factor=draw(st.floats(0.1, 1)),
        song_gap=draw(st.integers(0, 5)),
        song_gap_hours=draw(st.floats(0, 10)),
        artist_gap=draw(st.integers(0, 5)),
        artist_gap_hours=draw(st.floats(0, 10)),
        support_distance=draw(st.floats(0.1, 5)),
        coverage_floor=draw(st.sampled_from([0.0, 0.5, 1.0])),
        near_tie=draw(st.floats(0, 0.5)),
    )


@st.composite
def situations(draw: st.DrawFn, *, listeners: int | None = None) -> tuple[Candidates, Standing]:
    """Return candidates of some listeners and where they stand; some numbers are not finite."""
    batch = draw(st.integers(1, 3)) if listeners is None else listeners
    songs, members, recent = draw(st.integers(0, 8)), draw(st.integers(1, 4)), draw(st.integers(0, 6))
    odd = draw(st.sampled_from([0.0, 0.1]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))

    def numbers(*shape: int) -> np.ndarray:
        values = rng.random(shape)
        return np.where(rng.random(shape) < odd, rng.choice(ODD, shape), values)

    def keys(*shape: int) -> np.ndarray:
        return rng.integers(NO_SONG, 9, shape)

    return Candidates(
        song=keys(batch, songs),
        artist=keys(batch, songs),
        score=numbers(batch, songs).astype(np.float32),
        predicted=numbers(batch, members, songs, 4).astype(np.float32),
        blocked=rng.random((batch, songs)) < 0.2,
        support_distance=5 * numbers(batch, songs),
    ), Standing(
        estimate=numbers(batch, members, 2),
        anchor=numbers(batch, 2),
        reported=rng.random(batch) < 0.5,
        recent_song=keys(batch, recent),
        recent_artist=keys(batch, recent),
        recent_hours=10 * numbers(batch, recent),
    )


def calm(songs: int = 3, members: int = 2, recent: int = 0) -> tuple[Candidates, Standing]:
    """Return a situation in which nothing speaks against any song; song i has key i and artist 100 + i."""
    song = np.arange(songs)[None]
    return Candidates(
        song=song,
        artist=100 + song,
        score=np.linspace(0.9, 0.5, songs, dtype=np.float32)[None],
        predicted=np.full((1, members, songs, 4), 0.5, np.float32),
        blocked=np.zeros((1, songs), bool),
        support_distance=np.zeros((1, songs)),
    ), Standing(
        estimate=np.full((1, members, 2), 0.5),
        anchor=np.full((1, 2), 0.5),
        reported=np.ones(1, bool),
        recent_song=np.full((1, recent), NO_SONG),
        recent_artist=np.full((1, recent), NO_SONG),
        recent_hours=np.zeros((1, recent)),
    )
