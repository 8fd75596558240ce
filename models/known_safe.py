"""A listener's known-safe songs: the rung of the fallback ladder that rests on the listener's own word.

A song is known safe when it was played to the end and not disliked at least twice, and was never followed by
a drop in a report (SAFETY, Fallback ladder).
"""

from typing import Final

import numpy as np
from jaxtyping import Bool, Int
from numpy import ndarray

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
    """Return whether, within its session, the next report after each play is lower in valence than the last."""
    fell = np.zeros(own.play_count, bool)
    affect = own.feedback[:, 2]
    for session in range(own.session_count):
        last_report = own.before[session, 0]
        since: list[int] = []
        for play in range(own.play_start[session], own.play_start[session + 1]):
            since.append(play)
            if not np.isnan(affect[play]):
                fell[since] = bool(affect[play] < last_report)  # False where nothing was reported before
                last_report, since = affect[play], []
    return fell
