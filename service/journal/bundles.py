"""Bundles and their stages: candidate → shadow → canary → live → retired; one is live at most.

Promotion asks for what the road rests on: the digest that was verified, gates that passed, and an embedding of
every active song in the bundle's space; so do the stages in which a bundle meets listeners' requests. The bundle
that was live before is remembered, for a rollback. A bundle that was returned from (`service.journal.returns`)
does not go before listeners again until an operator has made it a candidate.
"""

from dataclasses import dataclass
from typing import Any, Final, Literal, NamedTuple

from sqlalchemy import Connection, Row, bindparam, insert, select, update

from models.errors import BundleError, GateError
from service.clock import Instant
from service.errors import CatalogueGap, StageConflict, UnknownBundle
from service.journal.audit import record_act
from service.journal.revisions import advance, hold
from service.journal.songs import songs_without_embedding
from service.journal.tables import bundles

BesideLive = Literal["candidate", "shadow", "canary", "retired"]
"""The stages that `StageBundle` sets; a bundle becomes live by `PromoteBundle` or `RollBack` only."""
Stage = Literal[BesideLive, "live"]
"""Every stage."""
SERVING: Final = ("shadow", "canary")
"""The stages beside the live one in which a bundle is loaded; one bundle at a time is in each."""


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
    staged_at: Instant
    """When it came to the stage it is in."""
    on_trial: bool
    """Whether it is live by promotion: the service may then return by itself to the bundle before it."""
    returned_at: Instant | None
    """When the service did; an operator's making it a candidate takes this back."""
    returned_reason: str | None


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
        hold(sql, "bundles")
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
            "staged_at": self.at,
            "on_trial": False,
        }
        sql.execute(_INSERT, row)
        _note(sql, self, "register bundle", self.version)
        return read_bundle(sql, self.version)


@dataclass(frozen=True, slots=True, kw_only=True)
class StageBundle:
    """Move a bundle that is not live to another stage; to the one it is in changes nothing.

    Raises, when called: UnknownBundle; StageConflict; for shadow and canary GateError and CatalogueGap as well.
    """

    version: str
    stage: BesideLive
    at: Instant
    actor: str

    def __call__(self, sql: Connection) -> BundleRecord:
        hold(sql, "bundles")
        found = read_bundle(sql, self.version)
        if found.stage == "live":
            raise StageConflict(
                f"bundle {self.version!r} is live: promote another one or roll back, and it will be retired"
            )
        if self.stage in SERVING:
            self._require_free(sql)
            require_fit(sql, found)
        if self.stage == "canary":
            refuse_returned(found)
        pardoned = self.stage == "candidate" and found.returned_at is not None
        if found.stage == self.stage and not pardoned:
            return found
        row = {"name": self.version, "stage": self.stage, "staged_at": self.at}
        sql.execute(_UPDATE, row | ({"returned_at": None, "returned_reason": None} if pardoned else {}))
        _note(sql, self, f"stage bundle {self.stage}", self.version)
        return read_bundle(sql, self.version)

    def _require_free(self, sql: Connection) -> None:
        row = sql.execute(_READ.where(bundles.c.stage == bindparam("taken")), {"taken": self.stage}).first()
        if row is not None and row.version != self.version:
            raise StageConflict(f"one bundle at a time is in {self.stage}; {row.version!r} is: retire it first")


@dataclass(frozen=True, slots=True, kw_only=True)
class PromoteBundle:
    """Make a bundle live, on trial; the one that was is retired.

    Raises, when called: UnknownBundle; BundleError for another digest; GateError; CatalogueGap; StageConflict for
    one that was returned from.
    """

    version: str
    digest: str
    """The digest of the files as verified just now."""
    at: Instant
    actor: str

    def __call__(self, sql: Connection) -> BundleRecord:
        hold(sql, "bundles")
        found = read_bundle(sql, self.version)
        if found.digest != self.digest:
            raise BundleError(
                f"bundle {self.version!r} was registered with digest {found.digest}; its files have {self.digest}"
            )
        require_fit(sql, found)
        refuse_returned(found)
        if found.stage != "live":
            live = live_bundle(sql)
            place = live.live_count if live else 0
            _retire(sql, live_count=place, at=self.at)
            _make_live(sql, self.version, live_count=place + 1, at=self.at, on_trial=live is not None)
            _note(sql, self, "promote bundle", self.version)
        return read_bundle(sql, self.version)


@dataclass(frozen=True, slots=True, kw_only=True)
class RollBack:
    """Make the bundle live that was live before the one that is."""

    at: Instant
    actor: str

    def __call__(self, sql: Connection) -> BundleRecord:
        hold(sql, "bundles")
        previous = go_back(sql, at=self.at)
        _note(sql, self, "roll back", previous.version)
        return previous


def go_back(sql: Connection, *, at: Instant) -> BundleRecord:
    """Make the bundle live that was live before, and take the one that is out of the line; return the former.

    Raises:
        StageConflict: no bundle was live before.
        CatalogueGap: an active song has no embedding in its space.
    """
    previous = previous_live_bundle(sql)
    if previous is None:
        raise StageConflict("there is no bundle that was live before")
    _require_embeddings(sql, previous)
    _retire(sql, live_count=0, at=at)
    _make_live(sql, previous.version, live_count=previous.live_count, at=at, on_trial=False)
    return read_bundle(sql, previous.version)


def require_fit(sql: Connection, bundle: BundleRecord) -> None:
    """Check that a bundle may meet listeners' requests.

    Raises:
        GateError: it did not pass its gates.
        CatalogueGap: an active song has no embedding in its space.
    """
    if not bundle.gates_passed:
        raise GateError(f"bundle {bundle.version!r} did not pass its gates")
    _require_embeddings(sql, bundle)


def refuse_returned(bundle: BundleRecord) -> None:
    """Check that the service has not returned from a bundle by itself since it was last a candidate.

    Raises:
        StageConflict: it has.
    """
    if bundle.returned_at is not None:
        raise StageConflict(
            f"bundle {bundle.version!r} was returned from ({bundle.returned_reason}): look into it, and make it a "
            "candidate before it goes before listeners again"
        )


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


def serving_bundles(sql: Connection) -> dict[str, BundleRecord]:
    """Return the bundles that every worker is to hold, by role: live, previous, canary, shadow."""
    found = {"live": live_bundle(sql), "previous": previous_live_bundle(sql)}
    for stage in ("canary", "shadow"):
        row = sql.execute(_READ.where(bundles.c.stage == bindparam("taken")), {"taken": stage}).first()
        found[stage] = None if row is None else _record(row)
    return {role: record for role, record in found.items() if record is not None}


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


def _make_live(sql: Connection, version: str, *, live_count: int, at: Instant, on_trial: bool) -> None:
    row = {"name": version, "stage": "live", "live_count": live_count, "live_since": at, "staged_at": at}
    sql.execute(_UPDATE, row | {"on_trial": on_trial})


def _retire(sql: Connection, *, live_count: int, at: Instant) -> None:
    """Take the live bundle, if there is one, out of service; `live_count` is its place in the line from now on."""
    live = live_bundle(sql)
    if live is not None:
        row = {"name": live.version, "stage": "retired", "live_count": live_count, "staged_at": at}
        sql.execute(_UPDATE, row | {"on_trial": False})


def mark_returned(sql: Connection, version: str, *, at: Instant, reason: str) -> None:
    """Retire a bundle as one that was returned from."""
    row = {"name": version, "stage": "retired", "staged_at": at, "on_trial": False}
    sql.execute(_UPDATE, row | {"returned_at": at, "returned_reason": reason})


def _note(
    sql: Connection, act: RegisterBundle | StageBundle | PromoteBundle | RollBack, name: str, version: str
) -> None:
    detail = {"revision": advance(sql, "bundles")}
    record_act(sql, at=act.at, actor=act.actor, act=name, subject=version, detail=detail)


_READ: Final = select(bundles)
_INSERT: Final = insert(bundles)
_UPDATE: Final = update(bundles).where(bundles.c.version == bindparam("name"))
