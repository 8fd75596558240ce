"""Measurements: what bundles showed in service, kept as sums over listeners and never as anybody's values.

A measure is a name from a small closed set; its count and total give a mean or a share. Each worker adds what it
saw since it last did, so that SQL holds the sums of all of them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

from sqlalchemy import Connection, bindparam, func, select
from sqlalchemy.dialects import postgresql, sqlite

from service.clock import SECOND, Instant
from service.journal.tables import measurements

DAY: Final = 86_400 * SECOND
FIELD: Final = 0
"""The `since` of what is measured whatever the stage: how predictions fare in the field."""


@dataclass(frozen=True, slots=True)
class Measured:
    """How often something was measured, and the sum of what was found."""

    count: int = 0
    total: float = 0.0

    @property
    def mean(self) -> float | None:
        """The mean, or the share where what was found is 0 or 1; None where nothing was measured."""
        return self.total / self.count if self.count else None

    def plus(self, other: "Measured") -> "Measured":
        """Return both together."""
        return Measured(self.count + other.count, self.total + other.total)


class Subject(NamedTuple):
    """What is measured: a bundle, since it came to its stage, and the measure's name."""

    bundle: str
    since: Instant
    measure: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AddMeasurements:
    """Add what was seen to what all workers saw; a day is the UTC day of `at`."""

    measured: Mapping[Subject, Measured]
    at: Instant

    def __call__(self, sql: Connection) -> None:
        add_measurements(sql, self.measured, at=self.at)


def add_measurements(sql: Connection, measured: Mapping[Subject, Measured], *, at: Instant) -> None:
    """Add to the sums of the day; rows are locked in one order, so that two writers never wait in a circle."""
    day = at - at % DAY
    rows = [
        {**subject._asdict(), "day": day, "count": found.count, "total": found.total}
        for subject, found in sorted(measured.items())
    ]
    if rows:
        sql.execute(_ADD[sql.dialect.name], rows)


def read_measurements(
    sql: Connection, bundle: str, *, since: Instant, from_day: Instant = 0
) -> dict[str, Measured]:
    """Return the sums of a bundle by measure, over the days that begin at `from_day` or later."""
    rows = sql.execute(_READ, {"name": bundle, "began": since, "first": from_day})
    return {measure: Measured(int(count), float(total)) for measure, count, total in rows}


def _adding(make: type[postgresql.Insert] | type[sqlite.Insert]) -> postgresql.Insert | sqlite.Insert:
    statement = make(measurements)
    return statement.on_conflict_do_update(
        index_elements=["bundle", "since", "day", "measure"],
        set_={name: measurements.c[name] + statement.excluded[name] for name in ("count", "total")},
    )


_ADD: Final = {"postgresql": _adding(postgresql.Insert), "sqlite": _adding(sqlite.Insert)}
_READ: Final = (
    select(measurements.c.measure, func.sum(measurements.c.count), func.sum(measurements.c.total))
    .where(
        measurements.c.bundle == bindparam("name"),
        measurements.c.since == bindparam("began"),
        measurements.c.day >= bindparam("first"),
    )
    .group_by(measurements.c.measure)
)
