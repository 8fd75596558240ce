"""Canary listeners: whom an operator enrolled, one by one and by name, to be answered by the bundle in canary.

Nobody is enrolled by chance or by hash. A clinical listener is enrolled only by an operator who says to know that
they are one; a listener who becomes clinical after being enrolled is answered by the live bundle again. The audit
names the listener's number, which outlives erasure and says nobody's name.
"""

from dataclasses import dataclass
from typing import Final, NamedTuple

from sqlalchemy import Connection, Row, bindparam, delete, insert, select

from models.listening import Population
from service.clock import Instant
from service.errors import ClinicalListener, UnknownListener
from service.journal.audit import record_act, subject_of
from service.journal.tables import canary_listeners, listeners
from service.listener import ListenerKey


class Enrolment(NamedTuple):
    """A listener enrolled for canary bundles."""

    listener: ListenerKey
    clinical: bool
    """Whether the operator enrolled them as a clinical listener."""
    enrolled_at: Instant
    enrolled_by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EnrolListener:
    """Let the canary bundle answer a listener; again changes nothing but what is said of their being clinical.

    Raises, when called: UnknownListener; ClinicalListener where `clinical` was not said of one who is.
    """

    listener: ListenerKey
    clinical: bool
    at: Instant
    actor: str

    def __call__(self, sql: Connection) -> Enrolment:
        row = _listener(sql, self.listener)
        if row.population == Population.CLINICAL.label and not self.clinical:
            raise ClinicalListener(
                f"listener {self.listener.listener_id!r} is clinical: enrol them only by saying so"
            )
        number = {"number": row.listener_number}
        sql.execute(_DELETE, number)
        values = {"listener_number": row.listener_number, "clinical": self.clinical}
        sql.execute(_INSERT, values | {"enrolled_at": self.at, "enrolled_by": self.actor})
        _note(sql, self, "enrol canary listener", row.listener_number, {"clinical": self.clinical})
        return Enrolment(self.listener, self.clinical, self.at, self.actor)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseListener:
    """Let the live bundle answer a listener again; answers whether they were enrolled."""

    listener: ListenerKey
    at: Instant
    actor: str

    def __call__(self, sql: Connection) -> bool:
        row = _listener(sql, self.listener)
        if sql.execute(_DELETE, {"number": row.listener_number}).rowcount == 0:
            return False
        _note(sql, self, "release canary listener", row.listener_number, {})
        return True


def read_enrolments(sql: Connection) -> list[Enrolment]:
    """Return every enrolled listener, by app and id."""
    return [
        Enrolment(ListenerKey(row.app_id, row.listener_id), row.clinical, row.enrolled_at, row.enrolled_by)
        for row in sql.execute(_READ)
    ]


def _listener(sql: Connection, listener: ListenerKey) -> "Row[int, str]":
    row = sql.execute(_LISTENER, {"app": listener.app_id, "id": listener.listener_id}).first()
    if row is None:
        raise UnknownListener(f"listener {listener.listener_id!r} does not exist")
    return row


def _note(
    sql: Connection, act: EnrolListener | ReleaseListener, name: str, number: int, detail: dict[str, object]
) -> None:
    record_act(
        sql,
        at=act.at,
        actor=act.actor,
        act=name,
        subject=subject_of(number),
        detail=detail,
        app_id=act.listener.app_id,
    )


_LISTENER: Final = select(listeners.c.listener_number, listeners.c.population).where(
    listeners.c.app_id == bindparam("app"), listeners.c.listener_id == bindparam("id")
)
_INSERT: Final = insert(canary_listeners)
_DELETE: Final = delete(canary_listeners).where(canary_listeners.c.listener_number == bindparam("number"))
_READ: Final = (
    select(
        listeners.c.app_id,
        listeners.c.listener_id,
        canary_listeners.c.clinical,
        canary_listeners.c.enrolled_at,
        canary_listeners.c.enrolled_by,
    )
    .join(listeners, listeners.c.listener_number == canary_listeners.c.listener_number)
    .order_by(listeners.c.app_id, listeners.c.listener_id)
)
