"""Preference pairs: of two songs in one situation, which the world models would rather see played.

Three recipes. `NegativeHistoryPairs` is the paper's: a logged song that met negative feedback is rejected for the
best of its neighbours and of uniform draws (AMRS §3.4). `SupportPairs` is the default: candidates are drawn
from Copycat itself, best against worst, so that both songs lie where the logs have something to say, and
utility is pessimistic over the ensemble (TRIAL: the paper's recipe loses true valence, this one does not).
`OverplayedPairs` rejects what the policy itself plays to everybody. A fourth is `training.trajectories`, where a
candidate is not one song but a few in a row.

Legend: S situations · C candidates of a situation · M ensemble members · N songs · Q target width · P pairs ·
D songs that the policy puts first in a situation · T songs in a row, where a candidate is a sequence
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Final, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from numpy import ndarray

from models.affect import Signal
from models.errors import ConfigError

Judge = Callable[[Int[ndarray, " s"], Int[ndarray, "s C *T"]], Float[ndarray, "s M C"]]
"""Situations and candidates → utility by each member; a candidate is a song's row, or the rows of a sequence."""

HARDLY_HEARD: Final = 0.2
"""Engagement below which a play counts as negative feedback, like a dislike (SCIENCE §1, defaults)."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Pairs:
    """P pairs of song rows, or of sequences of rows; the preferred one is worth more by `margin`."""

    situation: Int[ndarray, " P"]
    preferred: Int[ndarray, "P *T"]
    rejected: Int[ndarray, "P *T"]
    margin: Float[ndarray, " P"]
    """Pessimistic utility of the preferred song above that of the rejected one; at least the recipe's δ."""
    doubt: Float[ndarray, " P"]
    """The share of members that would prefer the other song, in [0, 0.5): how much the label is smoothed."""

    def __len__(self) -> int:
        return len(self.situation)

    def take(self, rows: Int[ndarray, " p"]) -> "Pairs":
        """Return the given pairs."""
        return Pairs(**{column.name: getattr(self, column.name)[rows] for column in fields(self)})


def join(parts: Sequence[Pairs]) -> Pairs:
    """Return the pairs of every part, one part after another."""
    return Pairs(
        **{column.name: np.concatenate([getattr(part, column.name) for part in parts]) for column in fields(Pairs)}
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OwnSongs:
    """What the policy in training, as it is now, would play of itself."""

    first: Int[ndarray, "S D"]
    """The songs that it puts first in each situation, in no particular order."""
    shown: Int[ndarray, " N"]
    """In how many situations of the whole training set each song is one of those."""

    @classmethod
    def of(cls, first: Int[ndarray, "S D"], song_count: int) -> "OwnSongs":
        """Count them."""
        return cls(first=first, shown=np.bincount(first.ravel(), minlength=song_count))

    def within(self, part: slice) -> "OwnSongs":
        """Return the same of some situations; the counts remain those of all."""
        return OwnSongs(first=self.first[part], shown=self.shown)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Offer:
    """What a recipe may look at in S situations."""

    cosine: Float[ndarray, "S N"]
    """The reference policy's score of every song."""
    logged: Int[ndarray, " S"]
    """The row of the song that was played."""
    feedback: Float[ndarray, "S 4"]
    """What was said of it; NaN where nothing was."""
    targets: Float[ndarray, "N Q"]
    """Songs in the policy's target space, of unit length."""
    own: Callable[[], OwnSongs]
    """What the policy plays by now; found when it is asked for."""


@runtime_checkable
class PairRecipe(Protocol):
    """How pairs are found; deterministic given the generator."""

    def suited(self, feedback: Float[ndarray, "T 4"]) -> Bool[ndarray, " T"]:
        """Return for which plays, by the feedback they got, a pair may be sought."""
        ...

    def pairs(self, offer: Offer, judge: Judge, rng: np.random.Generator) -> Pairs:
        """Return pairs, at most one per situation."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Standards:
    """When a pair is good enough to learn from."""

    caution: float = 2.0
    """κ: a song's utility is the members' mean minus this many of their standard deviations."""
    least_margin: float = 0.05
    """δ, in units of utility."""
    least_agreement: float = 0.8
    """The share of members that must prefer the preferred song."""

    def __post_init__(self) -> None:
        if self.caution < 0 or self.least_margin < 0 or not 0.5 < self.least_agreement <= 1:
            raise ConfigError(
                "caution and least_margin must be at least 0 and least_agreement in (0.5, 1]; got "
                f"{self.caution}, {self.least_margin} and {self.least_agreement}"
            )


AS_STRICT: Final = Standards()
"""The default."""
NOT_STRICT: Final = Standards(caution=0.0, least_margin=0.0, least_agreement=0.51)
"""The paper has one world model and no least margin: no pessimism, and any gain makes a pair."""


def pessimistic(utility: Float[ndarray, "S M C"], caution: float) -> Float[ndarray, "S C"]:
    """Return mean − κ·standard deviation over the members."""
    return np.asarray(utility.mean(axis=1) - caution * utility.std(axis=1))


@dataclass(frozen=True, slots=True, kw_only=True)
class SupportPairs:
    """Candidates drawn from Copycat's own distribution: the best against the worst."""

    candidate_count: int = 32
    temperature: float = 0.2
    """τ of Copycat's softmax."""
    standards: Standards = AS_STRICT

    def suited(self, feedback: Float[ndarray, "T 4"]) -> Bool[ndarray, " T"]:
        """Return True everywhere: what was played in the end does not matter."""
        return np.ones(len(feedback), bool)

    def pairs(self, offer: Offer, judge: Judge, rng: np.random.Generator) -> Pairs:
        """Return pairs of two songs that Copycat might have played."""
        candidates = draw_from_softmax(offer.cosine / self.temperature, self.candidate_count, rng)
        everywhere = np.arange(len(candidates))
        utility = judge(everywhere, candidates)  # (S, M, C)
        worth = pessimistic(utility, self.standards.caution)
        best, worst = worth.argmax(axis=1), worth.argmin(axis=1)
        return accepted(everywhere, candidates, utility, best, worst, self.standards)


@dataclass(frozen=True, slots=True, kw_only=True)
class NegativeHistoryPairs:
    """The paper's recipe: replace what was badly received. Source: AMRS §3.4, pair construction."""

    candidate_count: int = 64
    """M: half nearest neighbours of the rejected song, half uniform over the catalogue."""
    standards: Standards = NOT_STRICT

    def suited(self, feedback: Float[ndarray, "T 4"]) -> Bool[ndarray, " T"]:
        """Return which songs were disliked or hardly heard."""
        return np.asarray((feedback[:, Signal.RATING] == 0) | (feedback[:, Signal.ENGAGEMENT] < HARDLY_HEARD))

    def pairs(self, offer: Offer, judge: Judge, rng: np.random.Generator) -> Pairs:
        """Return one pair for each situation whose logged song was disliked or hardly heard."""
        negative = np.flatnonzero(self.suited(offer.feedback))
        rejected = offer.logged[negative]
        half = min(self.candidate_count // 2, len(offer.targets) - 1)
        near = nearest_songs(offer.targets, rejected, half)
        uniform = rng.integers(len(offer.targets), size=(len(negative), self.candidate_count - half))
        candidates = np.column_stack([near, uniform, rejected])  # (s, M + 1), the rejected song last
        utility = judge(negative, candidates)
        worth = pessimistic(utility, self.standards.caution)
        best = worth[:, :-1].argmax(axis=1)
        worst = np.full(len(negative), candidates.shape[1] - 1)
        return accepted(negative, candidates, utility, best, worst, self.standards)


@dataclass(frozen=True, slots=True, kw_only=True)
class OverplayedPairs:
    """What the policy plays to everybody is rejected for something better that it plays to fewer.

    The rejected song is, of those that the policy puts first in the situation, the one that it puts first most
    often elsewhere; the preferred one is the best of Copycat's draws among songs shown less often. Source: the
    self-play negatives of SPRec (Gao et al. 2024, arXiv:2412.09243), there drawn from the policy, not counted.
    """

    candidate_count: int = 32
    temperature: float = 0.2
    """τ of Copycat's softmax."""
    standards: Standards = AS_STRICT

    def suited(self, feedback: Float[ndarray, "T 4"]) -> Bool[ndarray, " T"]:
        """Return True everywhere: what was played in the end does not matter."""
        return np.ones(len(feedback), bool)

    def pairs(self, offer: Offer, judge: Judge, rng: np.random.Generator) -> Pairs:
        """Return pairs whose rejected song is shown more often than the preferred one."""
        own = offer.own()
        everywhere = np.arange(len(offer.cosine))
        drawn = draw_from_softmax(offer.cosine / self.temperature, self.candidate_count, rng)
        overplayed = own.first[everywhere, own.shown[own.first].argmax(axis=1)]
        is_rarer = own.shown[drawn] < own.shown[overplayed][:, None]  # (S, C)
        candidates = np.column_stack([drawn, overplayed])  # the overplayed song last
        utility = judge(everywhere, candidates)
        worth = pessimistic(utility, self.standards.caution)
        last = np.full(len(everywhere), candidates.shape[1] - 1)
        best_rare = np.where(is_rarer, worth[:, :-1], -np.inf).argmax(axis=1)
        best = np.where(is_rarer.any(axis=1), best_rare, last)  # a song is no better than itself: no pair
        return accepted(everywhere, candidates, utility, best, last, self.standards)


@dataclass(frozen=True, slots=True)
class Outright:
    """Another recipe's pairs, taken at their word: no label is smoothed."""

    recipe: PairRecipe

    def suited(self, feedback: Float[ndarray, "T 4"]) -> Bool[ndarray, " T"]:
        """Return what suits the recipe."""
        return self.recipe.suited(feedback)

    def pairs(self, offer: Offer, judge: Judge, rng: np.random.Generator) -> Pairs:
        """Return the recipe's pairs, none of them in doubt."""
        found = self.recipe.pairs(offer, judge, rng)
        return replace(found, doubt=np.zeros(len(found)))


def draw_from_softmax(
    logits: Float[ndarray, "S N"], count: int, rng: np.random.Generator
) -> Int[ndarray, "S count"]:
    """Return different songs for each situation, drawn without replacement by Gumbel noise."""
    count = min(count, logits.shape[1])
    waiting = rng.standard_exponential(logits.shape, np.float32)
    late = (
        np.log(np.maximum(waiting, np.finfo(np.float32).tiny)) - logits
    )  # −log of an exponential is Gumbel noise
    chosen = torch.topk(torch.from_numpy(late), count, dim=1, largest=False, sorted=False).indices
    return np.sort(chosen.numpy(), axis=1)


def nearest_songs(targets: Float[ndarray, "N Q"], song: Int[ndarray, " s"], count: int) -> Int[ndarray, "s count"]:
    """Return the nearest other songs of each song by cosine, in no particular order."""
    cosine = targets[song] @ targets.T  # (s, N)
    cosine[np.arange(len(song)), song] = -np.inf
    return np.argpartition(-cosine, count - 1, axis=1)[:, :count]


def accepted(
    situation: Int[ndarray, " s"],
    candidates: Int[ndarray, "s C *T"],
    utility: Float[ndarray, "s M C"],
    best: Int[ndarray, " s"],
    worst: Int[ndarray, " s"],
    standards: Standards,
) -> Pairs:
    """Return the pairs of best and worst places that keep the standards."""
    rows = np.arange(len(situation))
    worth = pessimistic(utility, standards.caution)
    margin = worth[rows, best] - worth[rows, worst]
    agreement = (utility[rows, :, best] > utility[rows, :, worst]).mean(axis=1)
    kept = (margin >= standards.least_margin) & (margin > 0) & (agreement >= standards.least_agreement)
    return Pairs(
        situation=situation[kept],
        preferred=candidates[rows, best][kept],
        rejected=candidates[rows, worst][kept],
        margin=margin[kept],
        doubt=1.0 - agreement[kept],
    )
