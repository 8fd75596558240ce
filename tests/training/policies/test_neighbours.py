"""Neighbours are the songs of the same sessions, weighed by how late the listener played theirs."""

from dataclasses import replace

import numpy as np
import pytest

from models.catalogue import Catalogue, Song
from models.listening import Listening, song_key
from tests.training.policies.moments import start_moment
from training.policies.neighbours import Neighbours, session_neighbours

NAMES = "abcde"
CATALOGUE = Catalogue(
    songs=[Song(song_id=name) for name in NAMES],
    embeddings={"none": np.zeros((5, 1), np.float32)},
    withdrawn=np.zeros(5, bool),
)


def sessions(*each: str, rating: float = np.nan) -> Listening:
    """One listener's sessions, a letter a song."""
    songs = np.array([song_key(name) for session in each for name in session], np.int64)
    return Listening(
        population=np.zeros(1, np.int64),
        session_start=np.array([0, len(each)]),
        mode=np.zeros(len(each), np.int64),
        started_at=np.arange(len(each)) * 86_400.0,
        before=np.full((len(each), 2), np.nan, np.float32),
        after=np.full((len(each), 2), np.nan, np.float32),
        context=np.zeros((len(each), 0), np.float32),
        play_start=np.cumsum([0, *map(len, each)]),
        song=songs,
        engagement=np.ones(len(songs), np.float32),
        rating=np.full(len(songs), rating, np.float32),
        report=np.full((len(songs), 2), np.nan, np.float32),
        play_mode=np.zeros(len(songs), np.int64),
        played_at=np.full(len(songs), np.nan),
    )


def learned() -> Neighbours:
    """a and b meet in two sessions, b and c in one (where b stands twice), c and d in one; nobody played e."""
    return session_neighbours(sessions("ab", "abcb", "cd"), CATALOGUE)


def scores(listening: Listening) -> np.ndarray:
    return learned().scores(replace(start_moment(), listening=listening))[0]


def test_similarity_is_the_cosine_of_the_sessions_worked_by_hand():
    """a with b: 2/√(2·2) = 1; a with c: 1/√(2·2) = .5; c with d: 1/√(2·1); a song has no similarity to itself."""
    similarity = learned().similarity.toarray()

    assert similarity[0] == pytest.approx([0, 1, 0.5, 0, 0])
    assert similarity[3] == pytest.approx([0, 0, 1 / np.sqrt(2), 0, 0])
    assert np.array_equal(similarity, similarity.T)


def test_the_latest_song_counts_most():
    """After a, then c: c's neighbours count whole, a's half: b .5 + .5·1, d 1/√2, a .5, c .5·.5."""
    assert scores(sessions("a", "c")) == pytest.approx([0.5, 1.0, 0.25, 1 / np.sqrt(2), 0], abs=1e-5)


def test_a_disliked_song_is_asked_for_nothing_and_popularity_breaks_the_tie():
    found = scores(sessions("a", rating=0.0))

    assert np.argsort(-found, kind="stable").tolist() == [1, 0, 2, 3, 4]
    assert found.max() < 1e-5


def test_a_song_that_nobody_played_has_no_neighbours():
    assert scores(sessions("e")).max() < 1e-5
