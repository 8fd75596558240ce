"""The tables and figures of other worlds: worlds as rows, the mean and the worst of the perturbed ones below."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Final

import numpy as np
from matplotlib.figure import Figure as Canvas

from models.listening import Mode
from training.judges.paired import ALL
from training.platform.perturbations import FACTORS, PERTURBATIONS, Perturbation
from training.statistics import Interval
from training.studies.cells import Figure, Records, Results, ResultTable, Row, Value
from training.studies.contenders import COPYCAT, RECIPES
from training.studies.intervals import interval_in, mean_of_independent
from training.studies.policy_runs import RERANKED_COPYCAT, RERANKED_DPO
from training.studies.report import plots

BASE: Final = "base"
JUDGED: Final = (*RECIPES, RERANKED_COPYCAT, RERANKED_DPO)
"""The policies that have tables of their own; the others are references."""

_GAINS: Final = (
    ("valence", "true_gain", "true valence"),
    ("arousal", "true_gain", "true arousal"),
    ("engagement", "true_gain", "true engagement"),
    ("rating", "true_gain", "true rating"),
    ("valence", "gap", "gap valence"),
    ("arousal", "gap", "gap arousal"),
    ("valence", "oracle_share", "of the oracle's valence"),
    ("arousal", "oracle_share", "of the oracle's arousal"),
)
"""Signal, field of the record, and the column's head."""
_DIVERSITY: Final = {"coverage": "coverage", "entropy": "entropy", "intra_list_diversity": "ILD"}

_NOTE: Final = (
    "Gains over Copycat in percent of Copycat's mean, over five-song rollouts of strangers to every model, "
    "without guardrails; 95% intervals resample listeners, and over several seeds their "
    "independent errors are joined. gap: predicted − true gain. of the oracle's: the true gain as a share of "
    "what re-ranking Copycat's first songs by a Kalman filter gains; a dash where that is not above zero for "
    "certain. coverage, entropy, ILD: percent of Copycat's. mean and worst are over the perturbed worlds; the "
    "worst gap is the largest."
)
_DISTANCE_NOTE: Final = (
    "True distance of valence and arousal from the mode's target region, less Copycat's, × 1000; below 0 is "
    "nearer. 95% intervals resample listeners. mean and worst are over the perturbed worlds; the worst is the "
    "largest."
)


def world_tables(results: Results) -> list[ResultTable]:
    """Return two tables for each recipe that was trained: gains and cost, and distance by mode."""
    worlds = by_world(results)
    made = [
        name
        for name in JUDGED
        if any(_rows(run, "gains", policy=name) for runs in worlds.values() for run in runs)
    ]
    return [table for name in made for table in (_gain_table(worlds, name), _distance_table(worlds, name))]


def gain_figures(results: Results) -> list[Figure]:
    """Return predicted and true gains of valence and arousal in every world, one figure for each recipe."""
    worlds = by_world(results)
    figures = []
    for name in JUDGED:
        gains = [each for world, runs in worlds.items() for each in plotted(runs, name, world)]
        if gains:
            figures.append(
                Figure(
                    name=f"worlds-{slug(name)}",
                    title=f"{name}: promised and true, world by world",
                    caption="Gain over Copycat as the world model predicts it and as it truly was; 95% intervals.",
                    draw=partial(_draw, gains=gains),
                    height=1.5 + 0.4 * len(worlds),
                )
            )
    return figures


def by_world(results: Results) -> dict[str, list[Records]]:
    """Return the records of each world's seeds, the base world first."""
    order = [BASE, *(Perturbation(name=name, factor=factor).label for name in PERTURBATIONS for factor in FACTORS)]
    worlds: dict[str, list[Records]] = {name: [] for name in order}
    for cell, records in results:
        worlds[cell.text("world")].append(records)
    return {name: runs for name, runs in worlds.items() if runs}


def slug(name: str) -> str:
    """Return a name as part of a file's."""
    return "-".join("".join(each if each.isalnum() else " " for each in name.lower()).split())


def _gain_table(worlds: Mapping[str, Sequence[Records]], policy: str) -> ResultTable:
    """Return what a policy gains over Copycat in every world, and what that costs in diversity."""
    told = {
        world: [
            *(
                estimate(runs, "gains", field, policy=policy, signal=signal, group=ALL)
                for signal, field, _ in _GAINS
            ),
            *(share_of_copycat(runs, policy, measure) for measure in _DIVERSITY),
        ]
        for world, runs in worlds.items()
    }
    worst = [max if field == "gap" else min for _, field, _ in _GAINS] + [min] * len(_DIVERSITY)
    return ResultTable(
        name=f"gains-{slug(policy)}",
        title=f"{policy}: true gains over Copycat, in percent",
        header=("world", "seeds", *(head for *_, head in _GAINS), *_DIVERSITY.values()),
        rows=_with_summary(worlds, told, worst, times=100, digits=1),
        note=_NOTE,
    )


def _distance_table(worlds: Mapping[str, Sequence[Records]], policy: str) -> ResultTable:
    """Return by how much a policy leaves listeners further from each mode's region than Copycat does."""
    told = {
        world: [estimate(runs, "distances", "change", policy=policy, mode=mode.label) for mode in Mode]
        for world, runs in worlds.items()
    }
    return ResultTable(
        name=f"distance-{slug(policy)}",
        title=f"{policy}: true distance from the target region, against Copycat's",
        header=("world", "seeds", *(mode.label for mode in Mode)),
        rows=_with_summary(worlds, told, [max] * len(Mode), times=1000, digits=1),
        note=_DISTANCE_NOTE,
    )


Told = Interval | float | None
"""One number of a table: with an interval, without, or none."""


def _with_summary(
    worlds: Mapping[str, Sequence[Records]],
    told: Mapping[str, Sequence[Told]],
    worst: Sequence[Callable[[Sequence[float]], float]],
    *,
    times: int,
    digits: int,
) -> tuple[tuple[Value, ...], ...]:
    """Return one row per world, and the mean and the worst of the perturbed ones where there are any."""
    rows: list[tuple[Value, ...]] = [
        (world, len(worlds[world]), *(_shown(each, times, digits) for each in values))
        for world, values in told.items()
    ]
    perturbed = [values for world, values in told.items() if world != BASE]
    columns = [
        [number for each in column if (number := _number(each)) is not None]
        for column in zip(*perturbed, strict=True)
    ]
    if columns:
        means = [float(np.mean(column)) if column else None for column in columns]
        worsts = [pick(column) if column else None for pick, column in zip(worst, columns, strict=True)]
        rows += [
            ("mean of the perturbed", None, *(_shown(each, times, digits, signed=True) for each in means)),
            ("worst of the perturbed", None, *(_shown(each, times, digits, signed=True) for each in worsts)),
        ]
    return tuple(rows)


def _shown(value: Told, times: int, digits: int, *, signed: bool = False) -> Value:
    if isinstance(value, Interval):
        return value.shown(digits, times=times)
    return None if value is None else f"{times * value:{'+' if signed else ''}.{digits}f}"


def _number(value: Told) -> float | None:
    return value.mean if isinstance(value, Interval) else value


def estimate(runs: Sequence[Records], kind: str, field: str, **named: str) -> Interval | None:
    """Return the mean over seeds of one number of a policy."""
    found = [interval_in(row, field) for run in runs for row in _rows(run, kind, **named)]
    return mean_of_independent([each for each in found if each is not None])


def share_of_copycat(runs: Sequence[Records], policy: str, measure: str) -> float | None:
    """Return a measure of diversity as a share of Copycat's, the mean over seeds."""
    shares = []
    for run in runs:
        values = {str(row["policy"]): row[measure] for row in run["diversity"]}
        own, base = values.get(policy), values[COPYCAT]
        if isinstance(own, int | float) and isinstance(base, int | float) and base > 0:
            shares.append(own / base)
    return float(np.mean(shares)) if shares else None


def _rows(run: Records, kind: str, **named: str) -> list[Row]:
    return [row for row in run[kind] if all(row[name] == value for name, value in named.items())]


def plotted(runs: Sequence[Records], policy: str, label: str) -> list[plots.Gain]:
    """Return predicted and true gains of valence and arousal under a label; none where either is unknown."""
    found = []
    for signal in ("valence", "arousal"):
        predicted, true = (
            estimate(runs, "gains", field, policy=policy, signal=signal, group=ALL)
            for field in ("predicted_gain", "true_gain")
        )
        if predicted is not None and true is not None:
            found.append(plots.Gain(policy=label, signal=signal, predicted=predicted, true=true))
    return found


def _draw(canvas: Canvas, *, gains: Sequence[plots.Gain]) -> None:
    plots.exploitation_gap(canvas, gains)
