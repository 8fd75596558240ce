"""What a world model is shown: everything, or everything but one thing, in training and in use alike.

Source: AMRS Table 3, "removing one input component at a time during training and test".

Legend: F features of a token
"""

from dataclasses import dataclass
from typing import Final

import torch
from jaxtyping import Bool
from torch import Tensor

from models.errors import ConfigError
from models.tokens import BOUNDARY_FEATURE, CARRIED_FEATURES, PRESENT_FEATURES, SIGNAL_FEATURES


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """What is left to be seen."""

    lookback: int | None = None
    """How many tokens before the one predicted; 0 leaves no history at all, None as many as the window holds."""
    feedback: bool = True
    """Engagement, ratings and every report, those before sessions too, with the bits that say they are there."""
    past_songs: bool = True
    """The songs of the history."""
    candidate: bool = True
    """The song whose feedback is predicted."""
    extras: bool = True
    """What our tokens have beyond the paper's: mode, population, the report again, place, time, context."""

    def __post_init__(self) -> None:
        if self.lookback is not None and self.lookback < 0:
            raise ConfigError(f"a lookback counts tokens, from 0; got {self.lookback}")

    def window(self, longest: int) -> int:
        """Return how many tokens a window may hold, the one predicted included."""
        return longest if self.lookback is None else min(longest, self.lookback + 1)

    def past(self, longest: int) -> int:
        """Return how many tokens of a history are shown to whoever is asked for the song after it."""
        return longest if self.lookback is None else min(longest, self.lookback)

    @property
    def stride(self) -> int | None:
        """The stride at which histories are read: a bounded lookback is kept to the token."""
        return None if self.lookback is None else 1

    def kept_features(self, feature_count: int) -> Bool[Tensor, " F"]:
        """Return which features of a token are shown; whether it is a boundary always is."""
        kept = torch.ones(feature_count, dtype=torch.bool)
        if not self.feedback:
            for columns in (SIGNAL_FEATURES, PRESENT_FEATURES, CARRIED_FEATURES):
                kept[columns] = False
        if not self.extras:
            kept[BOUNDARY_FEATURE + 1 :] = False
        return kept


EVERYTHING: Final = Inputs()
"""What the deployed world model is shown."""
