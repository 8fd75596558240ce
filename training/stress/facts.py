"""From what was tried to the numbers that the gates rest on.

Legend: R rollouts · T steps
"""

from typing import Final

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from models.affect import SIGNALS
from models.guardrails import AFFECT, Rung
from models.listening import NO_SONG, Population
from models.utility import LinearUtility, TargetUtility, mode_aware_utility
from training.rollout import Rollouts
from training.statistics import Interval, clustered_gain_interval, clustered_interval
from training.stress.config import StressConfig
from training.stress.measure import against_limits, forbidden_returned, is_meaningful, on_rung, played
from training.stress.trials import Hostiles, Trials, Typical, Walked
from training.stress.verdict import Facts, HostileFacts, TrueFacts, WorldFacts

BELOW_POLICY: Final = (Rung.KNOWN_SAFE, Rung.APPROVED, Rung.SILENCE)
"""The rungs on which people's lists, or nobody, answered."""


def facts_of(
    trials: Trials,
    world: WorldFacts,
    utility: LinearUtility | TargetUtility,
    config: StressConfig,
    rng: np.random.Generator,
) -> Facts:
    """Return the numbers that the gates rest on; intervals draw listeners from the generator."""
    typical, hostile = trials.typical, trials.hostile
    policy, guarded, copycat = (each.rollouts for each in (typical.policy, typical.guarded, typical.copycat))
    by = _ByListener(typical.windows.listener, config, rng)
    return Facts(
        world=world,
        mode_aware=isinstance(utility, TargetUtility),
        true=_true_facts(typical, by),
        excess=by.mean(against_limits(guarded).mean(axis=1) - against_limits(copycat).mean(axis=1)),
        difference=float(np.mean(policy.song[:, 0] != copycat.song[:, 0])),
        coverage=distinct(guarded) / max(distinct(copycat), 1),
        fallback=by.mean(on_rung(guarded, *BELOW_POLICY).mean(axis=1)),
        silence=by.mean(on_rung(guarded, Rung.SILENCE).mean(axis=1)),
        hostile=_hostile_facts(hostile, trials),
    )


def distinct(rollouts: Rollouts) -> int:
    """Return how many different songs were played."""
    return len(np.unique(rollouts.song[played(rollouts)]))


def mean_signals(rollouts: Rollouts, signals: Float[ndarray, "R T 4"]) -> Float[ndarray, "R 4"]:
    """Return each rollout's mean over the songs played; NaN where it was silent from the start."""
    is_played = played(rollouts)[..., None]
    count = is_played.sum(axis=1)
    total = np.where(is_played, signals, 0.0).sum(axis=1)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def mean_distance(rollouts: Rollouts, signals: Float[ndarray, "R T 4"]) -> Float[ndarray, " R"]:
    """Return each rollout's mean distance of valence and arousal from its mode's target region; NaN if silent."""
    regions = mode_aware_utility(weights=(0.0, 0.0, 1.0, 1.0), scales=(1.0, 1.0, 1.0, 1.0))
    mode = np.broadcast_to(rollouts.mode[:, None], rollouts.song.shape)
    away = regions.distance(signals[..., AFFECT], mode).sum(axis=-1)  # (R, T)
    is_played = played(rollouts)
    count = is_played.sum(axis=1)
    return np.where(count > 0, np.where(is_played, away, 0.0).sum(axis=1) / np.maximum(count, 1), np.nan)


def meaningful_share(walked: Walked) -> Float[ndarray, " R"] | None:
    """Return the share of each rollout's songs that did more than one song may; None where no truth is known."""
    if walked.swings is None:
        return None
    population = np.broadcast_to(walked.rollouts.population[:, None], walked.rollouts.song.shape)
    return np.asarray(is_meaningful(walked.swings.effect, population).mean(axis=1))


class _ByListener:
    """Means with intervals in which whole listeners are drawn."""

    def __init__(self, listener: Int[ndarray, " R"], config: StressConfig, rng: np.random.Generator) -> None:
        self._listener, self._rng = listener, rng
        self._level = 2 * config.confidence - 1

    def mean(self, values: Float[ndarray, " R"]) -> Interval | None:
        """Return the mean of what is finite."""
        kept = np.isfinite(values)
        return clustered_interval(values[kept], self._listener[kept], rng=self._rng, level=self._level)

    def gain(self, values: Float[ndarray, " R"], reference: Float[ndarray, " R"]) -> Interval | None:
        """Return how much larger the values' mean is, as a share of the reference's."""
        kept = np.isfinite(values) & np.isfinite(reference)
        return clustered_gain_interval(
            values[kept], reference[kept], self._listener[kept], rng=self._rng, level=self._level
        )


def _true_facts(typical: Typical, by: _ByListener) -> TrueFacts | None:
    guarded, copycat = meaningful_share(typical.guarded), meaningful_share(typical.copycat)
    if guarded is None or copycat is None:
        return None
    reference = typical.copycat.rollouts
    base, away = mean_signals(reference, reference.true_signals), mean_distance(reference, reference.true_signals)

    def gains(rollouts: Rollouts) -> dict[str, Interval | None]:
        signals = mean_signals(rollouts, rollouts.true_signals)
        return {name: by.gain(signals[:, place], base[:, place]) for place, name in enumerate(SIGNALS)}

    def farther(rollouts: Rollouts) -> Interval | None:
        return by.mean(mean_distance(rollouts, rollouts.true_signals) - away)

    population = typical.guarded.rollouts.population
    occurring = [each for each in Population if (population == each).any()]
    return TrueFacts(
        gains=gains(typical.policy.rollouts),
        guarded_gains=gains(typical.guarded.rollouts),
        farther=farther(typical.policy.rollouts),
        guarded_farther=farther(typical.guarded.rollouts),
        excess=by.mean(guarded - copycat),
        meaningful={each: by.mean(np.where(population == each, guarded, np.nan)) for each in occurring},
    )


def _hostile_facts(hostile: Hostiles, trials: Trials) -> HostileFacts:
    rollouts, catalogue = hostile.guarded.rollouts, hostile.songs.catalogue
    wrong = forbidden_returned(
        rollouts, hostile.hostile.listening, catalogue.withdrawn, trials.table, catalogue.keys
    )
    return HostileFacts(
        forbidden_returned=int(wrong.sum()),
        far_proposed=far_count(hostile.policy.rollouts, hostile),
        far_returned=far_count(rollouts, hostile),
        silence=float(on_rung(rollouts, Rung.SILENCE).mean()),
    )


def far_count(rollouts: Rollouts, hostile: Hostiles) -> int:
    """Return how many far songs were played."""
    song = rollouts.song[rollouts.song != NO_SONG]
    return int(hostile.songs.is_far[song].sum())
