"""Nearest neighbours: songs that training listeners played in one session with what the listener played last.

The similarity of two songs is the cosine of their sessions: sessions with both over the root of the product of
sessions with each. A song's score is the sum of its similarities to the last songs that were not disliked, the
latest counting most. A song that nobody in training played has no neighbours: ties are broken by popularity.
Source: item-to-item collaborative filtering (Sarwar et al. 2001), with sessions for baskets and 1/position
weights as in Jannach and Ludewig 2017.

Legend: B histories · N songs · S sessions · R recent songs
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from scipy import sparse

from models.affect import Signal
from models.catalogue import Catalogue
from models.listening import Listening
from training.policies.policy import Moment

_TIE: Final = 1e-6
"""What the most popular song is worth without any similarity; far below any similarity."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Neighbours:
    """Item-to-item neighbours by session."""

    catalogue: Catalogue
    similarity: sparse.csr_array
    """N × N; a song is no neighbour of itself."""
    popularity: Float[ndarray, " N"]
    """Plays over those of the most played song."""
    recent_count: int = 10
    """R: how many of the last songs are asked for their neighbours."""

    def scores(self, moment: Moment) -> Float[ndarray, "B N"]:
        """Return how near each song is to what was played last."""
        weights = _recent_weights(moment.listening, self.catalogue, self.recent_count)
        return np.asarray((weights @ self.similarity).toarray() + _TIE * self.popularity)


def session_neighbours(listening: Listening, catalogue: Catalogue) -> Neighbours:
    """Return the neighbours that the sessions of the given listeners make."""
    rows = catalogue.rows(listening.song)
    shape = (listening.session_count, len(catalogue))
    entries = (np.ones(len(rows), np.float32), (listening.session_of_play, rows))
    held = sparse.csr_array(entries, shape=shape, dtype=np.float32)
    held.data[:] = 1.0  # a song twice in a session counts once
    sessions = np.asarray(held.sum(axis=0)).ravel()
    scale = sparse.diags_array(1.0 / np.sqrt(np.maximum(sessions, 1.0)))
    together = (scale @ (held.T @ held) @ scale).tocsr()
    together.setdiag(0.0)
    plays = np.bincount(rows, minlength=len(catalogue))
    return Neighbours(
        catalogue=catalogue, similarity=together, popularity=plays / max(1, int(plays.max(initial=0)))
    )


def _recent_weights(listening: Listening, catalogue: Catalogue, count: int) -> sparse.csr_array:
    """Return, per listener and song, 1/position of the last songs that were not disliked, counted from the end."""
    liked = np.flatnonzero(listening.feedback[:, Signal.RATING] != 0)
    listener = listening.listener_of_session[listening.session_of_play[liked]]
    ends = np.searchsorted(listener, np.arange(listening.listener_count), side="right")
    position = ends[listener] - np.arange(len(liked))  # 1 is the latest
    recent = position <= count
    entries = (1.0 / position[recent], (listener[recent], catalogue.rows(listening.song[liked[recent]])))
    return sparse.csr_array(entries, shape=(listening.listener_count, len(catalogue)))
