"""A listener's known-safe songs: the rung of the fallback ladder that rests on the listener's own word.

A song is known safe when it was played to the end and not disliked at least twice, and was never followed by
a drop in a report (SAFETY, Fallback ladder). Whatever the listener says next of their affect counts, in the same
session or in a later one: who leaves without a word and comes back worse has not vouched for the song.
"""

from collections.abc import Iterator
from typing import Final

import numpy as np
from jaxtyping import Bool, Int
from numpy import ndarray

from models.affect import Signal
from models.listening import Listening

TO_THE_END: Final = 0.95
"""Engagement from which a song counts as played to the end."""
TIMES: Final = 2


def known_safe_songs(listening: Listening, listener: int) -> Int[ndarray, " n"]:
    """Return the keys of one listener's known-safe songs, the longest unheard first."""
    own = listening.select(np.array([listener]))
    followed = _followed_by_drop(own)
    unsafe = set(own.song[followed | (own.rating == 0)].tolist())
    heard = own.song[own.engagement >= TO_THE_END].tolist()
    last_heard = {song: place for place, song in enumerate(own.song.tolist())}
    safe = [song for song in last_heard if song not in unsafe and heard.count(song) >= TIMES]
    return np.array(sorted(safe, key=last_heard.__getitem__), np.int64)


def _followed_by_drop(own: Listening) -> Bool[ndarray, " P"]:
    """Return whether the next report after each play is lower in valence than the last one before it."""
    fell = np.zeros(own.play_count, bool)
    last_report, since = np.nan, 0
    for heard, valence in _reports(own):
        fell[since:heard] = valence < last_report  # False where nothing was ever reported before
        last_report, since = valence, heard
    return fell


def _reports(own: Listening) -> Iterator[tuple[int, float]]:
    """Yield each report as it came: how many songs the listener had heard by then, and the valence."""
    affect = own.feedback[:, Signal.VALENCE]
    for session in range(own.session_count):
        first, end = own.play_start[session : session + 2].tolist()
        said = [(first, own.before[session, 0]), *((play + 1, affect[play]) for play in range(first, end))]
        yield from ((heard, float(valence)) for heard, valence in said if not np.isnan(valence))
