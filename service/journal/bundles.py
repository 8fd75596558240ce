"""Bundles and their stages: candidate → shadow → canary → live → retired; one is live at most.

Promotion asks for what the road rests on: the digest that was verified, gates that passed, and an embedding of
every active song in the bundle's space. The bundle that was live before is remembered, for a rollback.
"""

from dataclasses import dataclass
from typing import Any, Final, Literal, NamedTuple

from sqlalchemy import Connection, Row, bindparam, insert, select, update

from models.errors import BundleError, GateError
from service.clock import Instant
from service.errors import CatalogueGap, StageConflict, UnknownBundle
from service.journal.audit import record_act
from service.journal.revisions import advance
from service.journal.songs import songs_without_embedding
from service.journal.tables import bundles

Stage = Literal["candidate", "shadow", "canary", "retired"]
"""The stages an operator may set; a bundle becomes live by `PromoteBundle` or `RollBack` only."""


class BundleRecord(NamedTuple):
    """A bundle as SQL holds it."""

    version: str
    digest: str
    embedding_space: str
    gates_passed: bool
    stage: str
    registered_at: Instant
    live_since: Instant | None
    live_count: int
    """The place in the line of live bundles that a rollback walks back; 0: not in it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisterBundle:
    """Make a verified bundle known, as a candidate; again with the same digest changes nothing."""

    version: str
    digest: str
    embedding_space: str
    gates_passed: bool
    at: Instant
    actor: str

    def __call__(self, sql: Connection) -> BundleRecord:
        found = _find(sql, self.version)
        if found is not None and found.digest != self.digest:
            raise BundleError(
                f"bundle {self.version!r} is registered with digest {found.digest}; got {self.digest}"
            )
        if found is not None:
            return found
        row = {
            "version": self.version,
            "digest": self.digest,
            "embedding_space": self.embedding_space,
            "gates_passed": self.gates_passed,
            "stage": "candidate",
            "registered_at": self.at,
            "live_count": 0,
        }
        sql.execute(_INSERT, row)
        _note(sql, self, "register bundle", self.version)
        return read_bundle(sql, self.version)


@dataclass(frozen=True, slots=True, kw_only=True)
class StageBundle:
    """Move a bundle that is not live to another stage."""

    version: str
    stage: Stage
    at: Instant
    actor: str

    def __call__(self, sql: Connection) -> BundleRecord:
        found = read_bundle(sql, self.version)
        if found.stage == "live":
            raise StageConflict(
                f"bundle {self.version!r} is live: promote another one or roll back, and it will be retired"
            )
        sql.execute(_UPDATE, {"name": self.version, "stage": self.stage})
        _note(sql, self, f"stage bundle {self.stage}", self.version)
        return read_bundle(sql, self.version)


@dataclass(frozen=True, slots=True, kw_only=True)
class PromoteBundle:
    """Make a bundle live; the one that was is retired.

    Raises, when called: UnknownBundle; BundleError for another digest; GateError; CatalogueGap.
    """

    version: str
    digest: str
    """The digest of the files as verified just now."""
    at: Instant
    actor: str

    def __call__(self, sql: Connection) -> BundleRecord:
        found = read_bundle(sql, self.version)
        if found.digest != self.digest:
            raise BundleError(
                f"bundle {self.version!r} was registered with digest {found.digest}; its files have {self.digest}"
            )
        if not found.gates_passed:
            raise GateError(f"bundle {self.version!r} did not pass its gates")
        _require_embeddings(sql, found)
        if found.stage != "live":
            live = live_bundle(sql)
            place = live.live_count if live else 0
            _retire(sql, live_count=place)
            _make_live(sql, self.version, live_count=place + 1, at=self.at)
            _note(sql, self, "promote bundle", self.version)
        return read_bundle(sql, self.version)


@dataclass(frozen=True, slots=True, kw_only=True)
class RollBack:
    """Make the bundle live that was live before the one that is."""

    at: Instant
    actor: str

    def __call__(self, sql: Connection) -> BundleRecord:
        previous = previous_live_bundle(sql)
        if previous is None:
            raise StageConflict("there is no bundle that was live before")
        _require_embeddings(sql, previous)
        _retire(sql, live_count=0)
        _make_live(sql, previous.version, live_count=previous.live_count, at=self.at)
        _note(sql, self, "roll back", previous.version)
        return read_bundle(sql, previous.version)


def read_bundle(sql: Connection, version: str) -> BundleRecord:
    """Return one bundle.

    Raises:
        UnknownBundle: none of that version is registered.
    """
    found = _find(sql, version)
    if found is None:
        raise UnknownBundle(f"bundle {version!r} is not registered")
    return found


def list_bundles(sql: Connection) -> list[BundleRecord]:
    """Return every bundle, newest first."""
    return [_record(row) for row in sql.execute(_READ.order_by(bundles.c.registered_at.desc()))]


def live_bundle(sql: Connection) -> BundleRecord | None:
    """Return the bundle that is live, if one is."""
    row = sql.execute(_READ.where(bundles.c.stage == "live")).first()
    return None if row is None else _record(row)


def previous_live_bundle(sql: Connection) -> BundleRecord | None:
    """Return the bundle a rollback would make live, if there is one."""
    live = live_bundle(sql)
    if live is None:
        return None
    earlier = _READ.where(bundles.c.live_count > 0, bundles.c.live_count < live.live_count)
    row = sql.execute(earlier.order_by(bundles.c.live_count.desc()).limit(1)).first()
    return None if row is None else _record(row)


def _find(sql: Connection, version: str) -> BundleRecord | None:
    row = sql.execute(_READ.where(bundles.c.version == bindparam("name")), {"name": version}).first()
    return None if row is None else _record(row)


def _record(row: "Row[Any]") -> BundleRecord:
    return BundleRecord._make(row)


def _require_embeddings(sql: Connection, bundle: BundleRecord) -> None:
    missing = songs_without_embedding(sql, bundle.embedding_space)
    if missing:
        raise CatalogueGap(
            f"every active song needs an embedding in space {bundle.embedding_space!r} of bundle "
            f"{bundle.version!r}; {missing} have none"
        )


def _make_live(sql: Connection, version: str, *, live_count: int, at: Instant) -> None:
    row = {"name": version, "stage": "live", "live_count": live_count, "live_since": at}
    sql.execute(_UPDATE, row)


def _retire(sql: Connection, *, live_count: int) -> None:
    """Take the live bundle, if there is one, out of service; `live_count` is its place in the line from now on."""
    live = live_bundle(sql)
    if live is not None:
        sql.execute(_UPDATE, {"name": live.version, "stage": "retired", "live_count": live_count})


def _note(
    sql: Connection, act: RegisterBundle | StageBundle | PromoteBundle | RollBack, name: str, version: str
) -> None:
    detail = {"revision": advance(sql, "bundles")}
    record_act(sql, at=act.at, actor=act.actor, act=name, subject=version, detail=detail)


_READ: Final = select(bundles)
_INSERT: Final = insert(bundles)
_UPDATE: Final = update(bundles).where(bundles.c.version == bindparam("name"))
