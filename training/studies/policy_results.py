"""Reading the cells of the policy runs: a policy's numbers over seeds, and its gain over Copycat by listener.

Legend: k seeds · b listeners
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from training.judges.paired import gap_of_gains, relative_gain
from training.statistics import Interval, Spread, clustered_function_interval, clustered_interval, spread
from training.studies.cells import Records, Results, Row, Scalar
from training.studies.contenders import COPYCAT
from training.studies.policy_records import PREDICTED, TRUE

FEEDBACK: Final = ("valence", "arousal", "rating", "engagement")
"""In the paper's order: the objective, then what is held out of it."""
_RESAMPLING_SEED: Final = 0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PolicyResults:
    """The records of the cells that are done, one cell per seed."""

    records: Sequence[Records]

    @classmethod
    def of(cls, results: Results) -> "PolicyResults":
        """Take the records of the cells."""
        return cls(records=[records for _, records in results])

    @property
    def policies(self) -> list[str]:
        """Every policy, in the order in which they were made."""
        return list(dict.fromkeys(str(row["policy"]) for cell in self.records for row in cell["policies"]))

    def about(self, name: str) -> Scalar:
        """Return a fact that is the same in every cell."""
        return self.records[0]["about"][0][name]

    @property
    def absent(self) -> list[str]:
        """Which policies could not be made, and why: one line each."""
        return sorted({f"{row['policy']}: {row['reason']}" for cell in self.records for row in cell["absent"]})

    def rows(self, kind: str, **chosen: Scalar) -> list[list[Row]]:
        """Return the rows of one kind that have the chosen values, seed by seed."""
        return [
            [row for row in cell[kind] if all(row[name] == value for name, value in chosen.items())]
            for cell in self.records
        ]

    def values(self, kind: str, column: str, **chosen: Scalar) -> list[float] | None:
        """Return one number per seed, of the only row with the chosen values; None where a seed has none."""
        found = [number(row, column) for rows in self.rows(kind, **chosen) for row in rows]
        numbers = [value for value in found if value is not None]
        return numbers if len(numbers) == len(self.records) else None

    def spread(self, kind: str, column: str, **chosen: Scalar) -> Spread | None:
        """Return mean and SD over seeds."""
        numbers = self.values(kind, column, **chosen)
        return None if numbers is None else spread(numbers)

    def gain(self, policy: str, signal: str, *, whose: str) -> Interval | None:
        """Return a policy's gain over Copycat as a share, with an interval by listener; seeds are averaged."""
        both = self._beside_copycat(policy, f"{whose}_{signal}")
        if both is None:
            return None
        values, listeners = both
        rng = np.random.default_rng(_RESAMPLING_SEED)
        return clustered_function_interval(relative_gain, values, listeners, rng=rng)

    def exploitation_gap(self, policy: str, signal: str) -> Interval | None:
        """Return predicted gain − true gain, with an interval by listener."""
        predicted = self._beside_copycat(policy, f"{PREDICTED}_{signal}")
        true = self._beside_copycat(policy, f"{TRUE}_{signal}")
        if predicted is None or true is None:
            return None
        rng = np.random.default_rng(_RESAMPLING_SEED)
        return clustered_function_interval(gap_of_gains, np.hstack([predicted[0], true[0]]), true[1], rng=rng)

    def change(self, policy: str, column: str) -> tuple[float, Interval | None] | None:
        """Return a policy's mean over listeners, and what it is above Copycat's, with an interval by listener."""
        both = self._beside_copycat(policy, column)
        if both is None:
            return None
        values, listeners = both
        rng = np.random.default_rng(_RESAMPLING_SEED)
        return float(values[:, 0].mean()), clustered_interval(values[:, 0] - values[:, 1], listeners, rng=rng)

    def _beside_copycat(self, policy: str, column: str) -> tuple[Float[ndarray, "b 2"], Int[ndarray, " b"]] | None:
        """Return a policy's and Copycat's number of every listener, the mean over seeds; None without any."""
        own, base = (self._by_listener(each, column) for each in (policy, COPYCAT))
        listeners = sorted(own.keys() & base.keys())
        if not listeners:
            return None
        values = np.array([[np.mean(own[each]), np.mean(base[each])] for each in listeners], np.float64)
        return values, np.array(listeners, np.int64)

    def _by_listener(self, policy: str, column: str) -> dict[int, list[float]]:
        """Return each listener's number in every seed; those whose number is missing in one are left out."""
        found: dict[int, list[float]] = {}
        for row in (row for rows in self.rows("listeners", policy=policy) for row in rows):
            value, listener = number(row, column), row["listener"]
            if value is not None and isinstance(listener, int):
                found.setdefault(listener, []).append(value)
        return {listener: values for listener, values in found.items() if len(values) == len(self.records)}


def number(row: Row, column: str) -> float | None:
    """Return a number of a row; None where there is none."""
    value = row.get(column)
    return float(value) if isinstance(value, int | float) else None


def others(found: PolicyResults) -> list[str]:
    """Return every policy but Copycat."""
    return [policy for policy in found.policies if policy != COPYCAT]


def shown(numbers: Spread | None) -> str | None:
    """Return mean (SD); None of nothing."""
    return None if numbers is None else numbers.shown()


def percent(interval: Interval | None) -> str | None:
    """Return a share as a percentage with its interval; None of nothing."""
    return None if interval is None else interval.shown(1, times=100)


def count(row: Row, column: str) -> int:
    """Return a whole number of a row."""
    value = row[column]
    assert isinstance(value, int), f"{column} is a count"
    return value
