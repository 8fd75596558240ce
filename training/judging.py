"""Judging candidates: what each world model thinks a song is worth in a situation, and in which units.

Signals are brought to one scale by the spread of their predictions over songs, so that none drowns the others
(TRIAL: raw .5/.5 utility is dominated by arousal). Weights are fixed in docs/decisions/utility.md.

Legend: S situations · M members · C candidates · D state width
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from models.utility import PAPER_UTILITY, Four, LinearUtility, TargetUtility, mode_aware_utility
from training.situations import Situations
from training.trained import WorldOver, states_in
from training.trajectories import predicted_after
from training.windows import Histories

BALANCED: Final[Four] = (0.1, 0.2, 0.4, 0.4)
"""λ of the mode-aware utility in `Signal` order: affect first, with a little engagement and rating."""
UPWARD: Final[Four] = (0.2, 0.8, 0.6, 0.2)
"""λ of the linear utility in units of spread. Valence is the harder of the two to move; rating has much, because
its predictions tell least; see docs/decisions/utility.md."""
Scales = tuple[float, float, float, float]
"""What one unit of each signal is worth, in `Signal` order."""
_LEAST_SPREAD: Final = 1e-3
_SPREAD_SONGS: Final = 64
"""Songs drawn for each situation when the spread of predictions is measured."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class EnsembleJudge:
    """A `Judge` of fixed situations: histories are read once, candidates as often as asked."""

    world: WorldOver
    state: Float[ndarray, "S M D"]
    mode: Int[ndarray, " S"]
    utility: LinearUtility | TargetUtility

    def __call__(
        self, situation: Int[ndarray, " s"], candidates: Int[ndarray, "s C *T"]
    ) -> Float[ndarray, "s M C"]:
        """Return each member's utility of each candidate, be it one song or a sequence of them."""
        state = self.state[situation]
        if candidates.ndim == 2:
            predicted = self.world.predicted(state, candidates)  # (s, M, C, 4)
        else:
            predicted = predicted_after(self.world, state, candidates)
        mode = np.broadcast_to(self.mode[situation][:, None, None], predicted.shape[:-1])
        return self.utility.value(predicted.astype(np.float64), mode)


def situation_states(world: WorldOver, histories: Histories, situations: Situations) -> Float[ndarray, "S M D"]:
    """Return every member's state in every situation."""
    return states_in(situations, histories, world.ensemble.states_at)


def prediction_spread(world: WorldOver, state: Float[ndarray, "S M D"], rng: np.random.Generator) -> Scales:
    """Return the standard deviation of each signal's prediction over songs, the mean of all situations."""
    songs = rng.integers(len(world.songs), size=(len(state), _SPREAD_SONGS))
    spread = world.predicted(state, songs).mean(axis=1).std(axis=1).mean(axis=0)
    return tuple(np.maximum(spread, _LEAST_SPREAD).tolist())


def paper_utility(scales: Scales) -> LinearUtility:
    """Return the paper's affect-only utility; it knows no scales."""
    del scales
    return PAPER_UTILITY


def balanced_utility(scales: Scales) -> LinearUtility:
    """Return the paper's direction in units of the given spreads, with a little engagement and rating."""
    return LinearUtility(weights=UPWARD, scales=scales)


def serving_utility(scales: Scales) -> TargetUtility:
    """Return the mode-aware utility in units of the given spreads."""
    return mode_aware_utility(weights=BALANCED, scales=scales)
