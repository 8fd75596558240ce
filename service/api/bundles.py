"""Bundles over HTTP: which there are, how they fare, and the operator's acts."""

from collections import Counter
from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, Path

from service.access.caller import Scope
from service.api.dependencies import CallerDep, PartsDep, needs
from service.api.document import CONFLICTS
from service.api.fields import Figure, Id, Incoming, Outgoing, Time
from service.api.strict import StrictRoute
from service.bundle_health import Shadowed, read_health
from service.journal.bundles import BundleRecord, RollBack, Stage, list_bundles
from service.journal.replicas import ReplicaRecord, read_replicas

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


class ServedView(Outgoing):
    """What listeners met of a bundle since it came to its stage, over all workers."""

    requests: int
    errors: int
    """Requests in which its models failed."""
    choices: int
    fallbacks: int
    """Choices for which none of the policy's own songs was allowed."""


class DifferenceView(Outgoing):
    """How a shadow's prediction of the song that was given differs."""

    higher: Figure
    apart: Figure
    """Without sign."""


class ShadowView(Outgoing):
    """What a bundle in shadow would have given beside what was given, since it came there, over all workers."""

    compared: int
    dropped: int
    errors: int
    same_song_share: Figure | None
    overlap: Figure | None
    """Mean share of the first ten songs that both put first."""
    rungs: dict[str, int]
    """How often it fell back or refused more, or less."""
    predicted: dict[str, DifferenceView]


class DriftView(Outgoing):
    """One measure of how a bundle fares in the field."""

    value: Figure
    count: int
    reference: Figure | None
    """What it was in training, or should be; null where the bundle does not say."""


class BundleHealthView(Outgoing):
    """A bundle: what this worker has of it, and what all workers saw of it."""

    version: str
    stage: str
    loaded: bool
    """Whether this worker holds it, warm: the live one, the one before, and those in canary and shadow."""
    answering: bool
    song_count: int | None
    """Songs it may recommend."""
    held_by: dict[str, int]
    """Role → how many workers hold it in that role."""
    failures: int
    """Workers that could not take it up; `GET /v1/models` says why."""
    served: ServedView
    shadow: ShadowView
    drift: dict[str, DriftView]
    """Over the last seven days, by measure."""


class StageBody(Incoming):
    """Where a bundle is to stand."""

    stage: Stage


@router.get("", dependencies=READERS)
async def bundles(parts: PartsDep) -> BundlesView:
    """Return every registered bundle, and what every worker holds of them or could not take up."""
    at = parts.clock()
    records, replicas = await parts.journal.read(lambda sql: (list_bundles(sql), read_replicas(sql, at=at)))
    return BundlesView(
        models=[_bundle(record) for record in records], replicas=[_replica(each) for each in replicas]
    )


@router.get("/{version}/health", dependencies=READERS)
async def bundle_health(version: Version, parts: PartsDep) -> BundleHealthView:
    """Say how a bundle fares in this worker, and over all of them."""
    loaded = parts.live.loaded
    engine = loaded.by_version.get(version)
    bundle, at = None if engine is None else engine.bundle, parts.clock()
    health = await parts.journal.read(lambda sql: read_health(sql, version, bundle, at=at))
    roles = [role for each in health.replicas for role, held in each.holding.items() if held == version]
    return BundleHealthView(
        version=version,
        stage=health.record.stage,
        held_by=dict(Counter(roles)),
        failures=sum(version in each.failures for each in health.replicas),
        served=ServedView(**asdict(health.served)),
        shadow=_shadow(health.shadowed),
        drift={name: DriftView(**asdict(figure)) for name, figure in health.drift.items()},
        loaded=engine is not None,
        answering=engine is not None and engine is loaded.current,
        song_count=len(engine.index) if engine is not None else None,
    )


@router.post("/rollback", responses=CONFLICTS, dependencies=OPERATORS)
async def roll_back(caller: CallerDep, parts: PartsDep) -> BundleView:
    """Make the bundle live that was live before; every worker follows within seconds."""
    rolled_back = await parts.journal.administer(RollBack(at=parts.clock(), actor=caller.name))
    parts.bundles.wake.set()
    return _bundle(rolled_back)


@router.post("/{version}/stage", responses=CONFLICTS, dependencies=OPERATORS)
async def stage(version: Version, body: StageBody, caller: CallerDep, parts: PartsDep) -> BundleView:
    """Set a bundle's stage, its files verified first; one whose gates did not pass goes before no listener."""
    staged = await parts.staging.stage(version, body.stage, at=parts.clock(), actor=caller.name)
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


def _shadow(shadowed: Shadowed) -> ShadowView:
    predicted = {
        signal: DifferenceView(higher=higher, apart=apart)
        for signal, (higher, apart) in shadowed.predicted.items()
    }
    return ShadowView(**asdict(shadowed) | {"predicted": predicted})


def _replica(record: ReplicaRecord) -> ReplicaView:
    return ReplicaView(
        replica=record.replica,
        seen_at=record.seen_at,
        holding=dict(record.holding),
        failures=[FailureView(version=version, **each._asdict()) for version, each in record.failures.items()],
    )
