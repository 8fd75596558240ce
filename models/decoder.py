"""Decoders: in which order the policy's songs come before the guardrails.

The policy proposes, predictions veto, and only a judged decoder reorders. `PolicyOrder` leaves the songs as the
policy ranks them. `Rerank` orders the policy's first songs by what every world model thinks they are worth, doubt
counted against them. A decoder is sealed into the bundle, and rollouts and the service call the same function.

A decoder gives no new scores: it deals the policy's own out again, the highest to the song it wants first. So a
margin in the policy's score (the coverage floor's ε) means the same under every decoder, and what lies outside the
reordered songs keeps its score and its place. Deterministic; of equals, the policy's first stands first.

Legend: B listeners · M ensemble members · K candidates · D reordered candidates
"""

from typing import Annotated, Final, Literal

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray
from pydantic import BaseModel, ConfigDict, Field

from models.utility import Utility


class PolicyOrder(BaseModel):
    """The policy's own order."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["policy"] = "policy"

    @property
    def reach(self) -> int:
        """How many of the policy's first songs can come first."""
        return 1

    def deal(
        self,
        score: Float[ndarray, "B K"],
        predicted: Float[ndarray, "B M K 4"],
        shown: Int[ndarray, "B K"],
        mode: Int[ndarray, " B"],
    ) -> Float[ndarray, "B K"]:
        """Return the policy's scores as they are."""
        del predicted, shown, mode
        return score


class Rerank(BaseModel):
    """The policy's first songs by a pessimistic utility.

    A song's value among the songs that are reordered, with z the standardisation over them:

        weight · (z(mean − caution · spread) − rarity · log₂(1 + times shown)) + (1 − weight) · z(policy's score)

    The mean is over the members. The spread is the standard deviation over the members of a song's utility less
    that member's mean over the songs: what a member thinks of all songs alike says nothing about which is better.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["rerank"] = "rerank"
    utility: Utility
    depth: Annotated[int, Field(ge=1)] = 100
    """How many of the policy's first songs are reordered; never more than are proposed."""
    caution: Annotated[float, Field(ge=0)] = 1.0
    """κ: how many spreads a song is taken to be worse than its mean."""
    weight: Annotated[float, Field(ge=0, le=1)] = 1.0
    """The share of the utility; 0 leaves the policy's order."""
    rarity: Annotated[float, Field(ge=0)] = 0.0
    """How many standard deviations of the utility each doubling of a song's exposure costs it."""

    @property
    def reach(self) -> int:
        """How many of the policy's first songs can come first."""
        return self.depth if self.weight else 1

    def deal(
        self,
        score: Float[ndarray, "B K"],
        predicted: Float[ndarray, "B M K 4"],
        shown: Int[ndarray, "B K"],
        mode: Int[ndarray, " B"],
    ) -> Float[ndarray, "B K"]:
        """Return the policy's scores, dealt out in this decoder's order.

        A song without finite predictions comes last of the reordered; one without a finite score keeps it.

        Args:
            score: the policy's.
            predicted: the four signals by each member.
            shown: how often each song was shown to the population under the mode.
            mode: in force for each listener.
        """
        if not self.weight or not score.shape[1]:
            return score
        ranked = np.where(np.isfinite(score), score, -np.inf)
        first = np.argsort(-ranked, axis=1, kind="stable")[:, : self.depth]  # (B, D)
        value = self._value(
            np.take_along_axis(score, first, axis=1).astype(np.float64),
            np.take_along_axis(predicted, first[:, None, :, None], axis=2),
            np.take_along_axis(shown, first, axis=1),
            mode,
        )
        wanted = np.take_along_axis(first, np.argsort(-value, axis=1, kind="stable"), axis=1)
        dealt = score.copy()
        np.put_along_axis(dealt, wanted, np.take_along_axis(score, first, axis=1), axis=1)
        return dealt

    def _value(
        self,
        score: Float[ndarray, "B D"],
        predicted: Float[ndarray, "B M D 4"],
        shown: Int[ndarray, "B D"],
        mode: Int[ndarray, " B"],
    ) -> Float[ndarray, "B D"]:
        """Return what each song is worth; −∞ where that cannot be computed."""
        is_finite = np.isfinite(predicted).all(axis=(1, 3)) & np.isfinite(score)  # (B, D)
        held = np.where(is_finite[:, None, :, None], predicted, 0.0).astype(np.float64, order="C")
        utility = self.utility.value(held, np.broadcast_to(mode[:, None, None], held.shape[:-1]))  # (B, M, D)
        own = utility - _mean(utility, np.broadcast_to(is_finite[:, None], utility.shape))  # (B, M, D)
        pessimistic = own.mean(axis=1) - self.caution * own.std(axis=1)
        liked = _standardised(pessimistic, is_finite) - self.rarity * np.log2(1.0 + shown)
        proposed = _standardised(np.where(is_finite, score, 0.0), is_finite)
        return np.where(is_finite, self.weight * liked + (1.0 - self.weight) * proposed, -np.inf)


Decoder = Annotated[PolicyOrder | Rerank, Field(discriminator="kind")]
POLICY_ORDER: Final = PolicyOrder()
"""The default."""


def _mean(values: Float[ndarray, "*shape D"], counted: Bool[ndarray, "*shape D"]) -> Float[ndarray, "*shape 1"]:
    """Return the mean over the values that count; 0 where none does."""
    total = np.where(counted, values, 0.0).sum(axis=-1, keepdims=True)
    return np.asarray(total / np.maximum(counted.sum(axis=-1, keepdims=True), 1))


def _standardised(values: Float[ndarray, "B D"], counted: Bool[ndarray, "B D"]) -> Float[ndarray, "B D"]:
    """Return the values with mean 0 and SD 1 over those that count; 0 where they are all equal."""
    centred = values - _mean(values, counted)
    spread = np.sqrt(_mean(centred**2, counted))
    return np.asarray(np.where(spread > 0, centred / np.where(spread > 0, spread, 1.0), 0.0))
