"""Replicas: what each worker says of itself, so that an operator sees all of them whichever one answers."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

from sqlalchemy import Connection, bindparam, delete, select
from sqlalchemy.dialects import postgresql, sqlite

from service.clock import SECOND, Instant
from service.journal.tables import replicas

SILENT_SECONDS: Final = 60.0
"""A worker that said nothing for so long is taken to be gone."""
FORGOTTEN_SECONDS: Final = 3600.0


class Failure(NamedTuple):
    """A bundle that a worker could not load."""

    step: str
    reason: str
    at: Instant


class ReplicaRecord(NamedTuple):
    """One worker, as it last said."""

    replica: str
    started_at: Instant
    seen_at: Instant
    holding: Mapping[str, str]
    """Role → version: live, previous, canary, shadow."""
    failures: Mapping[str, Failure]
    """Version → why it could not be loaded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TellReplica:
    """Say what a worker holds and what it could not load; workers long silent are forgotten."""

    record: ReplicaRecord

    def __call__(self, sql: Connection) -> None:
        told = self.record
        failures = {version: list(failure) for version, failure in told.failures.items()}
        row = told._asdict() | {"holding": dict(told.holding), "failures": failures}
        sql.execute(_TELL[sql.dialect.name], row)
        sql.execute(_FORGET, {"before": told.seen_at - round(FORGOTTEN_SECONDS * SECOND)})


@dataclass(frozen=True, slots=True, kw_only=True)
class ForgetReplica:
    """Say that a worker is gone."""

    replica: str

    def __call__(self, sql: Connection) -> None:
        sql.execute(delete(replicas).where(replicas.c.replica == bindparam("gone")), {"gone": self.replica})


def read_replicas(sql: Connection, *, at: Instant) -> list[ReplicaRecord]:
    """Return the workers that are not silent, by name."""
    rows = sql.execute(_READ, {"after": at - round(SILENT_SECONDS * SECOND)})
    return [
        ReplicaRecord(
            row.replica,
            row.started_at,
            row.seen_at,
            row.holding,
            {version: Failure(*failure) for version, failure in row.failures.items()},
        )
        for row in rows
    ]


def _telling(make: type[postgresql.Insert] | type[sqlite.Insert]) -> postgresql.Insert | sqlite.Insert:
    statement = make(replicas)
    return statement.on_conflict_do_update(
        index_elements=["replica"],
        set_={name: statement.excluded[name] for name in ("seen_at", "holding", "failures")},
    )


_TELL: Final = {"postgresql": _telling(postgresql.Insert), "sqlite": _telling(sqlite.Insert)}
_FORGET: Final = delete(replicas).where(replicas.c.seen_at < bindparam("before"))
_READ: Final = select(replicas).where(replicas.c.seen_at >= bindparam("after")).order_by(replicas.c.replica)
