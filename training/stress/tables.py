"""What was tried and what happened, as tables and sentences; numbers that could not be measured are None.

Legend: R rollouts · T steps
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray

from models.affect import SIGNALS
from models.gates import Cell, Table
from models.guardrails import GuardrailTable, Rung
from models.listening import NO_SONG, Mode, Population
from training.metrics.rollouts import passes_limits
from training.statistics import Interval
from training.stress.config import TOLERANCES, StressConfig
from training.stress.facts import BELOW_POLICY, mean_signals
from training.stress.histories import Case
from training.stress.measure import (
    against_limits,
    distinct_share,
    is_meaningful,
    on_rung,
    played,
    top_share,
)
from training.stress.tolerated import Tightened
from training.stress.trials import Hostiles, Trials, Typical, Walked
from training.stress.verdict import Facts

_DIGITS: Final = 4
_BLOCK: Final = 5
"""Songs of one row of the table over time."""


def tables_of(
    trials: Trials, facts: Facts, tightened: Sequence[Tightened], config: StressConfig
) -> tuple[Table, ...]:
    """Return every table of the report, what a reader asks first in front."""
    return (
        _hostile_table(trials.hostile, config.cases),
        _rung_table(trials.hostile, config.cases),
        _hostile_by_listener(trials.hostile),
        _typical_table(trials.typical, trials.table),
        _over_time(trials.typical, config),
        *_gain_table(trials.typical, facts),
        _limit_table(trials.table),
        *_tightening_table(tightened),
    )


def notes_of(
    trials: Trials, tightened: Sequence[Tightened], config: StressConfig, *, seed: int
) -> tuple[str, ...]:
    """Return what was tried and how to read it, in sentences."""
    typical, hostile = trials.typical, trials.hostile
    counts = f"{len(typical.windows)} rollouts of {len(np.unique(typical.windows.listener))} test listeners"
    said = [
        f"{counts} and {len(hostile.hostile.case)} of invented ones, {config.song_count} songs each, with and "
        f"without guardrails; seed {seed}. Intervals draw whole listeners ({2 * config.confidence - 1:.0%}).",
        "Invented histories hold no listener's data. They were played over the log's songs, a tenth of them "
        f"withdrawn, and {int(hostile.songs.is_far.sum())} songs made to lie far from all heard in training.",
    ]
    if typical.policy.swings is None:
        said.append(
            "What listeners truly feel is not known of this log: limits are quantiles of what the models predict, "
            "and nothing is said of true steps or gains."
        )
        return tuple(said)
    said.append(
        "The platform is simulated, so what each song truly adds to affect is known; drift back to rest, which "
        "comes with any song, is not counted. Platform listeners, drawn at random and put in the reported state, "
        "stand in for invented ones."
    )
    bounds = ", ".join(
        f"{TOLERANCES[each].meaningful_step:.4f} ({each.label}, {TOLERANCES[each].meaningful_share:.0%} of songs)"
        for each in (Population.CLINICAL, Population.CONSUMER)
    )
    said.append(
        "A step is meaningful where one song by itself moves arousal, or lowers valence, by more than "
        f"{bounds}; an eighth is one point of the nine-point manikin."
    )
    missed = [f"{each.population.label} in {each.mode.label}" for each in tightened if not each.tolerated]
    if missed:
        said.append(
            "No bearable limit kept meaningful steps within what is tolerated on the listeners from whom limits "
            f"were read: {', '.join(missed)}. There the tightest bearable limits stand."
        )
    said.append(
        "Coverage floor and ε are off: a test of some hundred rollouts says nothing of a population's exposure."
    )
    return tuple(said)


def _hostile_table(hostile: Hostiles, cases: Sequence[Case]) -> Table:
    rows = []
    for place, case in enumerate(cases):
        chosen = hostile.hostile.case == place
        if chosen.any():
            free, guarded = hostile.policy, hostile.guarded
            rows.append(
                (
                    case.name,
                    case.tried,
                    _largest(free.rollouts.step[chosen][..., 1]),
                    _largest(guarded.rollouts.step[chosen][..., 1]),
                    _largest_effect(free, chosen),
                    _largest_effect(guarded, chosen),
                    _largest_walk(free, chosen),
                    _largest_walk(guarded, chosen),
                    _meaningful(free, chosen),
                    _meaningful(guarded, chosen),
                )
            )
    return Table(
        title="Hostile histories: the largest swings of arousal",
        note="Each case in every mode and population. Predicted: the change of the world model's estimate. True: "
        "what one song itself added. Walk: how far the songs together led from where none would have. Meaningful: "
        "share of songs that did more than one song may. Each without and with guardrails.",
        header=(
            *("case", "what was tried", "predicted, without", "predicted, with"),
            *("true, without", "true, with", "walk, without", "walk, with"),
            *("meaningful, without", "meaningful, with"),
        ),
        rows=tuple(rows),
    )


def _rung_table(hostile: Hostiles, cases: Sequence[Case]) -> Table:
    rows: list[tuple[Cell, ...]] = []
    for place, case in enumerate(cases):
        chosen = hostile.hostile.case == place
        if chosen.any():
            guarded = hostile.guarded.rollouts.song[chosen]
            free = hostile.policy.rollouts.song[chosen]
            rows.append(
                (
                    case.name,
                    *(_number(on_rung(hostile.guarded.rollouts, rung)[chosen].mean()) for rung in Rung),
                    _number(against_limits(hostile.policy.rollouts)[chosen].mean()),
                    _number(hostile.songs.is_far[free[free != NO_SONG]].mean()),
                    _number(distinct_share(free)),
                    _number(distinct_share(guarded)),
                )
            )
    return Table(
        title="Hostile histories: who answered, and with what",
        note="Share of steps answered on each rung of the ladder under guardrails; share of songs that the policy "
        "alone plays past a limit, and far from all of training; distinct songs per song played.",
        header=(
            "case",
            *(rung.value for rung in Rung),
            *("past a limit, without", "far songs, without", "distinct, without", "distinct, with"),
        ),
        rows=tuple(rows),
    )


def _hostile_by_listener(hostile: Hostiles) -> Table:
    free, guarded = hostile.policy, hostile.guarded
    rows: list[tuple[Cell, ...]] = []
    for population in Population:
        for mode in Mode:
            chosen = (guarded.rollouts.population == population) & (guarded.rollouts.mode == mode)
            if chosen.any():
                rows.append(
                    (
                        f"{population.label}, {mode.label}",
                        *(_largest(each.rollouts.step[chosen][..., 1]) for each in (free, guarded)),
                        *(_largest_effect(each, chosen) for each in (free, guarded)),
                        *(_meaningful(each, chosen) for each in (free, guarded)),
                        *(_number(against_limits(each.rollouts)[chosen].mean()) for each in (free, guarded)),
                        _number(on_rung(guarded.rollouts, *BELOW_POLICY)[chosen].mean()),
                    )
                )
    return Table(
        title="Hostile histories, by population and mode",
        note="All cases together: largest predicted and true swings of arousal, share of meaningful steps, share "
        "of songs against which an affect rule speaks; steps answered below the policy's rungs under guardrails.",
        header=(
            *("listeners", "predicted, without", "predicted, with", "true, without", "true, with"),
            *(
                "meaningful, without",
                "meaningful, with",
                "past a limit, without",
                "past a limit, with",
                "fallback",
            ),
        ),
        rows=tuple(rows),
    )


def _typical_table(typical: Typical, table: GuardrailTable) -> Table:
    guarded = typical.guarded.rollouts
    rows: list[tuple[Cell, ...]] = []
    for population in Population:
        for mode in (None, *Mode):
            chosen = guarded.population == population
            if mode is not None:
                chosen = chosen & (guarded.mode == mode)
            if chosen.any():
                name = f"{population.label}, {'all modes' if mode is None else mode.label}"
                rows.append((name, float(chosen.sum()), *_typical_cells(typical, chosen, table)))
    return Table(
        title="Typical listeners, by population and mode",
        note="Test listeners in the mode they were in. Meaningful: share of songs that by themselves did more "
        "than one song may. Whole step: share of songs after which true affect, drift included, was past a limit. "
        "Predicted: share of songs against which an affect rule speaks. Fallback: steps below the policy's rungs.",
        header=(
            *("listeners", "rollouts", "meaningful, Copycat", "meaningful, without", "meaningful, with"),
            *("whole step, Copycat", "whole step, with", "predicted, Copycat", "predicted, with"),
            *("fallback", "silence"),
        ),
        rows=tuple(rows),
    )


def _typical_cells(typical: Typical, chosen: Bool[ndarray, " R"], table: GuardrailTable) -> tuple[Cell, ...]:
    copycat, policy, guarded = typical.copycat, typical.policy, typical.guarded
    return (
        *(_meaningful(each, chosen) for each in (copycat, policy, guarded)),
        *(_whole(each, chosen, table) for each in (copycat, guarded)),
        *(_number(against_limits(each.rollouts)[chosen].mean()) for each in (copycat, guarded)),
        _number(on_rung(guarded.rollouts, *BELOW_POLICY)[chosen].mean()),
        _number(on_rung(guarded.rollouts, Rung.SILENCE)[chosen].mean()),
    )


def _over_time(typical: Typical, config: StressConfig) -> Table:
    rows: list[tuple[Cell, ...]] = []
    for first in range(0, config.song_count, _BLOCK):
        part = slice(first, min(first + _BLOCK, config.song_count))
        songs = f"{part.start + 1}–{part.stop}"
        for name, each in (
            ("Copycat", typical.copycat),
            ("policy", typical.policy),
            ("policy under guardrails", typical.guarded),
        ):
            song = each.rollouts.song[:, part]
            walk = None if each.swings is None else _number(_mean(np.abs(each.swings.walk[:, part, 1])))
            effect = None if each.swings is None else _number(_mean(np.abs(each.swings.effect[:, part, 1])))
            rows.append(
                (
                    songs,
                    name,
                    _number(distinct_share(song)),
                    _number(top_share(song)),
                    _number(_mean(np.abs(each.rollouts.step[:, part, 1]))),
                    effect,
                    walk,
                    _number(on_rung(each.rollouts, *BELOW_POLICY)[:, part].mean()),
                )
            )
    return Table(
        title="Typical listeners, as the session goes on",
        note="Distinct songs per song played, and the share that the ten most played songs take, over all "
        "listeners; mean size of the predicted step, of the song's own true effect on arousal, and of the walk.",
        header=("songs", "policy", "distinct", "top ten", "predicted step", "true effect", "walk", "fallback"),
        rows=tuple(rows),
    )


def _gain_table(typical: Typical, facts: Facts) -> tuple[Table, ...]:
    """Return true and predicted gains over Copycat; nothing where no truth is known."""
    if facts.true is None:
        return ()
    base = typical.copycat.rollouts
    rows: list[tuple[Cell, ...]] = []
    for name, rollouts, gains in (
        ("policy", typical.policy.rollouts, facts.true.gains),
        ("policy under guardrails", typical.guarded.rollouts, facts.true.guarded_gains),
    ):
        predicted = np.nanmean(mean_signals(rollouts, rollouts.predicted), axis=0)
        predicted = 100 * (predicted / np.nanmean(mean_signals(base, base.predicted), axis=0) - 1)
        for place, signal in enumerate(SIGNALS):
            found = gains.get(signal)
            gap = None if found is None else _number(predicted[place] - 100 * found.mean)
            rows.append((name, signal, _number(predicted[place]), *_percent(found), gap))
    return (
        Table(
            title="Gains over Copycat, in percent",
            note="Predicted by the world models that the policy was tuned on, and true; the gap between the two "
            "is what the models promised and listeners would not have felt.",
            header=("policy", "signal", "predicted", "true", "from", "to", "exploitation gap"),
            rows=tuple(rows),
        ),
    )


def _limit_table(table: GuardrailTable) -> Table:
    rows = []
    for population in Population:
        for mode in Mode:
            limits = table.limits_for(population, mode)
            rows.append(
                (
                    f"{population.label}, {mode.label}",
                    limits.arousal_rise,
                    limits.arousal_fall,
                    limits.arousal_band,
                    limits.valence_fall,
                    limits.caution,
                    limits.support_distance,
                    float(limits.song_gap),
                )
            )
    return Table(
        title="What is forbidden: the limits",
        note="Largest predicted step of arousal up and down, with κ spreads of doubt; largest distance of the "
        "estimate from the last report; largest predicted fall of valence; all on a scale from 0 to 1. Farthest a "
        "song may lie from the training songs; songs before one may come back.",
        header=("listeners", "rise", "fall", "band", "valence fall", "κ", "support", "song gap"),
        rows=tuple(rows),
    )


def _tightening_table(tightened: Sequence[Tightened]) -> tuple[Table, ...]:
    if not tightened:
        return ()
    return (
        Table(
            title="How the truth tightened the limits",
            note="Training and validation listeners, each asking for one of the modes. Factor: of the limits on "
            "steps that quantiles of predictions gave. Meaningful steps under the limits before and after; "
            "situations left without a song by the policy's own two rungs.",
            header=("listeners", "situations", "factor", "before", "after", "without a song", "tolerated"),
            rows=tuple(
                (
                    f"{each.population.label}, {each.mode.label}",
                    float(each.situations),
                    each.factor,
                    _number(each.meaningful_before),
                    _number(each.meaningful),
                    _number(each.fallback),
                    "yes" if each.tolerated else "no",
                )
                for each in tightened
            ),
        ),
    )


def _meaningful(walked: Walked, chosen: Bool[ndarray, " R"]) -> float | None:
    if walked.swings is None:
        return None
    effect = walked.swings.effect[chosen]
    population = np.broadcast_to(walked.rollouts.population[chosen][:, None], effect.shape[:2])
    known = np.isfinite(effect[..., 0])
    return _number(is_meaningful(effect, population)[known].mean()) if known.any() else None


def _whole(walked: Walked, chosen: Bool[ndarray, " R"], table: GuardrailTable) -> float | None:
    if walked.swings is None:
        return None
    return _number(passes_limits(walked.rollouts, table)[chosen][played(walked.rollouts)[chosen]].mean())


def _largest_effect(walked: Walked, chosen: Bool[ndarray, " R"]) -> float | None:
    return None if walked.swings is None else _largest(walked.swings.effect[chosen][..., 1])


def _largest_walk(walked: Walked, chosen: Bool[ndarray, " R"]) -> float | None:
    return None if walked.swings is None else _largest(walked.swings.walk[chosen][..., 1])


def _largest(values: Float[ndarray, "*shape"]) -> float | None:
    """Return the value farthest from 0, with its sign; None where nothing is known."""
    known = values[np.isfinite(values)]
    return _number(known[np.abs(known).argmax()]) if len(known) else None


def _mean(values: Float[ndarray, "*shape"]) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else float("nan")


def _percent(found: Interval | None) -> tuple[float | None, float | None, float | None]:
    if found is None:
        return None, None, None
    return _number(100 * found.mean), _number(100 * found.low), _number(100 * found.high)


def _number(value: float | np.floating) -> float | None:
    return round(float(value), _DIGITS) if np.isfinite(value) else None
