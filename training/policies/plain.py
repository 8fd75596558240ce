"""The policies of the paper: chance, the world model's favourite, and what a policy network has learned.

Source: AMRS §4.5.

Legend: B histories · N songs
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from models.utility import LinearUtility, TargetUtility
from training.policies.policy import Moment
from training.trained import PolicyOver, WorldOver


@dataclass(frozen=True, slots=True)
class Random:
    """Uniform over the catalogue."""

    song_count: int

    def scores(self, moment: Moment) -> Float[ndarray, "B N"]:
        """Return scores that put the songs in a random order."""
        return moment.rng.random((len(moment.mode), self.song_count))


@dataclass(frozen=True, slots=True)
class Greedy:
    """The highest predicted utility over the whole catalogue: a degenerate upper bound (AMRS §4.5)."""

    world: WorldOver
    utility: LinearUtility | TargetUtility

    def scores(self, moment: Moment) -> Float[ndarray, "B N"]:
        """Return the utility of the members' mean prediction."""
        predicted = self.world.mean_predicted(moment.states.now)  # (B, N, 4)
        return self.utility.value(predicted, np.broadcast_to(moment.mode[:, None], predicted.shape[:-1]))


@dataclass(frozen=True, slots=True)
class Learned:
    """Copycat, or Copycat led on by preferences: the cosine with the song that is wanted."""

    policy: PolicyOver

    def scores(self, moment: Moment) -> Float[ndarray, "B N"]:
        """Return the cosines."""
        return self.policy.cosines(moment.tokens, moment.rows)
