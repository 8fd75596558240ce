"""The verdict: what must hold of a bundle before it may be promoted, and whether it does.

Each gate is a function of numbers measured elsewhere. A share or a difference comes with its interval by listener
and fails where the interval excludes what was required: chance is allowed for, in the number of listeners and not
of songs. What could not be measured fails; what needs a truth is asked only where there is one.

Source: SAFETY, What is measured; SCIENCE, where the paper is weak (1, 3). Reasons: docs/decisions/stress-test.md.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from models.affect import Signal
from models.gates import Gate
from models.listening import Population
from training.metrics.prediction import PredictionScores
from training.statistics import Interval
from training.stress.config import TOLERANCES, StressConfig

Pair = tuple[float, float]
"""One number for valence, one for arousal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorldFacts:
    """How good the world models are on listeners who were not trained on."""

    error: Pair
    """Mean squared error."""
    persistence_error: Pair
    """Of repeating the last report."""
    listener_mean_error: Pair
    """Of the mean of the listener's reports so far."""
    song_order: Pair | None
    """Pairwise accuracy of ordering songs by their true effect; None where no truth is known."""


def affect_error(scores: PredictionScores) -> Pair:
    """Return the mean squared errors of valence and arousal."""
    return scores.mean_squared_error[Signal.VALENCE], scores.mean_squared_error[Signal.AROUSAL]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrueFacts:
    """What typical listeners truly felt; every number is of the policy against Copycat, or of songs played."""

    gains: Mapping[str, Interval | None]
    """The policy alone: its true signal over Copycat's, less 1, by signal."""
    guarded_gains: Mapping[str, Interval | None]
    """The same under guardrails, against Copycat without."""
    farther: Interval | None
    """True distance from the mode's target region, the policy's less Copycat's, both alone."""
    guarded_farther: Interval | None
    excess: Interval | None
    """Share of meaningful steps under guardrails, less Copycat's without."""
    meaningful: Mapping[Population, Interval | None]
    """Share of songs that did more than one song may, under guardrails, by population that occurs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HostileFacts:
    """What came of hostile histories under guardrails."""

    forbidden_returned: int
    """Songs played that should never have been, on whichever rung."""
    far_proposed: int
    """How many far songs the policy wanted first and the guardrails had to judge."""
    far_returned: int
    """Far songs played."""
    silence: float
    """Share of steps without a song."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """The numbers every gate rests on; all of listeners who were not trained on."""

    world: WorldFacts
    mode_aware: bool
    """Whether the policy was tuned for the modes' target regions, and not for a sum of signals."""
    true: TrueFacts | None
    """None where no truth is known."""
    excess: Interval | None
    """Share of songs against which an affect rule speaks under guardrails, less Copycat's without."""
    difference: float
    """Share of rollouts whose first song differs from Copycat's."""
    coverage: float
    """Distinct songs played under guardrails, over Copycat's without."""
    fallback: Interval | None
    """Share of typical steps on the rungs known_safe and approved, and silence."""
    silence: Interval | None
    hostile: HostileFacts


def gates_of(facts: Facts, config: StressConfig) -> tuple[Gate, ...]:
    """Return every gate with what was required and measured."""
    hostile = facts.hostile
    return (
        *_world_gates(facts.world),
        *(() if facts.true is None else _true_gates(facts.true, config, mode_aware=facts.mode_aware)),
        _not_above(
            "under guardrails predicted steps pass the limits no more often than Copycat's without",
            facts.excess,
            0.0,
            "of songs, against Copycat's",
        ),
        _at_least("the policy differs from Copycat", facts.difference, config.least_difference, "of first songs"),
        _at_least("what is played does not collapse", facts.coverage, config.least_coverage, "of Copycat's songs"),
        _not_above("the ladder is seldom needed", facts.fallback, config.most_fallback, "of typical steps"),
        _not_above("there is nearly always a song", facts.silence, config.most_silence, "of typical steps"),
        _at_most(
            "hostile histories seldom end in silence", hostile.silence, config.most_hostile_silence, "of steps"
        ),
        Gate(
            name="hostile histories bring no forbidden song",
            passed=hostile.forbidden_returned == 0,
            required="none, on whichever rung",
            measured=str(hostile.forbidden_returned),
        ),
        Gate(
            name="songs far from all of training are vetoed",
            passed=hostile.far_returned == 0 and hostile.far_proposed > 0,
            required="none played, and at least one wanted",
            measured=f"{hostile.far_returned} played, {hostile.far_proposed} wanted first without guardrails",
        ),
    )


def _world_gates(world: WorldFacts) -> list[Gate]:
    reference = np.minimum(world.persistence_error, world.listener_mean_error)
    gates = [
        _at_most(
            f"world model beats persistence and listener mean on {name}",
            world.error[axis],
            float(reference[axis]),
            "mean squared error",
        )
        for axis, name in enumerate(("valence", "arousal"))
    ]
    if world.song_order is not None:
        gates += [
            _at_least(
                f"songs stand in the order of their true effect on {name}", share, 0.5, "of pairs", strict=True
            )
            for name, share in zip(("valence", "arousal"), world.song_order, strict=True)
        ]
    return gates


def _true_gates(true: TrueFacts, config: StressConfig, *, mode_aware: bool) -> list[Gate]:
    affects = ("valence",) if mode_aware else ("valence", "arousal")
    gates = []
    for who, gains, farther in (
        ("the policy alone", true.gains, true.farther),
        ("the policy under guardrails", true.guarded_gains, true.guarded_farther),
    ):
        gates += [
            _not_below(f"{who} truly loses no {name} against Copycat", gains.get(name), 0.0) for name in affects
        ]
        if mode_aware:
            gates.append(
                _not_above(f"{who} leads truly no farther from the mode's region", farther, 0.0, "of the scale")
            )
        name = f"{who} truly loses hardly any engagement against Copycat"
        gates.append(_not_below(name, gains.get("engagement"), -config.most_engagement_loss))
    gates.append(
        _not_above(
            "under guardrails songs truly do more than one song may no more often than Copycat's without",
            true.excess,
            0.0,
            "of songs, against Copycat's",
        )
    )
    gates += [
        _not_above(
            f"songs truly do more than {TOLERANCES[population].meaningful_step:.4f} by themselves as seldom as is "
            f"tolerated: {population.label}",
            share,
            TOLERANCES[population].meaningful_share,
            "of songs",
        )
        for population, share in true.meaningful.items()
    ]
    return gates


def _not_above(name: str, found: Interval | None, bound: float, unit: str) -> Gate:
    """Return a gate that fails where even the lower end of the interval is above the bound."""
    return Gate(
        name=name,
        passed=found is not None and bool(found.low <= bound),
        required=f"at most {bound:.4f} {unit}, but for chance",
        measured=_shown(found),
    )


def _not_below(name: str, found: Interval | None, bound: float) -> Gate:
    """Return a gate that fails where even the upper end of the interval is below the bound; both are gains."""
    return Gate(
        name=name,
        passed=found is not None and bool(found.high >= bound),
        required=f"at least {100 * bound:+.1f}%, but for chance",
        measured="no estimate" if found is None else f"{found.shown(2, times=100)}%",
    )


def _shown(found: Interval | None) -> str:
    return "no estimate" if found is None else f"{found.mean:.4f} [{found.low:.4f}, {found.high:.4f}]"


def _at_most(name: str, found: float, bound: float, unit: str) -> Gate:
    return Gate(
        name=name,
        passed=bool(found <= bound),  # NaN fails
        required=f"at most {bound:.4f} {unit}",
        measured=f"{found:.4f}",
    )


def _at_least(name: str, found: float, bound: float, unit: str, *, strict: bool = False) -> Gate:
    return Gate(
        name=name,
        passed=bool(found > bound if strict else found >= bound),
        required=f"{'more than' if strict else 'at least'} {bound:.4f} {unit}",
        measured=f"{found:.4f}",
    )
