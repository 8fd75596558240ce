"""The table and the figure of ingredients: a row for every recipe, with all that is told of it."""

from collections.abc import Sequence
from functools import partial
from typing import Final

import numpy as np
from matplotlib.figure import Figure as Canvas

from training.judges.paired import ALL
from training.studies.cells import Figure, Records, Results, ResultTable, Value
from training.studies.contenders import COPYCAT
from training.studies.report import plots
from training.studies.worlds_tables import estimate, plotted, share_of_copycat

ALONE: Final = "alone, on the paper's"
TOGETHER: Final = "together"
CHANGED: Final = "together, but"
BEHIND: Final = "behind a decoder"
TARGETS: Final = "other targets"
_ORDER: Final = (ALONE, TOGETHER, CHANGED, BEHIND, TARGETS)
"""The parts of the table, by what a row is to be compared with."""

_GAINS: Final = (
    ("true_gain", ("valence", "arousal", "engagement", "rating"), "true"),
    ("predicted_gain", ("valence", "arousal"), "predicted"),
    ("gap", ("valence", "arousal"), "gap"),
)
"""Field of the record, its signals, and the first word of the column's head."""
_DIVERSITY: Final = {"coverage": "coverage", "entropy": "entropy", "intra_list_diversity": "ILD"}
_NOTE: Final = (
    "Gains over Copycat in percent of Copycat's mean, over five-song rollouts of strangers to every model, "
    "without guardrails; 95% intervals resample listeners, and over several seeds their independent errors are "
    "joined. gap: predicted − true gain. distance: true distance of valence and arousal from the mode's target "
    "region less Copycat's, × 1000, over all modes; below 0 is nearer. KL from Copycat in nats and flattening: on "
    "validation listeners, of the policy that was kept. coverage, entropy, ILD: percent of Copycat's. Rows of "
    "*together* add one ingredient each to the row above; rows of *together, but* differ from the last of those "
    "in what they name. Recipes may be chosen by this table; what was chosen is judged by "
    "`amrs study worlds`."
)


def gain_table(results: Results) -> ResultTable:
    """Return one row per policy but Copycat, part after part."""
    runs = [records for _, records in results]
    rows = [
        (group, name, sum(_has(run, name) for run in runs), *_told(runs, name))
        for name, group in _policies(runs).items()
    ]
    return ResultTable(
        name="gains",
        title="Every recipe: true gains over Copycat, in percent, and their price",
        header=(
            "part",
            "recipe",
            "seeds",
            *(f"{head} {signal}" for _, signals, head in _GAINS for signal in signals),
            "distance",
            "KL",
            "flattening",
            *_DIVERSITY.values(),
        ),
        rows=tuple(rows),
        note=_NOTE,
    )


def gain_figure(results: Results) -> list[Figure]:
    """Return predicted and true gains of valence and arousal by recipe."""
    runs = [records for _, records in results]
    gains = [gain for name in _policies(runs) for gain in plotted(runs, name, name)]
    if not gains:
        return []
    return [
        Figure(
            name="ingredients",
            title="Promised and true, recipe by recipe",
            caption="Gain over Copycat as the world model predicts it and as it truly was; 95% intervals.",
            draw=partial(_draw, gains=gains),
            width=10.0,
            height=1.5 + 0.2 * len(gains),
        )
    ]


def _policies(runs: Sequence[Records]) -> dict[str, str]:
    """Return every policy but Copycat that some run has, and its part of the table, part after part."""
    found = {str(row["policy"]): str(row["group"]) for run in runs for row in run["policies"]}
    found.pop(COPYCAT, None)
    return dict(sorted(found.items(), key=lambda each: _ORDER.index(each[1])))


def _told(runs: Sequence[Records], policy: str) -> list[Value]:
    """Return all that is told of a policy, from left to right."""
    gains = [
        estimate(runs, "gains", field, policy=policy, signal=signal, group=ALL)
        for field, signals, _ in _GAINS
        for signal in signals
    ]
    distance = estimate(runs, "distances", "change", policy=policy)
    shares = [share_of_copycat(runs, policy, measure) for measure in _DIVERSITY]
    return [
        *(None if gain is None else gain.shown(1, times=100) for gain in gains),
        None if distance is None else distance.shown(1, times=1000),
        *(_mean(runs, policy, field) for field in ("kl_nats", "flattening")),
        *(None if share is None else f"{100 * share:.1f}" for share in shares),
    ]


def _mean(runs: Sequence[Records], policy: str, field: str) -> str | None:
    """Return the mean over seeds of how far a recipe went; None of what was not trained."""
    values = [row[field] for run in runs for row in run["reach"] if row["policy"] == policy]
    numbers = [value for value in values if isinstance(value, int | float)]
    return f"{float(np.mean(numbers)):.2f}" if numbers else None


def _has(run: Records, policy: str) -> bool:
    return any(row["policy"] == policy for row in run["policies"])


def _draw(canvas: Canvas, *, gains: Sequence[plots.Gain]) -> None:
    plots.exploitation_gap(canvas, gains)
