"""The policies of the paper: chance, the world model's favourite, and what a policy network has learned.

Source: AMRS §4.5.

Legend: B histories · N songs
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from models.utility import LinearUtility, TargetUtility
from training.networks.linear_part import BEHAVIOUR
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
        state = moment.states.now
        if np.any(np.array(self.utility.weights)[BEHAVIOUR]):
            predicted = self.world.mean_predicted(state)  # (B, N, 4)
        else:  # the paper's: what behaviour would be, over the whole catalogue, is most of the work
            affect = self.world.mean_affect(state)
            predicted = np.concatenate([np.zeros_like(affect), affect], axis=-1)
        return self.utility.value(predicted, np.broadcast_to(moment.mode[:, None], predicted.shape[:-1]))


@dataclass(frozen=True, slots=True)
class Learned:
    """Copycat, or Copycat led on by preferences: the cosine with the song that is wanted."""

    policy: PolicyOver

    def scores(self, moment: Moment) -> Float[ndarray, "B N"]:
        """Return the cosines."""
        return self.policy.cosines(moment.tokens, moment.rows)
