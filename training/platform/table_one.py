"""The counts and label spreads of a log, beside those of the paper's.

Source: AMRS Table 1; the label SDs follow from its Table 2, SD² = MSE / (1 − R²).
"""

from dataclasses import dataclass
from typing import Final

import polars as pl

from models.log import Log
from training.platform.parameters import PAPER

PAPER_SONGS_PLAYED: Final = 5_992
PAPER_SPREADS: Final = {"engagement": 0.256, "valence": 0.217, "arousal": 0.244}


@dataclass(frozen=True, slots=True, kw_only=True)
class Statistic:
    """One line of the table."""

    name: str
    value: int | float
    paper: int | float

    @property
    def deviation(self) -> float:
        """By which share of the paper's value this one is above it."""
        return self.value / self.paper - 1


def count_statistics(log: Log) -> list[Statistic]:
    """Return the nine counts of AMRS Table 1."""
    plays, sessions = log.plays, log.sessions
    return [
        Statistic(name="users", value=len(log.listeners), paper=PAPER.listener_count),
        Statistic(name="sessions", value=len(sessions), paper=PAPER.session_count),
        Statistic(name="user-song interactions", value=len(plays), paper=PAPER.play_count),
        Statistic(name="unique songs played", value=plays["song_id"].n_unique(), paper=PAPER_SONGS_PLAYED),
        Statistic(name="song catalogue size", value=len(log.songs), paper=PAPER.song_count),
        Statistic(
            name="positive ratings",
            value=len(plays.filter(pl.col("rating") == 1)),
            paper=PAPER.positive_rating_count,
        ),
        Statistic(
            name="negative ratings",
            value=len(plays.filter(pl.col("rating") == 0)),
            paper=PAPER.negative_rating_count,
        ),
        Statistic(name="pre-session reports", value=sessions["before_valence"].count(), paper=PAPER.session_count),
        Statistic(
            name="post-session reports", value=sessions["after_valence"].count(), paper=PAPER.end_report_count
        ),
    ]


def spread_statistics(log: Log) -> list[Statistic]:
    """Return the SDs of the three continuous labels; affect is the report after a session."""
    labels = {
        "engagement": log.plays["engagement"],
        "valence": log.sessions["after_valence"],
        "arousal": log.sessions["after_arousal"],
    }
    return [
        Statistic(name=f"SD of {name}", value=_spread(label), paper=PAPER_SPREADS[name])
        for name, label in labels.items()
    ]


def _spread(label: pl.Series) -> float:
    spread = label.cast(pl.Float64).std(ddof=0)
    return float("nan") if spread is None else float(spread)  # type: ignore[arg-type]
