"""The audit: who did what to the service, kept in the transaction that did it."""

from collections.abc import Mapping
from typing import Final

from sqlalchemy import Connection, insert

from service.clock import Instant
from service.journal.tables import audit


def record_act(
    sql: Connection, *, at: Instant, actor: str, act: str, subject: str, detail: Mapping[str, object]
) -> None:
    """Put an operator's act on record; it commits with the act or not at all."""
    row = {"at": at, "actor": actor, "act": act, "subject": subject, "detail": dict(detail)}
    sql.execute(_INSERT, row)


_INSERT: Final = insert(audit)
