"""The tables and figures of world models, shaped like the paper's: Tables 2 and 3 differ in their rows alone.

Every number is a mean over splits, which are the same for every row. Rows that ran on fewer splits are compared
with the base on those they share.

Legend: R splits · T epochs
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

import numpy as np
from matplotlib.figure import Figure as Canvas

from models.affect import SIGNALS
from training.metrics.prediction import mean_ranks
from training.statistics import nadeau_bengio_t, paired_t, spread
from training.studies.cells import Figure, Results, ResultTable, Row, Value
from training.studies.report.plots import Bins, calibration, learning_curves

TEST_PER_TRAIN: Final = 1 / 8
"""Test listeners per training listener, 80/10/10."""
_ENGAGEMENT, _RATING, _VALENCE, _AROUSAL = SIGNALS
_LESS_IS_BETTER: Final = ((_ENGAGEMENT, "mse"), (_VALENCE, "mse"), (_AROUSAL, "mse"))


@dataclass(frozen=True, slots=True)
class Measure:
    """One column of a table like the paper's."""

    signal: str
    score: str
    """As the records call it."""
    heading: str
    digits: int
    times: float

    def shown(self, values: Sequence[float]) -> str | None:
        """Return mean (SD) of the values of several splits; None of none."""
        found = spread(values)
        return None if found is None else found.shown(self.digits, times=self.times)


COLUMNS: Final = (
    Measure(_ENGAGEMENT, "mse", "engagement MSE", 3, 1.0),
    Measure(_ENGAGEMENT, "r_squared", "engagement R² (%)", 1, 100.0),
    Measure(_RATING, "auc", "rating AUC (%)", 1, 100.0),
    Measure(_VALENCE, "mse", "valence MSE", 3, 1.0),
    Measure(_VALENCE, "r_squared", "valence R² (%)", 1, 100.0),
    Measure(_AROUSAL, "mse", "arousal MSE", 3, 1.0),
    Measure(_AROUSAL, "r_squared", "arousal R² (%)", 1, 100.0),
)
"""The paper's columns."""
HEADLINE: Final = (COLUMNS[1], COLUMNS[2], COLUMNS[4], COLUMNS[6])
RANKED: Final = (COLUMNS[0], COLUMNS[2], COLUMNS[3], COLUMNS[5])
"""What configurations are ranked by: MSE e, AUC r, MSE v, MSE a."""


@dataclass(frozen=True, slots=True, eq=False)
class Numbers:
    """Every number of one kind of record: (row, signal, number) → split → value; absent where there is none."""

    values: Mapping[tuple[str, str, str], Mapping[int, float]]

    @classmethod
    def of(cls, results: Results, kind: str, names: Sequence[str]) -> "Numbers":
        """Return the named numbers of the records of one kind."""
        values: dict[tuple[str, str, str], dict[int, float]] = {}
        for cell, records in results:
            for row in records.get(kind, ()):
                for name in names:
                    value = row.get(name)
                    if isinstance(value, int | float):
                        key = (str(row["row"]), str(row["signal"]), name)
                        values.setdefault(key, {})[cell.number("split")] = float(value)
        return cls(values)

    def of_row(self, row: str, signal: str, name: str) -> Mapping[int, float]:
        """Return the number of each split."""
        return self.values.get((row, signal, name), {})

    def rows(self) -> list[str]:
        """Return every row there is, in the order of the results."""
        return list(dict.fromkeys(row for row, _, _ in self.values))


def scores_of(results: Results) -> Numbers:
    """Return the test scores."""
    return Numbers.of(results, "scores", ("mse", "r_squared", "auc", "nats", "hidden_r_squared", "hidden_auc"))


def paper_table(
    results: Results,
    *,
    name: str,
    title: str,
    rows: Sequence[str],
    base: str,
    paper: Mapping[str, Sequence[str]],
    note: str,
) -> ResultTable:
    """Return the table in the paper's shape: our row, then the paper's below it.

    Args:
        results: the cells that are done.
        name: of the table.
        title: of the table.
        rows: contenders from top to bottom; those that are missing are left out.
        base: the row that the others are tested against.
        paper: the paper's fields of each row, in the order of `COLUMNS`.
        note: what belongs under it besides what is said of every such table.
    """
    scores = scores_of(results)
    present = [row for row in rows if row in scores.rows()]
    ranks = _ranks(scores, present)
    lines: list[tuple[Value, ...]] = []
    for row in present:
        fields = [_field(scores, row, base, column) for column in COLUMNS]
        rank = f"{ranks[row]:.2f}" if row in ranks else None
        lines.append((row, "ours", *fields, rank, _split_count(scores, row)))
        if row in paper:
            lines.append(("", "paper", *paper[row], None, _PAPER_SPLITS))
    return ResultTable(
        name=name,
        title=title,
        header=("", "", *(column.heading for column in COLUMNS), "mean rank", "splits"),
        rows=tuple(lines),
        quoted=tuple(place for place, line in enumerate(lines) if line[1] == "paper"),
        selected=tuple(place for place, line in enumerate(lines) if line[0] == base),
        note=" ".join(filter(None, [_PAPER_NOTE, note, _gaps(scores, present)])),
    )


_PAPER_SPLITS: Final = 10

_PAPER_NOTE: Final = (
    "Mean (SD) over splits by listener; every token of test listeners' histories, from no more tokens back than "
    "the row's model looks; each signal at its best validation epoch; the row below is what the paper printed of "
    "its own listeners. Stars: paired t-test against the base as the paper prints it (* p < .05, ** p < .01, *** "
    "p < .001); a dagger stands where p < .05 remains after the correction of Nadeau and Bengio for splits that "
    "overlap. Mean rank: over MSE e, AUC r, MSE v, MSE a, on the splits that all ranked rows share."
)


def _gaps(scores: Numbers, rows: Sequence[str]) -> str:
    """Return, in words, on how many splits a score could not be computed; nothing where all could."""
    told = []
    for column in HEADLINE:
        most = max((len(_of(scores, row, each)) for row in rows for each in COLUMNS), default=0)
        count = max((len(_of(scores, row, column)) for row in rows), default=0)
        if count < most:
            why = "likes and dislikes are needed" if column.score == "auc" else "labels that differ are needed"
            told.append(f"No estimate of {column.heading} on {most - count} of {most} splits: {why}.")
    return " ".join(told)


def differences_table(results: Results, *, name: str, rows: Sequence[str], base: str) -> ResultTable:
    """Return every difference from the base with both p-values."""
    scores = scores_of(results)
    lines: list[tuple[Value, ...]] = []
    for row in rows:
        if row == base or row not in scores.rows():
            continue
        for column in HEADLINE:
            mine, theirs = _shared(scores, row, base, column)
            plain = paired_t(mine, theirs)
            if plain is None:
                continue
            corrected = nadeau_bengio_t(mine, theirs, test_per_train=TEST_PER_TRAIN)
            p_values = [None if each is None or each.p is None else f"{each.p:.3g}" for each in (plain, corrected)]
            lines.append((row, column.heading, f"{column.times * plain.difference:+.2f}", *p_values, plain.count))
    return ResultTable(
        name=name,
        title=f"Differences from {base}",
        header=("", "score", "difference", "p, paired t", "p, Nadeau–Bengio", "splits"),
        rows=tuple(lines),
        note="In points. Splits of one log share listeners: the plain test is too sure of itself.",
    )


def share_table(
    results: Results, *, name: str, rows: Sequence[str], ceiling: str, own: Mapping[str, str] | None = None
) -> ResultTable:
    """Return each row's headline scores, and their share of the observable ceiling on the splits both have.

    The share of an AUC is that of its excess over one half.

    Args:
        results: the cells that are done.
        name: of the table.
        rows: from top to bottom; those that are missing are left out.
        ceiling: the row of which shares are told.
        own: another such row for rows that are judged by other labels.
    """
    scores = scores_of(results)
    lines: list[tuple[Value, ...]] = []
    for row in [each for each in rows if each in scores.rows()]:
        shown = [column.shown(list(_of(scores, row, column).values())) for column in HEADLINE]
        best = (own or {}).get(row, ceiling)
        shares = [_share(scores, row, best, column) for column in HEADLINE]
        lines.append((row, *shown, *shares, _split_count(scores, row)))
    header = (
        "",
        *(column.heading for column in HEADLINE),
        *(f"share of ceiling, {column.signal} (%)" for column in HEADLINE),
        "splits",
    )
    return ResultTable(
        name=name,
        title="References, and shares of what can be known",
        header=header,
        rows=tuple(lines),
        note=(
            f"The ceiling is “{ceiling}”: a Kalman filter that knows the platform's constants and every song's "
            "true content, on the labels that the row is judged by. Shares are ratios of means over splits; of an "
            "AUC, above one half."
        ),
    )


def candidate_table(results: Results, *, name: str, rows: Sequence[str]) -> ResultTable:
    """Return what each row loses when the candidate is hidden in the test alone."""
    scores = scores_of(results)
    lines: list[tuple[Value, ...]] = []
    for row in [each for each in rows if each in scores.rows()]:
        fields = [_lost(scores, row, column) for column in HEADLINE]
        if any(fields):
            lines.append((row, *fields))
    return ResultTable(
        name=name,
        title="What the candidate song is worth",
        header=("", *(column.heading for column in HEADLINE)),
        rows=tuple(lines),
        note=(
            "With the candidate → with the average song in its place, at test only; a model trained without the "
            "candidate stands in Table 3. The standard form cannot hide a candidate and keep it in the history."
        ),
    )


def order_table(results: Results, *, name: str, rows: Sequence[str]) -> ResultTable:
    """Return how each row orders uniform candidates against the truth."""
    order = Numbers.of(results, "song_order", ("pairwise", "kendall_tau", "slope"))
    signals = (_VALENCE, _AROUSAL, _ENGAGEMENT, _RATING)
    lines: list[tuple[Value, ...]] = []
    for row in [each for each in rows if each in order.rows()]:
        pairs = [_mean_sd(order.of_row(row, signal, "pairwise"), 3) for signal in signals]
        taus = [_mean(order.of_row(row, signal, "kendall_tau")) for signal in signals]
        slopes = [_mean(order.of_row(row, signal, "slope")) for signal in signals]
        lines.append((row, *pairs, *taus, *slopes))
    header = (
        "",
        *(f"pairs, {signal}" for signal in signals),
        *(f"τ, {signal}" for signal in signals),
        *(f"slope, {signal}" for signal in signals),
    )
    return ResultTable(
        name=name,
        title="Song effects: in which order a model puts songs",
        header=header,
        rows=tuple(lines),
        note=(
            "100 uniform songs after each test listener's whole history, by the checkpoint a bundle would keep. "
            "Pairs: share of pairs in their true order, .5 by chance; τ: Kendall's, the mean over listeners; "
            "slope of truth on prediction, 1 where predicted differences are as wide as the true ones. True "
            "affect is the song's effect, true engagement and rating their expectation. The best linear reading "
            "is a ridge of the true mean responses on the embedding, songs read by maps fitted on other songs."
        ),
    )


def curve_figure(results: Results, *, name: str, rows: Sequence[str]) -> Figure:
    """Return validation scores epoch by epoch."""
    runs: dict[str, dict[str, list[list[float]]]] = {}
    kept: dict[str, list[int]] = {}
    for _, records in results:
        for row, signal, curve in _curves(records.get("curve", ()), rows):
            runs.setdefault(signal, {}).setdefault(row, []).append([_number(each) for each in curve])
            if signal == _VALENCE:
                kept.setdefault(row, []).extend(place for place, each in enumerate(curve) if each["kept"] is True)
    panels = {
        f"{signal}, {'AUC' if signal == _RATING else 'R²'}": {
            row: np.array(curves, np.float64) for row, curves in by_row.items()
        }
        for signal, by_row in runs.items()
    }
    return Figure(
        name=name,
        title="Learning curves on validation listeners",
        caption="Mean over splits, bands of one SD; a marker stands at the mean epoch that a bundle would keep.",
        draw=partial(learning_curves, panels=panels, measure="validation score", kept=kept),
        height=6.5,
    )


def calibration_figure(results: Results, *, name: str, rows: Sequence[str]) -> Figure:
    """Return what was observed against what was predicted, in bins of each signal."""
    bins: dict[tuple[str, str, int], list[Row]] = {}
    for _, records in results:
        for row in records.get("calibration", ()):
            if row["row"] in rows:
                number = row["bin"]
                assert isinstance(number, int)
                bins.setdefault((str(row["signal"]), str(row["row"]), number), []).append(row)
    panels: dict[str, dict[str, Bins]] = {}
    for signal, name_of_row in dict.fromkeys((signal, name_of_row) for signal, name_of_row, _ in bins):
        own = [each for key, each in bins.items() if key[:2] == (signal, name_of_row)]
        panels.setdefault(signal, {})[name_of_row] = _pooled(own)
    draw: Callable[[Canvas], None] = partial(calibration, panels=panels)
    return Figure(
        name=name,
        title="Calibration of the four signals on test listeners",
        caption="Ten bins of equally many labels a split, means over splits; bars are 1.96 standard errors.",
        draw=draw,
        height=6.5,
    )


def _pooled(bins: Sequence[Sequence[Row]]) -> Bins:
    """Return each bin's mean over splits, and the standard error over splits."""
    predicted = [np.array([_number(row, "predicted") for row in rows]) for rows in bins]
    observed = [np.array([_number(row, "observed") for row in rows]) for rows in bins]
    return Bins(
        predicted=np.array([each.mean() for each in predicted]),
        observed=np.array([each.mean() for each in observed]),
        error=np.array([each.std(ddof=1) / len(each) ** 0.5 if len(each) > 1 else 0.0 for each in observed]),
        count=np.array([sum(int(_number(row, "labels")) for row in rows) for rows in bins], np.int64),
    )


def _curves(rows: Sequence[Row], wanted: Sequence[str]) -> Iterator[tuple[str, str, list[Row]]]:
    """Yield the rows of each contender and signal, epoch by epoch."""
    curves: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        if row["row"] in wanted:
            curves.setdefault((str(row["row"]), str(row["signal"])), []).append(row)
    for (name, signal), curve in curves.items():
        yield name, signal, curve


def _number(row: Row, name: str = "validation_score") -> float:
    value = row[name]
    return float(value) if isinstance(value, int | float) else float("nan")


def _of(scores: Numbers, row: str, column: Measure) -> Mapping[int, float]:
    return scores.of_row(row, column.signal, column.score)


def _shared(scores: Numbers, row: str, base: str, column: Measure) -> tuple[list[float], list[float]]:
    """Return a score of two rows on the splits that both have."""
    mine, theirs = _of(scores, row, column), _of(scores, base, column)
    splits = sorted(mine.keys() & theirs.keys())
    return [mine[split] for split in splits], [theirs[split] for split in splits]


def _field(scores: Numbers, row: str, base: str, column: Measure) -> str | None:
    """Return mean (SD) with the marks of both tests."""
    shown = column.shown(list(_of(scores, row, column).values()))
    if shown is None or row == base:
        return shown
    mine, theirs = _shared(scores, row, base, column)
    plain, corrected = paired_t(mine, theirs), nadeau_bengio_t(mine, theirs, test_per_train=TEST_PER_TRAIN)
    dagger = "†" if corrected is not None and corrected.p is not None and corrected.p < 0.05 else ""
    return f"{shown}{'' if plain is None else plain.stars}{dagger}"


def _ranks(scores: Numbers, rows: Sequence[str]) -> dict[str, float]:
    """Return each row's mean rank over the four primary metrics, on the splits that all rows share."""
    found = [[_of(scores, row, column) for column in RANKED] for row in rows]
    splits = [set(column) for columns in found for column in columns if column]
    shared = set.intersection(*splits) if splits else set()
    if not shared:
        return {}
    sign = [1.0 if (column.signal, column.score) in _LESS_IS_BETTER else -1.0 for column in RANKED]
    losses = np.array(
        [
            [
                sign[place] * np.mean([values[split] for split in sorted(shared)]) if values else np.nan
                for place, values in enumerate(columns)
            ]
            for columns in found
        ]
    )
    return dict(zip(rows, mean_ranks(losses).tolist(), strict=True))


def _split_count(scores: Numbers, row: str) -> int | None:
    return max(len(_of(scores, row, column)) for column in COLUMNS) or None


def _share(scores: Numbers, row: str, ceiling: str, column: Measure) -> str | None:
    mine, best = _shared(scores, row, ceiling, column)
    if not mine:
        return None
    chance = 0.5 if column.score == "auc" else 0.0
    above = float(np.mean(best)) - chance
    return f"{100 * (float(np.mean(mine)) - chance) / above:.0f}" if above > 0 else None


def _lost(scores: Numbers, row: str, column: Measure) -> str | None:
    seen = _of(scores, row, column)
    hidden = scores.of_row(row, column.signal, f"hidden_{column.score}")
    splits = sorted(seen.keys() & hidden.keys())
    if not splits:
        return None
    means = [100 * float(np.mean([values[split] for split in splits])) for values in (seen, hidden)]
    return f"{means[0]:.1f} → {means[1]:.1f}"


def _mean_sd(values: Mapping[int, float], digits: int) -> str | None:
    found = spread(list(values.values()))
    return None if found is None else found.shown(digits)


def _mean(values: Mapping[int, float]) -> str | None:
    found = spread(list(values.values()))
    return None if found is None else f"{found.mean:.3f}"
