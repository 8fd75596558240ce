"""Bundles over HTTP: which there are, how they fare, and the operator's acts."""

from typing import Annotated, Literal

from fastapi import APIRouter, Path

from service.api.dependencies import PartsDep
from service.api.fields import Id, Incoming, Outgoing, Time
from service.api.strict import StrictRoute
from service.journal.bundles import BundleRecord, RollBack, list_bundles, read_bundle
from service.journal.replicas import ReplicaRecord, read_replicas

router = APIRouter(prefix="/v1/models", tags=["models"], route_class=StrictRoute)

Version = Annotated[Id, Path()]
ACTOR = "http"
"""Who acts, in the audit, until keys have names."""


class BundleView(Outgoing):
    """A registered bundle."""

    version: str
    digest: str
    embedding_space: str
    gates_passed: bool
    stage: str
    registered_at: Time
    live_since: Time | None
    staged_at: Time
    """When it came to its stage."""
    returned_at: Time | None
    """When the service returned from it by itself; null unless it did since it was last a candidate."""
    returned_reason: str | None


class FailureView(Outgoing):
    """A bundle that a worker could not take up; what answered before goes on there."""

    version: str
    step: str
    """`verify`, `warm`, `trial` or `swap`."""
    reason: str
    at: Time


class ReplicaView(Outgoing):
    """What a worker last said of itself."""

    replica: str
    seen_at: Time
    holding: dict[str, str]
    """Role (live, previous, canary, shadow) → version."""
    failures: list[FailureView]


class BundlesView(Outgoing):
    """Every registered bundle, the newest first, and what every worker holds of them."""

    models: list[BundleView]
    replicas: list[ReplicaView]


class BundleHealthView(Outgoing):
    """A bundle, and what this worker has of it."""

    version: str
    stage: str
    loaded: bool
    """Whether this worker holds it, warm: the live one, the one before, and those in canary and shadow."""
    answering: bool
    song_count: int | None
    """Songs it may recommend."""


class StageBody(Incoming):
    """Where a bundle is to stand."""

    stage: Literal["candidate", "shadow", "canary", "live", "retired"]


@router.get("")
async def bundles(parts: PartsDep) -> BundlesView:
    """Return every registered bundle, and what every worker holds of them or could not take up."""
    at = parts.clock()
    records, replicas = await parts.journal.read(lambda sql: (list_bundles(sql), read_replicas(sql, at=at)))
    return BundlesView(
        models=[_bundle(record) for record in records], replicas=[_replica(each) for each in replicas]
    )


@router.get("/{version}/health")
async def bundle_health(version: Version, parts: PartsDep) -> BundleHealthView:
    """Say how a bundle fares in this worker."""
    record = await parts.journal.read(lambda sql: read_bundle(sql, version))
    loaded = parts.live.loaded
    engine = loaded.engines.get(version)
    return BundleHealthView(
        version=version,
        stage=record.stage,
        loaded=engine is not None,
        answering=engine is not None and engine is loaded.current,
        song_count=len(engine.index) if engine is not None else None,
    )


@router.post("/rollback")
async def roll_back(parts: PartsDep) -> BundleView:
    """Make the bundle live that was live before; every worker follows within seconds."""
    rolled_back = await parts.journal.administer(RollBack(at=parts.clock(), actor=ACTOR))
    parts.bundles.wake.set()
    return _bundle(rolled_back)


@router.post("/{version}/stage")
async def stage(version: Version, body: StageBody, parts: PartsDep) -> BundleView:
    """Set a bundle's stage, its files verified first; one whose gates did not pass goes before no listener."""
    staged = await parts.staging.stage(version, body.stage, at=parts.clock(), actor=ACTOR)
    parts.bundles.wake.set()
    return _bundle(staged)


def _bundle(record: BundleRecord) -> BundleView:
    return BundleView(
        version=record.version,
        digest=record.digest,
        embedding_space=record.embedding_space,
        gates_passed=record.gates_passed,
        stage=record.stage,
        registered_at=record.registered_at,
        live_since=record.live_since,
        staged_at=record.staged_at,
        returned_at=record.returned_at,
        returned_reason=record.returned_reason,
    )


def _replica(record: ReplicaRecord) -> ReplicaView:
    return ReplicaView(
        replica=record.replica,
        seen_at=record.seen_at,
        holding=dict(record.holding),
        failures=[FailureView(version=version, **each._asdict()) for version, each in record.failures.items()],
    )
