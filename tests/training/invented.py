"""Invented listeners with a simple law: everybody rests somewhere, and the first song component lifts them."""

import numpy as np

from models.context import NO_CONTEXT
from models.listening import Listening
from models.tokens import feature_names, tokenise
from training.windows import Histories

NAMES = feature_names(NO_CONTEXT)
SONG_COUNT, SONG_WIDTH = 12, 3


def invent_listening(listener_count: int, *, sessions: int = 4, seed: int = 0) -> Listening:
    """Return listeners with 1 to `sessions` sessions of 1 to 5 plays; a fifth of all sessions go unreported."""
    rng = np.random.default_rng(seed)
    session_counts = rng.integers(1, sessions + 1, listener_count)
    session_count = int(session_counts.sum())
    play_counts = rng.integers(1, 6, session_count)
    play_count = int(play_counts.sum())
    session_of_play = np.repeat(np.arange(session_count), play_counts)
    rest = rng.uniform(0.25, 0.75, (listener_count, 2))[np.repeat(np.arange(listener_count), session_counts)]
    row = rng.integers(0, SONG_COUNT, play_count)
    lift = np.zeros(session_count)
    np.add.at(lift, session_of_play, 0.1 * song_vectors()[row, 0])
    after = np.clip(rest + lift[:, None] + rng.normal(0, 0.03, rest.shape), 0, 1)
    after[rng.random(session_count) < 0.2] = np.nan
    liked = rest[session_of_play, 0] + 0.2 * song_vectors()[row, 1]
    return Listening(
        population=rng.integers(0, 3, listener_count),
        session_start=np.concatenate([[0], np.cumsum(session_counts)]),
        mode=rng.integers(0, 5, session_count),
        started_at=np.arange(session_count) * 86_400.0,
        before=np.clip(rest + rng.normal(0, 0.03, rest.shape), 0, 1).astype(np.float32),
        after=after.astype(np.float32),
        context=np.zeros((session_count, 0), np.float32),
        play_start=np.concatenate([[0], np.cumsum(play_counts)]),
        song=song_keys_of(row),
        engagement=np.clip(liked + rng.normal(0, 0.1, play_count), 0, 1).astype(np.float32),
        rating=np.where(rng.random(play_count) < 0.5, rng.random(play_count) < liked, np.nan).astype(np.float32),
        report=np.full((play_count, 2), np.nan, np.float32),
        play_mode=np.zeros(play_count, np.int64),
        played_at=np.full(play_count, np.nan),
    )


def song_keys_of(row: np.ndarray) -> np.ndarray:
    """Return the invented key of each song row: descending, so that rows and keys are told apart."""
    return 1000 - 7 * row.astype(np.int64)


def song_vectors() -> np.ndarray:
    """Return the songs as networks see them."""
    return np.random.default_rng(99).normal(size=(SONG_COUNT, SONG_WIDTH)).astype(np.float32)


def invent_histories(listener_count: int, *, sessions: int = 4, seed: int = 0) -> Histories:
    """Return the invented listeners' histories."""
    return Histories.of(
        tokenise(invent_listening(listener_count, sessions=sessions, seed=seed), NO_CONTEXT),
        song_keys=song_keys_of(np.arange(SONG_COUNT)),
        song_vectors=song_vectors(),
    )
