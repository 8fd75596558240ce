"""A first gate: what a bundle must show before it may be promoted, until the full stress test comes.

Each check is a function of numbers measured elsewhere; a number that is missing or not finite fails its check.

Source: SAFETY, What is measured; SCIENCE, where the paper is weak (1 and 3).
"""

from dataclasses import dataclass

import numpy as np

from models.gates import Gate, GateReport

LEAST_DIFFERENCE = 0.10
"""Share of first songs in which the policy must differ from Copycat: less, and nothing was learned."""
MOST_FALLBACK = 0.05
"""Share of steps that may be answered below the policy's own rungs."""
MOST_SILENCE = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class Violations:
    """Share of the songs played whose step passes the limits."""

    guarded: float
    """Of the policy under guardrails."""
    copycat: float
    """Of Copycat without guardrails."""

    def allowed(self, rollout_count: int) -> float:
        """Return Copycat's share and two standard errors of the difference: what chance alone may add."""
        share = (self.guarded + self.copycat) / 2
        return self.copycat + 2 * float(np.sqrt(2 * share * (1 - share) / rollout_count))


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """The numbers the gate rests on; all of listeners who were not trained on."""

    model_error: tuple[float, float]
    """Mean squared error of the world models' valence and arousal."""
    persistence_error: tuple[float, float]
    """Of repeating the last report."""
    listener_mean_error: tuple[float, float]
    """Of the mean of the listener's reports so far."""
    song_order: tuple[float, float] | None
    """Pairwise accuracy for valence and arousal; None where no truth is known."""
    violations: Violations
    """By predicted steps."""
    true_violations: Violations | None
    """By true steps; None where no truth is known."""
    difference: float
    """Share of rollouts whose first song differs from Copycat's."""
    fallback: float
    """Share of steps on the rungs known_safe and approved, and silence."""
    silence: float
    rollout_count: int
    """Rollouts behind each share: the songs of one rollout are no independent witnesses."""


def judge_bundle(measured: Measured) -> GateReport:
    """Return every gate with what was required and measured."""
    reference = np.minimum(measured.persistence_error, measured.listener_mean_error)
    gates = [
        _at_most(
            f"world model beats persistence and listener mean on {name}",
            measured.model_error[axis],
            float(reference[axis]),
            "mean squared error",
        )
        for axis, name in enumerate(("valence", "arousal"))
    ]
    if measured.song_order is not None:
        gates += [
            _at_least(
                f"songs stand in the order of their true effect on {name}", share, 0.5, "of pairs", strict=True
            )
            for name, share in zip(("valence", "arousal"), measured.song_order, strict=True)
        ]
    if measured.true_violations is not None:
        gates.append(_violation_gate("true", measured.true_violations, measured.rollout_count))
    return GateReport(
        gates=(
            *gates,
            _violation_gate("predicted", measured.violations, measured.rollout_count),
            _at_least("the policy differs from Copycat", measured.difference, LEAST_DIFFERENCE, "of first songs"),
            _at_most(
                "the ladder is seldom needed",
                measured.fallback,
                MOST_FALLBACK + 2 * float(np.sqrt(MOST_FALLBACK * (1 - MOST_FALLBACK) / measured.rollout_count)),
                f"of steps ({MOST_FALLBACK}, and chance)",
            ),
            _at_most("there is nearly always a song", measured.silence, MOST_SILENCE, "of steps"),
        )
    )


def _violation_gate(kind: str, found: Violations, rollout_count: int) -> Gate:
    name = f"under guardrails {kind} steps pass the limits no more often than Copycat's without"
    return _at_most(
        name, found.guarded, found.allowed(rollout_count), f"of songs (Copycat's {found.copycat:.4f}, and chance)"
    )


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
