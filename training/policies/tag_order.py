"""Tag order: the songs whose population tags promise most, the same for everybody in a mode.

A catalogue's tags say what a song does to people on average; this is what affect can be steered by without any
listener's feedback.

Legend: B histories · N songs
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from models.errors import DataError
from models.guardrails import AFFECT
from models.listening import Mode
from models.log import Log
from models.utility import LinearUtility, TargetUtility
from training.policies.policy import Moment


def affect_tags(log: Log) -> Float[ndarray, "N 2"]:
    """Return each song's tags of valence and arousal, in [0, 1]; NaN where nobody tagged it."""
    tags = log.songs.select("tag_valence", "tag_arousal").fill_null(np.nan)
    return tags.to_numpy().astype(np.float64)


@dataclass(frozen=True, slots=True, eq=False)
class TagOrder:
    """The highest utility of the tags first; songs without both tags come last."""

    worth: Float[ndarray, "modes N"]
    """In `Mode` order."""

    @classmethod
    def by(cls, tags: Float[ndarray, "N 2"], utility: LinearUtility | TargetUtility) -> "TagOrder":
        """Return the order of a catalogue under a utility of affect; what it says of behaviour is not asked.

        Raises:
            DataError: no song has both tags.
        """
        tagged = ~np.isnan(tags).any(axis=1)
        if not tagged.any():
            raise DataError(f"tag order needs tags of valence and arousal; none of {len(tags)} songs has both")
        signals = np.zeros((len(Mode), len(tags), 4))
        signals[..., AFFECT] = tags
        worth = utility.value(signals, np.repeat(np.array(Mode)[:, None], len(tags), axis=1))
        return cls(np.where(tagged, worth, worth[:, tagged].min() - 1.0))

    def scores(self, moment: Moment) -> Float[ndarray, "B N"]:
        """Return the utility of each song's tags in each listener's mode."""
        return self.worth[moment.mode]
