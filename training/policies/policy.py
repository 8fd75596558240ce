"""What a policy is: at a moment of each history, a score for every song; higher is sooner.

Legend: B histories · L tokens · N songs
"""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from models.listening import Listening
from models.tokens import Tokens
from training.platform.truth import TrueState
from training.trained import WorldStates


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Moment:
    """What a policy may look at when it scores the catalogue."""

    listening: Listening
    """The whole histories, imagined plays included."""
    tokens: Tokens
    """The latest of them, as far as the lookback goes."""
    rows: Int[ndarray, "B L"]
    """The catalogue's rows of the tokens' songs."""
    states: WorldStates
    mode: Int[ndarray, " B"]
    rng: np.random.Generator
    true_state: TrueState | None = None
    """Where the listeners truly are; for oracles alone, and None where nobody knows."""


@runtime_checkable
class Policy(Protocol):
    """Whatever scores every song as the next one of each history; higher is sooner."""

    def scores(self, moment: Moment) -> Float[ndarray, "B N"]:
        """Return the scores."""
        ...
