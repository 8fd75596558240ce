"""Differences between two bundles on one request: what the shadow would have given beside what was given.

Nothing here names a song or a listener; the differences are summed and the sums are kept.
"""

from typing import Final

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from models.affect import SIGNALS
from models.guardrails import Rung
from service.recommend.recommend import Outcome, Recommended

FIRST: Final = 10
"""The songs compared by rank: those that a bundle would put first, vetoes aside."""
SAME_SONG: Final = "shadow same song"
OVERLAP: Final = "shadow overlap"
ERROR: Final = "shadow error"
DROPPED: Final = "shadow dropped"
RUNGS: Final = ("fell back more", "fell back less", "refused more", "refused less")
"""How the shadow may stand on another rung than the bundle that answered."""


def rung_measure(difference: str) -> str:
    """Return the measure that counts a difference of rungs."""
    return f"shadow {difference}"


def signed_measure(signal: str) -> str:
    """Return the measure of how much higher the shadow predicts a signal of the song that was given."""
    return f"shadow {signal}"


def apart_measure(signal: str) -> str:
    """Return the measure of how far apart the two predictions are."""
    return f"shadow {signal} apart"


def differences(given: Recommended, shadow: Recommended) -> dict[str, float]:
    """Return what is different about the first song of a request, by measure."""
    ours, theirs = _first(given), _first(shadow)
    refused = [outcome.decision.rung is Rung.SILENCE for outcome in (ours, theirs)]
    fell_back = [outcome.decision.rung not in (Rung.POLICY, Rung.SILENCE) for outcome in (ours, theirs)]
    found = {
        SAME_SONG: float(ours.decision.song == theirs.decision.song),
        OVERLAP: float(len(np.intersect1d(_first_songs(ours), _first_songs(theirs))) / FIRST),
    }
    found |= {
        rung_measure(name): float(differs)
        for name, differs in zip(
            RUNGS,
            (
                fell_back[1] and not fell_back[0],
                fell_back[0] and not fell_back[1],
                refused[1] and not refused[0],
                refused[0] and not refused[1],
            ),
            strict=True,
        )
    }
    return found


def predicted_differences(given: Float[ndarray, "M 4"], shadow: Float[ndarray, "N 4"]) -> dict[str, float]:
    """Return how the shadow's predictions of one song differ from those it was given for, by measure.

    Signals of which either gives no number are left out.
    """
    found: dict[str, float] = {}
    both = zip(SIGNALS, shadow.mean(axis=0, dtype=np.float64) - given.mean(axis=0, dtype=np.float64), strict=True)
    for signal, difference in both:
        if np.isfinite(difference):
            found[signed_measure(signal)] = float(difference)
            found[apart_measure(signal)] = float(abs(difference))
    return found


def _first(recommended: Recommended) -> Outcome:
    if recommended.songs:
        return recommended.songs[0]
    assert recommended.refusal is not None
    return recommended.refusal


def _first_songs(outcome: Outcome) -> Int[ndarray, " n"]:
    """Return the keys of the songs that come first on the policy's own rung."""
    order = np.argsort(-outcome.choices[0].dealt[0], kind="stable")[:FIRST]
    return outcome.decision.trials[0].candidates.song[0, order]
