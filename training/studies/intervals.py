"""Intervals in flat records, and the interval of a mean of independent estimates."""

from collections.abc import Sequence

import numpy as np

from training.statistics import Interval
from training.studies.cells import Row, Scalar


def interval_fields(name: str, interval: Interval | None) -> dict[str, Scalar]:
    """Return an interval as three fields of a record; None where there is none."""
    if interval is None:
        return {name: None, f"{name}_low": None, f"{name}_high": None}
    return {name: interval.mean, f"{name}_low": interval.low, f"{name}_high": interval.high}


def interval_in(row: Row, name: str) -> Interval | None:
    """Return the interval that `interval_fields` wrote."""
    mean, low, high = row[name], row[f"{name}_low"], row[f"{name}_high"]
    if not (isinstance(mean, int | float) and isinstance(low, int | float) and isinstance(high, int | float)):
        return None
    return Interval(mean=float(mean), low=float(low), high=float(high))


def mean_of_independent(intervals: Sequence[Interval]) -> Interval | None:
    """Return the interval of the mean of k estimates that share no listener; None of none.

    Each side reaches √(Σ reach²) / k, as for normal estimates: what seeds differ by beyond their listeners shows
    in the mean, not in the interval.
    """
    if not intervals:
        return None
    count = len(intervals)
    mean = float(np.mean([each.mean for each in intervals]))
    below = float(np.sqrt(np.sum([(each.mean - each.low) ** 2 for each in intervals]))) / count
    above = float(np.sqrt(np.sum([(each.high - each.mean) ** 2 for each in intervals]))) / count
    return Interval(mean=mean, low=mean - below, high=mean + above)


def mean_of_same(intervals: Sequence[Interval]) -> Interval | None:
    """Return mean, mean low and mean high of estimates that share their listeners; None of none."""
    if not intervals:
        return None
    low, mean, high = np.mean([(each.low, each.mean, each.high) for each in intervals], axis=0).tolist()
    return Interval(mean=mean, low=low, high=high)
