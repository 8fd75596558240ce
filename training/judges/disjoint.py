"""The second judge: world models that learned from other listeners than the model a policy was tuned on.

Training listeners are halved. One half tunes the policy, the other trains the judge; both share the reading of
songs, which knows no listener, and the test listeners, whom neither saw. The judge then hears the songs that every
policy played, in its own imagination: each play enters the history with the engagement that the judge predicts.
What a policy gained by the quirks of its own model, another model does not see; what both learned wrong from the
same platform, both report, so the judge is a witness, not the truth.

Legend: R rollouts · T steps · N songs
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from models.affect import SIGNALS, Signal
from models.errors import DataError
from models.listening import NO_SONG, Listening
from training.choosing import Setting
from training.judges.paired import began_alike, gain_over, rollout_means
from training.material import Material
from training.networks.world import Ensemble
from training.policies.policy import Moment
from training.rollout import Advance, Rollouts, Start, roll_out
from training.splits import Split
from training.statistics import Interval
from training.trained import WorldOver
from training.world_model import WorldPreset, train_ensemble


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Halves:
    """Two splits without a common training or validation listener; the test listeners are the same."""

    tuning: Split
    judging: Split


def halve(split: Split, rng: np.random.Generator) -> Halves:
    """Return the two halves of a split, drawn at random.

    Raises:
        DataError: there are fewer than two training or two validation listeners.
    """
    if min(len(split.train), len(split.validation)) < 2:
        raise DataError(
            "disjoint judges need at least 2 training and 2 validation listeners; got "
            f"{len(split.train)} and {len(split.validation)}"
        )
    train, validation = rng.permutation(split.train), rng.permutation(split.validation)
    tuning, judging = (
        Split(train=np.sort(train[half::2]), validation=np.sort(validation[half::2]), test=split.test)
        for half in (0, 1)
    )
    return Halves(tuning=tuning, judging=judging)


def train_judge(
    material: Material,
    split: Split,
    preset: WorldPreset,
    *,
    seed: int,
    processes: int = 1,
    advance: Advance = lambda _: None,
) -> WorldOver:
    """Return an ensemble of the split's training listeners over the material's catalogue."""
    members = train_ensemble(
        material.histories,
        split,
        feature_names=material.feature_names,
        preset=preset,
        seed=seed,
        processes=processes,
        advance=advance,
    )
    return WorldOver(
        ensemble=Ensemble([member.model for member in members]), songs=material.histories.song_vectors
    )


@dataclass(frozen=True, slots=True, eq=False)
class Played:
    """The songs that somebody else chose, in their order: a policy that only repeats."""

    song: Int[ndarray, "R T"]
    plays_before: Int[ndarray, " R"]
    """How many plays each history had when the rollouts began."""
    song_count: int
    """N."""

    def scores(self, moment: Moment) -> Float[ndarray, "R N"]:
        """Return 1 for the song that was played at this step, 0 for all others."""
        step = int((_play_counts(moment.listening) - self.plays_before)[0])
        scores = np.zeros((len(self.song), self.song_count))
        np.put_along_axis(scores, np.maximum(self.song[:, step, None], 0), 1.0, axis=1)
        return scores


def replay(rollouts: Rollouts, start: Start, setting: Setting, judge: WorldOver) -> Float[ndarray, "R T 4"]:
    """Return what the judge predicts of songs already chosen; NaN where none was played.

    Args:
        rollouts: of any policy, with or without guardrails.
        start: where they began.
        setting: of the rollouts; the judge takes the place of its world.
        judge: over the same catalogue.
    """
    heard = Played(rollouts.song, _play_counts(start.listening), len(setting.catalogue))
    again = roll_out(  # of one candidate each, so that no decoder has anything to reorder
        heard,
        Start(listening=start.listening, truth=None, state=None),
        replace(setting, world=judge, candidate_count=1, song_count=rollouts.song.shape[1]),
        guarded=False,
        rng=np.random.default_rng(0),
    )
    return np.where((rollouts.song != NO_SONG)[..., None], again.predicted, np.nan)


@dataclass(frozen=True, slots=True, kw_only=True)
class Opinions:
    """What three judges say a policy gains in one signal, as shares of the reference's mean by each judge."""

    policy: str
    signal: str
    own: Interval | None
    """By the world model that the policy was tuned on."""
    disjoint: Interval | None
    """By world models of other listeners."""
    true: Interval | None
    """By the platform's truth; None where it is not known."""


def side_by_side(
    policies: Mapping[str, Rollouts],
    replayed: Mapping[str, Float[ndarray, "R T 4"]],
    listeners: Int[ndarray, " R"],
    *,
    reference: str,
    seed: int,
) -> Iterator[Opinions]:
    """Yield every policy's gain over the reference, signal by signal, by each judge.

    Args:
        policies: rollouts that began alike, by name.
        replayed: the same songs under the judge.
        listeners: whose each rollout is.
        reference: the policy that the others are compared with.
        seed: of the resampling.

    Raises:
        DataError: the rollouts did not begin alike.
    """
    began_alike(policies, listeners)
    base = policies[reference]
    for name, each in policies.items():
        for signal in Signal:
            if name == reference:
                continue
            pairs = {
                "own": (rollout_means(each.predicted, each), rollout_means(base.predicted, base)),
                "disjoint": (rollout_means(replayed[name], each), rollout_means(replayed[reference], base)),
                "true": (rollout_means(each.true_signals, each), rollout_means(base.true_signals, base)),
            }
            gains = {
                judge: gain_over(one[:, signal], other[:, signal], listeners, seed=seed).gain
                for judge, (one, other) in pairs.items()
            }
            yield Opinions(policy=name, signal=SIGNALS[signal], **gains)


def _play_counts(listening: Listening) -> Int[ndarray, " R"]:
    """Return how many plays each history has."""
    return np.diff(listening.play_start[listening.session_start])
