"""Bundles over HTTP: which there are, how they fare, and the operator's acts."""

from typing import Annotated, Literal

from fastapi import APIRouter, Path

from service.access.caller import Scope
from service.api.dependencies import CallerDep, PartsDep, needs
from service.api.fields import Id, Incoming, Outgoing, Time
from service.api.strict import StrictRoute
from service.journal.bundles import BundleRecord, RollBack, StageBundle, list_bundles, read_bundle
from service.operations import promote

router = APIRouter(prefix="/v1/models", tags=["models"], route_class=StrictRoute)
READERS = [needs(Scope.OPERATOR, Scope.AUDITOR)]
OPERATORS = [needs(Scope.OPERATOR)]

Version = Annotated[Id, Path()]


class BundleView(Outgoing):
    """A registered bundle."""

    version: str
    digest: str
    embedding_space: str
    gates_passed: bool
    stage: str
    registered_at: Time
    live_since: Time | None


class BundlesView(Outgoing):
    """Every registered bundle, the newest first."""

    models: list[BundleView]


class BundleHealthView(Outgoing):
    """A bundle, and what this worker has of it."""

    version: str
    stage: str
    loaded: bool
    """Whether this worker holds it, warm: the live one, and the one before."""
    answering: bool
    song_count: int | None
    """Songs it may recommend."""


class StageBody(Incoming):
    """Where a bundle is to stand."""

    stage: Literal["candidate", "shadow", "canary", "live", "retired"]


@router.get("", dependencies=READERS)
async def bundles(parts: PartsDep) -> BundlesView:
    """Return every registered bundle."""
    return BundlesView(models=[_bundle(record) for record in await parts.journal.read(list_bundles)])


@router.get("/{version}/health", dependencies=READERS)
async def bundle_health(version: Version, parts: PartsDep) -> BundleHealthView:
    """Say how a bundle fares in this worker."""
    record = await parts.journal.read(lambda sql: read_bundle(sql, version))
    loaded = parts.live.loaded
    engines = {each.bundle.version: each for each in (loaded.previous, loaded.current) if each is not None}
    engine = engines.get(version)
    return BundleHealthView(
        version=version,
        stage=record.stage,
        loaded=engine is not None,
        answering=engine is not None and engine is loaded.current,
        song_count=len(engine.index) if engine is not None else None,
    )


@router.post("/rollback", dependencies=OPERATORS)
async def roll_back(caller: CallerDep, parts: PartsDep) -> BundleView:
    """Make the bundle live that was live before; every worker follows within seconds."""
    return _bundle(await parts.journal.administer(RollBack(at=parts.clock(), actor=caller.name)))


@router.post("/{version}/stage", dependencies=OPERATORS)
async def stage(version: Version, body: StageBody, caller: CallerDep, parts: PartsDep) -> BundleView:
    """Set a bundle's stage; `live` verifies its files first, and is refused if its gates did not pass."""
    if body.stage == "live":
        promoted = await promote(parts.journal, parts.repository, version, at=parts.clock(), actor=caller.name)
        return _bundle(promoted)
    act = StageBundle(version=version, stage=body.stage, at=parts.clock(), actor=caller.name)
    return _bundle(await parts.journal.administer(act))


def _bundle(record: BundleRecord) -> BundleView:
    return BundleView(
        version=record.version,
        digest=record.digest,
        embedding_space=record.embedding_space,
        gates_passed=record.gates_passed,
        stage=record.stage,
        registered_at=record.registered_at,
        live_since=record.live_since,
    )
