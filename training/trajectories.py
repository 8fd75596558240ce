"""Preferences between short sequences of songs: where a few songs in a row would leave the listener.

One song moves affect by little; a mode's target region is reached by several, and can be overshot. So candidates
are sequences drawn from Copycat, and a sequence is worth what affect is worth at its end, and its songs' mean
engagement and rating.

To imagine every play with the world models would cost a pass over the history for each song of each sequence.
Instead a member's *effect* of a song is how far its prediction stands above that of the average song, in logits
and at the situation's own state; effects add up and fade by `EFFECT_DECAY` with every song after, as the linear
part adds a session's songs up. What is left out: songs played before fade on, which is the same for every
sequence, and after the first song the head might answer otherwise.

Legend: s situations · C sequences of a situation · T songs of a sequence · M ensemble members · N songs ·
D state width; the axis of 4 in `Signal` order
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray

from models.errors import ConfigError
from training.networks.linear_part import AFFECT, BEHAVIOUR, EFFECT_DECAY
from training.pairs import AS_STRICT, Judge, Offer, Pairs, Standards, accepted, draw_from_softmax, pessimistic
from training.trained import World

_LEAST: Final = 1e-6
"""Predictions are kept so far from 0 and 1 before their logit is taken."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SequencePairs:
    """Sequences drawn from Copycat's own distribution: the best against the worst.

    No song stands in two sequences of a situation, so that the two of a pair have nothing in common. Every song is
    drawn for the situation itself: that Copycat would choose otherwise after the first song is left out.
    """

    candidate_count: int = 12
    """C."""
    length: int = 4
    """T; with fewer songs than C·T there are fewer sequences, then shorter ones."""
    temperature: float = 0.2
    """τ of Copycat's softmax."""
    standards: Standards = AS_STRICT

    def __post_init__(self) -> None:
        if self.candidate_count < 2 or self.length < 1:
            raise ConfigError(
                f"a pair needs two sequences of at least one song; got {self.candidate_count} of {self.length}"
            )

    def suited(self, feedback: Float[ndarray, "T 4"]) -> Bool[ndarray, " T"]:
        """Return True everywhere: what was played in the end does not matter."""
        return np.ones(len(feedback), bool)

    def pairs(self, offer: Offer, judge: Judge, rng: np.random.Generator) -> Pairs:
        """Return pairs of two sequences whose songs Copycat might have played."""
        situations, songs = offer.cosine.shape
        length = min(self.length, songs // 2) or 1
        count = min(self.candidate_count, songs // length)
        drawn = draw_from_softmax(offer.cosine / self.temperature, count * length, rng)
        sequences = rng.permuted(drawn, axis=1).reshape(situations, count, length)
        everywhere = np.arange(situations)
        utility = judge(everywhere, sequences)  # (S, M, C)
        worth = pessimistic(utility, self.standards.caution)
        best, worst = worth.argmax(axis=1), worth.argmin(axis=1)
        return accepted(everywhere, sequences, utility, best, worst, self.standards)


def predicted_after(
    world: World, state: Float[ndarray, "s M D"], sequences: Int[ndarray, "s C T"]
) -> Float[ndarray, "s M C 4"]:
    """Return what each member expects of each sequence: affect at its end, the mean of engagement and rating."""
    situations, count, length = sequences.shape
    each = world.predicted(state, sequences.reshape(situations, count * length))
    return along(each.reshape(situations, each.shape[1], count, length, 4), world.predicted_average(state))


def along(predicted: Float[ndarray, "s M C T 4"], average: Float[ndarray, "s M 4"]) -> Float[ndarray, "s M C 4"]:
    """Return affect after the last song, and the mean engagement and rating of all.

    Args:
        predicted: of each song, were it played first; in [0, 1].
        average: of the average song.
    """
    usual = _logit(average[..., AFFECT])[:, :, None]  # (s, M, 1, 2)
    effect = _logit(predicted[..., AFFECT]) - usual[:, :, :, None]  # (s, M, C, T, 2)
    left = EFFECT_DECAY ** np.arange(predicted.shape[3])[::-1]  # (T,)
    told = np.empty(predicted[..., 0, :].shape)
    told[..., AFFECT] = 1 / (1 + np.exp(-usual - left @ effect))
    told[..., BEHAVIOUR] = predicted[..., BEHAVIOUR].mean(axis=-2)
    return told


def _logit(probability: Float[ndarray, "*shape"]) -> Float[ndarray, "*shape"]:
    held = np.clip(probability.astype(np.float64), _LEAST, 1 - _LEAST)
    return np.log(held / (1 - held))
