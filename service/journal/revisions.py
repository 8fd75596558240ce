"""Revisions: numbers for the songs, the bundles and the keys, that replicas watch to learn of changes.

The row is locked from the change to its commit, so that whoever has seen revision n has seen every change up
to n.
"""

from typing import Final, Literal, NamedTuple

from sqlalchemy import Connection, bindparam, select, update

from service.journal.notices import announce
from service.journal.tables import revisions

Subject = Literal["songs", "bundles", "keys"]


class Revisions(NamedTuple):
    """The latest revision of what is live; 0 before the first change."""

    songs: int
    bundles: int


def advance(sql: Connection, subject: Subject) -> int:
    """Count one more change, to be committed with it, and announce it; return the new revision."""
    announce(sql, subject)
    return sql.execute(_ADVANCE, {"subject": subject}).scalar_one()


def hold(sql: Connection, subject: Subject) -> int:
    """Let nobody else count a change before this transaction ends; return the latest revision."""
    return sql.execute(_HOLD, {"subject": subject}).scalar_one()


def read_revisions(sql: Connection) -> Revisions:
    """Return the latest revisions."""
    found = {row.name: row.number for row in sql.execute(_READ)}
    return Revisions(found["songs"], found["bundles"])


_ADVANCE: Final = (
    update(revisions)
    .where(revisions.c.name == bindparam("subject"))
    .values(number=revisions.c.number + 1)
    .returning(revisions.c.number)
)
_HOLD: Final = select(revisions.c.number).where(revisions.c.name == bindparam("subject")).with_for_update()
_READ: Final = select(revisions.c.name, revisions.c.number)
