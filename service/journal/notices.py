"""Notices: PostgreSQL tells workers of a change as it commits, so that they look at once and not in their turn.

Nothing rests on a notice. Workers look by themselves every half second, and where none comes (SQLite, a pooler in
between that keeps no session, a connection that was lost) they are that much later and no less right.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Final

import psycopg
import structlog
from sqlalchemy import URL, Connection, bindparam, func, select

from service.journal.engine import CONNECT_TIMEOUT_SECONDS, SILENCE_SECONDS, database_of

CHANNEL: Final = "amrs_changes"
RETRY_SECONDS: Final = 5.0
"""How long after a connection was lost another one is asked for."""

_NOTIFY: Final = select(func.pg_notify(CHANNEL, bindparam("subject")))

_log = structlog.get_logger("amrs.journal")


def announce(sql: Connection, subject: str) -> None:
    """Tell whoever listens, once the transaction is committed, that a subject has changed."""
    if sql.dialect.name == "postgresql":
        sql.execute(_NOTIFY, {"subject": subject})


@asynccontextmanager
async def hearing(database_url: str, wake: Mapping[str, asyncio.Event]) -> AsyncIterator[None]:
    """Set the event of each subject that is announced, and of all after a time of not hearing; SQLite is silent.

    Args:
        database_url: of the journal.
        wake: subject → what to set.
    """
    url = database_of(database_url)
    if url.get_backend_name() != "postgresql":
        yield
        return
    task = asyncio.create_task(_hear_for_ever(url, wake), name="hear of changes")
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def _hear_for_ever(url: URL, wake: Mapping[str, asyncio.Event]) -> None:
    while True:
        try:
            await _hear(url, wake)
        except (psycopg.Error, OSError) as problem:
            _log.warning("no notice of changes; they are looked for as always", reason=type(problem).__name__)
        await asyncio.sleep(RETRY_SECONDS)


async def _hear(url: URL, wake: Mapping[str, asyncio.Event]) -> None:
    """Listen until the connection is lost."""
    _, arguments = url.get_dialect()().create_connect_args(url)
    connection = await psycopg.AsyncConnection.connect(
        **arguments,
        autocommit=True,
        application_name="amrs notices",
        connect_timeout=CONNECT_TIMEOUT_SECONDS,
        keepalives_idle=SILENCE_SECONDS,
        keepalives_interval=1,
        keepalives_count=SILENCE_SECONDS,
    )
    async with connection:
        await connection.execute(f"LISTEN {CHANNEL}")
        for event in wake.values():
            event.set()  # whatever was said meanwhile
        async for notice in connection.notifies():
            if notice.payload in wake:
                wake[notice.payload].set()
