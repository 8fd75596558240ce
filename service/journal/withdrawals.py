"""Withdrawing a song and recording one take turns: once a withdrawal is answered, the song is not on its way.

Between choosing a song and committing the choice, the song may be withdrawn. A transaction that records songs
holds off withdrawals until it ends, and then looks whether one of its songs is withdrawn already; a withdrawal
waits for those under way, and those that come later see it. Recordings do not wait for each other, nor for
imports. SQLite has one writer at a time anyway.
"""

from collections.abc import Collection
from typing import Final

from sqlalchemy import Connection, bindparam, select, text

from service.journal.tables import songs


def hold_off_withdrawals(sql: Connection) -> None:
    """Let no withdrawal commit before this transaction ends; what committed before is seen from here on."""
    if sql.dialect.name == "postgresql":
        sql.execute(_SHARED)


def hold_off_recordings(sql: Connection) -> None:
    """Wait for the recordings under way, and let no other begin before this transaction ends."""
    if sql.dialect.name == "postgresql":
        sql.execute(_ALONE)


def withdrawn_among(sql: Connection, song_ids: Collection[str]) -> frozenset[str]:
    """Return which of the songs are withdrawn."""
    if not song_ids:
        return frozenset()
    return frozenset(sql.scalars(_WITHDRAWN, {"asked": sorted(song_ids)}))


_SHARED: Final = text("SELECT pg_advisory_xact_lock_shared(hashtext('amrs withdrawals'))")
_ALONE: Final = text("SELECT pg_advisory_xact_lock(hashtext('amrs withdrawals'))")
_WITHDRAWN: Final = select(songs.c.song_id).where(
    songs.c.song_id.in_(bindparam("asked", expanding=True)), songs.c.withdrawn.is_(True)
)
