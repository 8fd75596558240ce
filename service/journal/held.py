"""Everything that SQL holds of one listener, as JSON: each table that names listeners, row by row.

Which tables these are follows from the tables themselves, so that one added later is not forgotten.
"""

from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Any, Final

import orjson
from sqlalchemy import Connection, Table, bindparam, select

from service.clock import Instant, to_datetime
from service.errors import UnknownListener
from service.journal.audit import record_act, subject_of
from service.journal.tables import Moment, listeners, metadata
from service.listener import ListenerKey

NAMED_BY: Final = "listener_number"
TABLES: Final = tuple(table for table in metadata.tables.values() if NAMED_BY in table.c)
"""Every table whose rows are some listener's."""
_ROWS_AT_A_TIME: Final = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class NoteExport:
    """Put on record that a listener's export is about to be read.

    Raises, when called: UnknownListener.
    """

    listener: ListenerKey
    at: Instant
    actor: str

    def __call__(self, sql: Connection) -> None:
        number = number_of(sql, self.listener)
        record_act(
            sql,
            at=self.at,
            actor=self.actor,
            act="export listener",
            subject=subject_of(number),
            detail={},
            app_id=self.listener.app_id,
        )


def number_of(sql: Connection, listener: ListenerKey) -> int:
    """Return the number by which other tables name a listener.

    Raises:
        UnknownListener: there is none.
    """
    names = {"app_id": listener.app_id, "listener_id": listener.listener_id}
    number = sql.scalar(_NUMBER, names)
    if number is None:
        raise UnknownListener(f"listener {listener.listener_id!r} does not exist")
    return number


def write_held(sql: Connection, listener: ListenerKey, out: IO[bytes]) -> None:
    """Write the members of a JSON object, one per table, a few rows in memory at a time.

    Times are RFC 3339, UTC; bytes are base64: of decisions and receipts, packed as `models.decision` and
    `service.journal.settle` read them.

    Raises:
        UnknownListener: there is none.
    """
    number = number_of(sql, listener)
    for place, table in enumerate(TABLES):
        out.write(b"," if place else b"")
        out.write(orjson.dumps(table.name) + b":[")
        for row_place, row in enumerate(_rows(sql, table, number)):
            out.write(b"," if row_place else b"")
            out.write(orjson.dumps(row))
        out.write(b"]")


def _rows(sql: Connection, table: Table, number: int) -> Iterator[dict[str, Any]]:
    question = select(table).where(table.c[NAMED_BY] == bindparam("number")).order_by(*table.primary_key)
    moments = {column.name for column in table.c if isinstance(column.type, Moment)}
    options = {"yield_per": _ROWS_AT_A_TIME}
    with sql.execute(question, {"number": number}, execution_options=options) as found:
        for row in found.mappings():
            yield {str(name): _shown(value, is_moment=name in moments) for name, value in row.items()}


def _shown(value: Any, *, is_moment: bool) -> Any:
    if isinstance(value, bytes):
        return b64encode(value).decode()
    if is_moment and value is not None:
        return to_datetime(value)
    return value


_NUMBER: Final = select(listeners.c.listener_number).where(
    listeners.c.app_id == bindparam("app_id"), listeners.c.listener_id == bindparam("listener_id")
)
