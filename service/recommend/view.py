"""What the road is given of a listener: values, read once, whoever read them.

Legend: R songs offered lately
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from models.guardrails import Limits
from models.listening import Listening, Mode
from service.memory.state import Blocks


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Offered:
    """The songs offered lately, the latest first, answered or not: what the repetition rule counts."""

    song: Int[ndarray, " R"]
    artist: Int[ndarray, " R"]
    """Keys as `Catalogue.artists` holds them."""
    at: Float[ndarray, " R"]
    """Unix seconds, UTC; NaN where unknown, which counts as now."""

    def after(self, song: int, artist: int, at: float) -> "Offered":
        """Return the same with one more song, the latest."""
        return Offered(
            song=np.concatenate([[song], self.song]),
            artist=np.concatenate([[artist], self.artist]),
            at=np.concatenate([[at], self.at]),
        )


NOTHING_OFFERED = Offered(song=np.zeros(0, np.int64), artist=np.zeros(0, np.int64), at=np.zeros(0))


NO_SONGS: Final = np.zeros(0, np.int64)
"""No song keys."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class View:
    """One listener as the road sees them."""

    listening: Listening
    """A batch of one; the last session is the open one. Played songs only: observations, nothing imputed."""
    mode: Mode
    """The mode now in force."""
    offered: Offered = NOTHING_OFFERED
    blocks: Blocks = field(default_factory=Blocks)
    limits: Limits | None = None
    """The listener's own limits: they can tighten the bundle's, never loosen them."""
    waiting: int = 0
    """Songs offered in the session since the last one whose feedback is known: what the intervals' step counts."""
    known_safe: Callable[[], Int[ndarray, " n"]] = lambda: NO_SONGS
    """Gives the keys of the listener's known-safe songs, best first; asked only on that rung of the ladder."""

    def after(self, song: int, artist: int, *, engagement: float, at: float) -> "View":
        """Return the view as if a song had been offered, and played with this engagement and nothing else."""
        return replace(
            self,
            listening=self.listening.with_play(
                np.array([song]), np.array([engagement]), np.array([at]), np.array([int(self.mode)])
            ),
            offered=self.offered.after(song, artist, at),
            waiting=self.waiting + 1,
        )
