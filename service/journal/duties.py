"""Duties: work that one worker does for all, taken for a while and handed on when its holder falls silent.

A duty is a lease, and a lease can be outlived: whoever does the work commits how far it is done in the transaction
of its results, from where it began, and is refused if somebody else went on from there.
"""

from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, bindparam, select, update
from sqlalchemy.dialects import postgresql, sqlite

from service.clock import SECOND, Instant
from service.errors import Conflict
from service.journal.tables import duties


@dataclass(frozen=True, slots=True, kw_only=True)
class TakeDuty:
    """Take a duty, or keep it; answers how far it is done, or None where another worker holds it."""

    duty: str
    holder: str
    at: Instant
    seconds: float
    """How long it is held without being taken again."""

    def __call__(self, sql: Connection) -> Instant | None:
        row = {"duty": self.duty, "holder": self.holder, "until": 0, "done_to": 0}
        sql.execute(_BEGIN[sql.dialect.name], row)
        found = sql.execute(_READ, {"name": self.duty}).one()
        if found.holder != self.holder and found.until > self.at:
            return None
        until = self.at + round(self.seconds * SECOND)
        sql.execute(_TAKE, {"name": self.duty, "holder": self.holder, "until": until})
        done_to: Instant = found.done_to
        return done_to


def advance_duty(sql: Connection, duty: str, *, begun: Instant, done_to: Instant) -> None:
    """Put down how far a duty is done, with its results.

    Raises:
        Conflict: it is not at `begun` any more: another worker did the same.
    """
    names = {"name": duty, "begun": begun, "done": done_to}
    if sql.execute(_ADVANCE, names).rowcount != 1:
        raise Conflict(f"duty {duty!r} was done by another worker meanwhile")


_BEGIN: Final = {
    "postgresql": postgresql.insert(duties).on_conflict_do_nothing(),
    "sqlite": sqlite.insert(duties).on_conflict_do_nothing(),
}
_READ: Final = select(duties).where(duties.c.duty == bindparam("name")).with_for_update()
_TAKE: Final = (
    update(duties)
    .where(duties.c.duty == bindparam("name"))
    .values(holder=bindparam("holder"), until=bindparam("until"))
)
_ADVANCE: Final = (
    update(duties)
    .where(duties.c.duty == bindparam("name"), duties.c.done_to == bindparam("begun"))
    .values(done_to=bindparam("done"))
)
