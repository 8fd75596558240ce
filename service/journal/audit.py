"""The audit: who did what to the service, kept in the transaction that did it, and never changed afterwards.

No statement here updates or deletes, and triggers in the database refuse both. A listener is named by their
number, so that an erasure leaves nothing behind that leads to them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec
from sqlalchemy import Connection, insert, or_, select

from service.clock import Instant
from service.journal.tables import audit


def record_act(
    sql: Connection,
    *,
    at: Instant,
    actor: str,
    act: str,
    subject: str,
    detail: Mapping[str, object],
    app_id: str | None = None,
) -> None:
    """Put an act on record; it commits with the act or not at all."""
    row = act_row(at=at, actor=actor, act=act, subject=subject, detail=detail, app_id=app_id)
    sql.execute(INSERT_ACT, row)


@dataclass(frozen=True, slots=True, kw_only=True)
class NoteAct:
    """Put an act on record that writes nothing else."""

    at: Instant
    actor: str
    act: str
    subject: str
    detail: Mapping[str, object]

    def __call__(self, sql: Connection) -> None:
        record_act(sql, at=self.at, actor=self.actor, act=self.act, subject=self.subject, detail=self.detail)


def act_row(
    *,
    at: Instant,
    actor: str,
    act: str,
    subject: str,
    detail: Mapping[str, object],
    app_id: str | None = None,
) -> dict[str, Any]:
    """Return the row of an act; `app_id` where it concerns one app alone."""
    return {"at": at, "actor": actor, "act": act, "subject": subject, "app_id": app_id, "detail": dict(detail)}


def subject_of(listener_number: int) -> str:
    """Return how a listener is named in the audit: by a number that leads to nobody once they are erased."""
    return f"listener {listener_number}"


class Act(msgspec.Struct, frozen=True, kw_only=True):
    """One act on record."""

    audit_number: int
    at: Instant
    actor: str
    act: str
    subject: str
    detail: dict[str, Any]


def read_acts(
    sql: Connection,
    *,
    app_id: str | None,
    limit: int,
    before: int | None = None,
    subject: str | None = None,
) -> list[Act]:
    """Return acts, the latest first: all of them, or those that one app may see.

    Args:
        app_id: None for everything; else the acts on what all apps share, and on this app's listeners.
        before: acts of smaller numbers only.
        subject: acts on it only.
    """
    question = _READ.order_by(audit.c.audit_number.desc()).limit(limit)
    if app_id is not None:
        question = question.where(or_(audit.c.app_id.is_(None), audit.c.app_id == app_id))
    if before is not None:
        question = question.where(audit.c.audit_number < before)
    if subject is not None:
        question = question.where(audit.c.subject == subject)
    return [Act(**row._mapping) for row in sql.execute(question)]


INSERT_ACT: Final = insert(audit)
_READ: Final = select(
    audit.c.audit_number, audit.c.at, audit.c.actor, audit.c.act, audit.c.subject, audit.c.detail
)
