"""Table 1: what a log holds beside what the paper's held, and how well it could be predicted at all.

The counts of a real log stand beside the paper's for orientation; those of the simulated platform were made to
match. Where the truth is known, the ceilings say what the best predictor would reach, so that a world model's
score can be read as a share of it.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl

from models.affect import SIGNALS
from models.errors import DataError
from models.log import Log, read_log
from training.platform.ceilings import measure_ceilings
from training.platform.table_one import Statistic, count_statistics, spread_statistics
from training.platform.truth import recover_truth
from training.studies.cells import Cell, Figure, Records, Results, ResultTable, Row, Scalar, Value
from training.studies.scales import Scale
from training.tasks import Advance

_PAIRS_SEED: Final = 0
"""Draws the pairs of songs whose order is asked."""
_PREDICTORS: Final = {
    "latent": "knows the latent state",
    "observed": "best from the observed history",
    "observed_without_song": "the same, candidate song hidden",
}
_LIKED, _DISLIKED, _SESSIONS, _PLAYS = "positive ratings", "negative ratings", "sessions", "user-song interactions"
_RATES: Final = (
    ("sessions per user", (_SESSIONS,), ("users",)),
    ("plays per session", (_PLAYS,), (_SESSIONS,)),
    ("share of plays rated", (_LIKED, _DISLIKED), (_PLAYS,)),
    ("share of ratings positive", (_LIKED,), (_LIKED, _DISLIKED)),
    ("share of sessions with a report after", ("post-session reports",), (_SESSIONS,)),
)
"""What the counts say whatever the size of a log: words, and the counts above and below the line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Table1:
    """One cell: the log itself."""

    name: str = "table1"
    title: str = "The log beside the paper's Table 1"
    revision: int = 1

    def cells(self, scale: Scale) -> list[Cell]:
        """Return the one cell."""
        del scale
        return [Cell(study=self.name, settings=(("pairs seed", _PAIRS_SEED),))]

    def reads(self, scale: Scale) -> tuple[()]:
        """Return nothing: no recipe has a part in these numbers."""
        del scale
        return ()

    def run(self, cell: Cell, log: Path, scale: Scale, advance: Advance) -> Records:
        """Return the statistics, and the ceilings where the truth is known."""
        del scale
        read = read_log(log)
        ceilings, reason = _ceilings(read, np.random.default_rng(cell.number("pairs seed")), advance)
        return {
            "about": [{"simulated": read.description.simulated, "no ceilings": reason}],
            "counts": [_row(each) for each in count_statistics(read)],
            "spreads": [_row(each) for each in spread_statistics(read)],
            "after songs": _after_songs(read),
            **ceilings,
        }

    def tables(self, results: Results) -> list[ResultTable]:
        """Return what was logged, and what could be predicted."""
        return [table for _, records in results for table in (_logged(records), *_predictable(records))]

    def figures(self, results: Results) -> list[Figure]:
        """Return none: the table is all there is to see."""
        del results
        return []


def _row(statistic: Statistic) -> Row:
    value = statistic.value if math.isfinite(statistic.value) else None
    return {"statistic": statistic.name, "value": value, "paper": statistic.paper}


def _after_songs(log: Log) -> list[Row]:
    """Return what is known of reports after single songs: the paper has none, some platforms have no others."""
    labels = {name: log.plays[name].cast(pl.Float64).drop_nulls().to_numpy() for name in ("valence", "arousal")}
    if not len(labels["valence"]):
        return []
    spreads = [(f"SD of {name}, reported after a song", float(label.std())) for name, label in labels.items()]
    return [
        {"statistic": name, "value": value, "paper": None}
        for name, value in (("reports after a song", len(labels["valence"])), *spreads)
    ]


def _ceilings(log: Log, rng: np.random.Generator, advance: Advance) -> tuple[dict[str, Sequence[Row]], str | None]:
    """Return the ceilings, or why there are none."""
    try:
        truth = recover_truth(log)
    except DataError as error:
        return {}, str(error)
    ceilings = measure_ceilings(truth.simulation, rng, advance=advance)
    rows = [{"predictor": words, **getattr(ceilings, field)} for field, words in _PREDICTORS.items()]
    return {"ceilings": rows, "song order": [dict(ceilings.song_order)]}, None


def _logged(records: Records) -> ResultTable:
    about, counts = records["about"][0], records["counts"]
    rows = [*counts, *_rates(counts), *records["spreads"], *records["after songs"]]
    return ResultTable(
        name="log",
        title="What was logged",
        header=("statistic", "simulated" if about["simulated"] else "this log", "paper", "difference"),
        rows=tuple((row["statistic"], row["value"], row["paper"], _difference(row)) for row in rows),
        note=(
            "Counts: AMRS Table 1, and what follows from them. SDs of labels: from AMRS Table 2, "
            "SD² = MSE / (1 − R²); affect is the report after a session. A dash: there is no such label."
            + (f" No ceilings: {about['no ceilings']}." if about["no ceilings"] else "")
        ),
    )


def _rates(counts: Sequence[Row]) -> list[Row]:
    """Return what the counts say whatever the size of the log."""
    return [
        {
            "statistic": words,
            **{
                side: _ratio({row["statistic"]: row[side] for row in counts}, above, below)
                for side in ("value", "paper")
            },
        }
        for words, above, below in _RATES
    ]


def _ratio(counts: Mapping[Scalar, Scalar], above: Sequence[str], below: Sequence[str]) -> float | None:
    top, bottom = (sum(float(counts[name] or 0) for name in names) for names in (above, below))
    return top / bottom if bottom else None


def _difference(row: Row) -> str | None:
    """Return by how much the log is above the paper, where both have a number."""
    value, paper = row["value"], row["paper"]
    if isinstance(value, int | float) and isinstance(paper, int | float):
        return f"{value / paper - 1:+.1%}"
    return None


def _predictable(records: Records) -> list[ResultTable]:
    """Return the table of ceilings; none where no truth is known."""
    if "ceilings" not in records:
        return []
    order = records["song order"][0]
    rows: list[tuple[Value, ...]] = []
    for row in records["ceilings"]:
        told = row["predictor"] == _PREDICTORS["observed"]
        ordered = (order["valence"], order["arousal"]) if told else (None, None)
        rows.append((row["predictor"], *(row[signal] for signal in SIGNALS), *ordered))
    header = ("predictor", "engagement R²", "rating AUC", "valence R²", "arousal R²", "order by v", "order by a")
    note = (
        "Of predictors that know how the simulated platform works, over all its listeners. Order: the share of "
        "pairs of uniform songs that stand in the order of their true effect on valence (v) and on arousal (a)."
    )
    return [
        ResultTable(name="ceilings", title="What could be predicted", header=header, rows=tuple(rows), note=note)
    ]
