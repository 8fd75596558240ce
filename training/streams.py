"""The random streams of a training run: one for each stage, so that what one draws moves no other.

A sealed bundle names its seed, and whoever judges it later finds its split and its Copycat again from the same
streams: their numbers are never changed, and a new stage gets a new one.
"""

from enum import IntEnum

import numpy as np


class TrainStream(IntEnum):
    """What is drawn from a stream of its own."""

    SPLIT = 0
    WINDOWS = 1
    """Begun anew for training, validation and test listeners."""
    COPYCAT = 2
    SITUATIONS = 3
    PREDICTION_SPREAD = 4
    VALIDATION_SITUATIONS = 5
    DPO = 6
    LIMITS = 7
    SONG_ORDER = 8
    CEILINGS = 9
    GOLDEN = 10

    def begin(self, seed: int) -> np.random.Generator:
        """Return the stream from its start, for a run of this seed."""
        return np.random.default_rng([seed, self.value])
