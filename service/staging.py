"""How a bundle comes to a stage: its files verified, its signature where one is asked; then SQL decides."""

import asyncio
from dataclasses import dataclass

from models.bundle import Bundle
from models.errors import GateError
from models.repository import Repository
from service.clock import Instant
from service.errors import UnknownBundle
from service.journal.bundles import SERVING, BundleRecord, PromoteBundle, RegisterBundle, Stage, StageBundle
from service.journal.journal import Journal
from service.live.golden import replay
from service.live.graphs import open_graphs
from service.live.signature import PublicKey, require_signature


@dataclass(frozen=True, slots=True, kw_only=True)
class Staging:
    """Moves bundles from stage to stage."""

    journal: Journal
    repository: Repository
    public_keys: tuple[PublicKey, ...] = ()
    """Whose signature a bundle must carry; none: no signature is asked for."""

    async def stage(self, version: str, stage: Stage, *, at: Instant, actor: str) -> BundleRecord:
        """Bring a bundle to a stage; unless it is being retired, its files are verified first.

        Raises:
            UnknownBundle: neither the repository nor SQL knows it.
            BundleError, GateError, CatalogueGap, StageConflict: it may not go there.
        """
        if stage != "retired":
            bundle = await self._register(version, at=at, actor=actor)
            if stage == "live" or stage in SERVING:
                await self._require_gates(bundle)
            if stage == "live":
                act = PromoteBundle(version=version, digest=bundle.digest, at=at, actor=actor)
                return await self.journal.administer(act)
        return await self.journal.administer(StageBundle(version=version, stage=stage, at=at, actor=actor))

    async def _register(self, version: str, *, at: Instant, actor: str) -> Bundle:
        if version not in await asyncio.to_thread(self.repository.versions):
            raise UnknownBundle(f"bundle {version!r} is not in the repository")
        bundle = await asyncio.to_thread(verified, self.repository, version, self.public_keys)
        register = RegisterBundle(
            version=version,
            digest=bundle.digest,
            embedding_space=bundle.manifest.space.name,
            gates_passed=bundle.gates.passed,
            at=at,
            actor=actor,
        )
        await self.journal.administer(register)
        return bundle

    async def _require_gates(self, bundle: Bundle) -> None:
        failures = await asyncio.to_thread(self.repository.failures, bundle)
        if failures:
            raise GateError(f"bundle {bundle.version!r} did not pass its gates: {'; '.join(failures)}")


def verified(repository: Repository, version: str, public_keys: tuple[PublicKey, ...] = ()) -> Bundle:
    """Return a bundle whose digests, graphs, golden cases and, if keys are given, signature hold here.

    Raises:
        BundleError: naming what does not.
    """
    bundle = repository.open(version)
    require_signature(repository, bundle, public_keys)
    replay(bundle, open_graphs(bundle))
    return bundle
