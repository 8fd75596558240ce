"""Access keys in SQL: made, revoked and listed; a revoked one stays, so that its acts keep their actor."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, Row, bindparam, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from service.access.caller import Scope
from service.clock import Instant
from service.errors import UnknownKey
from service.journal.audit import record_act
from service.journal.revisions import advance
from service.journal.tables import api_keys, apps, revisions


class KeyRecord(NamedTuple):
    """A key as SQL holds it."""

    key_id: str
    app_id: str
    scopes: frozenset[Scope]
    digest: bytes
    """The SHA-256 of its secret."""
    created_at: Instant
    revoked_at: Instant | None


class Keys(NamedTuple):
    """Every key, and the revision they are of."""

    revision: int
    records: tuple[KeyRecord, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateKey:
    """Let a key in; its app is made with its first key."""

    key_id: str
    app_id: str
    scopes: Collection[Scope]
    digest: bytes
    at: Instant
    actor: str

    def __call__(self, sql: Connection) -> None:
        make = postgresql.insert if sql.dialect.name == "postgresql" else sqlite.insert
        sql.execute(
            make(apps).on_conflict_do_nothing(index_elements=["app_id"]),
            {"app_id": self.app_id, "created_at": self.at},
        )
        scopes = sorted(self.scopes)
        row = {"key_id": self.key_id, "app_id": self.app_id, "scopes": scopes, "digest": self.digest}
        sql.execute(_INSERT, row | {"created_at": self.at})
        detail = {"app": self.app_id, "scopes": scopes, "revision": advance(sql, "keys")}
        record_act(sql, at=self.at, actor=self.actor, act="create key", subject=self.key_id, detail=detail)


@dataclass(frozen=True, slots=True, kw_only=True)
class RevokeKey:
    """Let a key in no more; revoking it again changes nothing.

    Raises, when called: UnknownKey.
    """

    key_id: str
    at: Instant
    actor: str

    def __call__(self, sql: Connection) -> None:
        row = sql.execute(_READ.where(api_keys.c.key_id == bindparam("key")), {"key": self.key_id}).first()
        if row is None:
            raise UnknownKey(f"key {self.key_id!r} does not exist")
        if row.revoked_at is None:
            sql.execute(_REVOKE, {"key": self.key_id, "at": self.at})
            detail = {"app": row.app_id, "revision": advance(sql, "keys")}
            record_act(sql, at=self.at, actor=self.actor, act="revoke key", subject=self.key_id, detail=detail)


def read_keys(sql: Connection) -> Keys:
    """Return every key, revoked ones included, the oldest first."""
    revision = read_keys_revision(sql)
    rows = sql.execute(_READ.order_by(api_keys.c.created_at, api_keys.c.key_id))
    return Keys(revision, tuple(_record(row) for row in rows))


def read_keys_revision(sql: Connection) -> int:
    """Return how often keys were made or revoked."""
    return sql.execute(_REVISION).scalar_one()


def _record(row: "Row[Any]") -> KeyRecord:
    scopes = frozenset(Scope(scope) for scope in row.scopes)
    return KeyRecord(row.key_id, row.app_id, scopes, row.digest, row.created_at, row.revoked_at)


_READ: Final = select(api_keys)
_INSERT: Final = insert(api_keys)
_REVOKE: Final = update(api_keys).where(api_keys.c.key_id == bindparam("key")).values(revoked_at=bindparam("at"))
_REVISION: Final = select(revisions.c.number).where(revisions.c.name == "keys")
