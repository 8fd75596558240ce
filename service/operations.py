"""What an operator does, by command or over HTTP: songs in, bundles verified, promoted and rolled back."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from models.bundle import Bundle
from models.errors import GateError
from models.repository import Repository
from service.clock import Instant, system_clock
from service.errors import UnknownBundle
from service.journal.bundles import (
    BundleRecord,
    PromoteBundle,
    RegisterBundle,
    RollBack,
    list_bundles,
    live_bundle,
)
from service.journal.catalogue import ReinstateSong
from service.journal.journal import Journal, open_journal
from service.journal.migrate import upgrade
from service.live.golden import replay
from service.live.graphs import open_graphs
from service.settings import Settings

ACTOR: Final = "command line"

Result = TypeVar("Result")


def repository_of(settings: Settings) -> Repository:
    """Return where a deployment's bundles lie."""
    return Repository(settings.home / "bundles")


def upgrade_database(settings: Settings) -> None:
    """Bring the database to this version's schema."""
    settings.home.mkdir(parents=True, exist_ok=True)
    upgrade(settings.database_url)


def verify_bundle(settings: Settings, version: str) -> Bundle:
    """Return a bundle whose every digest, graph and golden case was checked just now.

    Raises:
        BundleError: naming what does not hold.
    """
    return verified(repository_of(settings), version)


def failures_of_bundle(settings: Settings, bundle: Bundle) -> tuple[str, ...]:
    """Return what forbids a bundle's promotion, as sealed and as judged later; nothing if it may go live.

    Raises:
        BundleError: a later judgement cannot be read.
    """
    return repository_of(settings).failures(bundle)


def promote_bundle(settings: Settings, version: str) -> BundleRecord:
    """Verify a bundle and make it live; workers follow within seconds.

    Raises:
        BundleError, GateError, CatalogueGap: it may not go live.
    """
    repository = repository_of(settings)
    return run_on_journal(
        settings, lambda journal: promote(journal, repository, version, at=system_clock(), actor=ACTOR)
    )


def roll_back(settings: Settings) -> BundleRecord:
    """Make the bundle live that was live before.

    Raises:
        StageConflict: none was.
    """
    return run_on_journal(settings, lambda journal: journal.administer(RollBack(at=system_clock(), actor=ACTOR)))


def registered_bundles(settings: Settings) -> list[BundleRecord]:
    """Return every bundle SQL knows, the newest first."""
    return run_on_journal(settings, lambda journal: journal.read(list_bundles))


def live_version(settings: Settings) -> str | None:
    """Return the version that is live, if one is."""
    record = run_on_journal(settings, lambda journal: journal.read(live_bundle))
    return record.version if record else None


async def promote(
    journal: Journal, repository: Repository, version: str, *, at: Instant, actor: str
) -> BundleRecord:
    """Verify a bundle's files, register it, and make it live.

    Raises:
        UnknownBundle: the repository holds none of this version.
        BundleError, GateError, CatalogueGap: it may not go live.
    """
    if version not in repository.versions():
        raise UnknownBundle(f"bundle {version!r} is not in the repository")
    bundle = await asyncio.to_thread(verified, repository, version)
    failures = await asyncio.to_thread(repository.failures, bundle)
    if failures:
        raise GateError(f"bundle {version!r} did not pass its gates: {'; '.join(failures)}")
    register = RegisterBundle(
        version=version,
        digest=bundle.digest,
        embedding_space=bundle.manifest.space.name,
        gates_passed=bundle.gates.passed,
        at=at,
        actor=actor,
    )
    await journal.administer(register)
    return await journal.administer(PromoteBundle(version=version, digest=bundle.digest, at=at, actor=actor))


def verified(repository: Repository, version: str) -> Bundle:
    """Return a bundle whose digests, graphs and golden cases hold here.

    Raises:
        BundleError: naming what does not.
    """
    bundle = repository.open(version)
    replay(bundle, open_graphs(bundle))
    return bundle


def reinstate_song(settings: Settings, song_id: str) -> None:
    """Let a withdrawn song be recommended again.

    Raises:
        UnknownSong: there is none of that id.
        DataError: a bundle that is answering cannot read it.
    """
    act = ReinstateSong(song_id=song_id, at=system_clock(), actor=ACTOR)
    run_on_journal(settings, lambda journal: journal.administer(act))


def run_on_journal(settings: Settings, act: Callable[[Journal], Awaitable[Result]]) -> Result:
    """Return what was done with the deployment's journal, opened for it."""

    async def run() -> Result:
        async with open_journal(settings.database_url) as journal:
            return await act(journal)

    return asyncio.run(run())
