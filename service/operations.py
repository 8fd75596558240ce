"""What an operator does by command: a deployment's database, bundles, canary, songs, keys and audit.

Each is one act on the journal, opened for it (`run_on_journal`). Songs read in and listening written out are
pages of their own (`importing`, `exporting`).
"""

import asyncio
import re
from collections.abc import Awaitable, Callable, Collection
from pathlib import Path
from typing import Final, TypeVar

from models.bundle import Bundle
from models.errors import DataError
from models.repository import repository_in
from service.access.caller import Scope
from service.access.secrets import digest_of, make_key, spell
from service.bundle_health import BundleHealth, read_health
from service.clock import system_clock
from service.journal.audit import Act, read_acts
from service.journal.bundles import BundleRecord, RollBack, Stage, list_bundles, live_bundle
from service.journal.canary import EnrolListener, Enrolment, ReleaseListener, read_enrolments
from service.journal.catalogue import ReinstateSong
from service.journal.journal import Journal, JournalConfig, open_journal
from service.journal.keys import CreateKey, KeyRecord, RevokeKey, read_keys
from service.journal.migrate import upgrade
from service.listener import ListenerKey
from service.live.signature import public_keys_of, sign
from service.settings import Settings
from service.staging import Staging, verified

ACTOR: Final = "command line"
_APP: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")

Result = TypeVar("Result")


def upgrade_database(settings: Settings) -> None:
    """Bring the database to this version's schema."""
    settings.home.mkdir(parents=True, exist_ok=True)
    upgrade(settings.database_url)


def verify_bundle(settings: Settings, version: str) -> Bundle:
    """Return a bundle whose every digest, graph and golden case was checked just now.

    Raises:
        BundleError: naming what does not hold.
    """
    return verified(repository_in(settings.home), version, public_keys_of(settings))


def failures_of_bundle(settings: Settings, bundle: Bundle) -> tuple[str, ...]:
    """Return what forbids a bundle's promotion, as sealed and as judged later; nothing if it may go live.

    Raises:
        BundleError: a later judgement cannot be read.
    """
    return repository_in(settings.home).failures(bundle)


def stage_bundle(settings: Settings, version: str, stage: Stage) -> BundleRecord:
    """Bring a bundle to a stage, its files verified first; workers follow within seconds.

    Raises:
        UnknownBundle, BundleError, GateError, CatalogueGap, StageConflict: it may not go there.
    """
    repository, keys = repository_in(settings.home), public_keys_of(settings)

    def act(journal: Journal) -> Awaitable[BundleRecord]:
        staging = Staging(journal=journal, repository=repository, public_keys=keys)
        return staging.stage(version, stage, at=system_clock(), actor=ACTOR)

    return run_on_journal(settings, act)


def promote_bundle(settings: Settings, version: str) -> BundleRecord:
    """Verify a bundle and make it live, as `stage_bundle`."""
    return stage_bundle(settings, version, "live")


def sign_bundle(settings: Settings, version: str, key_file: Path) -> Path:
    """Sign a bundle with a private key; return the signature's file.

    Raises:
        BundleError, ConfigError: the bundle does not hold, or the file is no key.
    """
    return sign(repository_in(settings.home), version, key_file)


def enrol_listener(settings: Settings, listener: ListenerKey, *, clinical: bool) -> None:
    """Let the canary bundle answer a listener; workers follow within seconds.

    Raises:
        UnknownListener, ClinicalListener: they are not to be enrolled like this.
    """
    act = EnrolListener(listener=listener, clinical=clinical, at=system_clock(), actor=ACTOR)
    run_on_journal(settings, lambda journal: journal.administer(act))


def release_listener(settings: Settings, listener: ListenerKey) -> bool:
    """Let the live bundle answer a listener again; return whether they were enrolled.

    Raises:
        UnknownListener: there is none.
    """
    act = ReleaseListener(listener=listener, at=system_clock(), actor=ACTOR)
    return run_on_journal(settings, lambda journal: journal.administer(act))


def enrolments(settings: Settings) -> list[Enrolment]:
    """Return the listeners enrolled for canary bundles."""
    return run_on_journal(settings, lambda journal: journal.read(read_enrolments))


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


def bundle_health(settings: Settings, version: str) -> BundleHealth:
    """Return how a bundle fares, over all workers.

    Raises:
        UnknownBundle: none of that version is registered.
    """
    repository, at = repository_in(settings.home), system_clock()
    bundle = repository.open(version) if version in repository.versions() else None
    return run_on_journal(
        settings, lambda journal: journal.read(lambda sql: read_health(sql, version, bundle, at=at))
    )


def create_key(settings: Settings, app_id: str, scopes: Collection[Scope]) -> str:
    """Return a new key of an app, which is made with its first one; it is not kept and cannot be shown again.

    Raises:
        DataError: the app's name is no name, or no scope is given.
        Unavailable: the database does not answer.
    """
    if not _APP.fullmatch(app_id):
        raise DataError(f"app: expected 1 to 64 characters from a-z 0-9 _ -, got {app_id!r}")
    if not scopes:
        raise DataError(f"scope: expected one or more of {', '.join(Scope)}, got none")
    key = make_key()
    act = CreateKey(
        key_id=key.key_id,
        app_id=app_id,
        scopes=scopes,
        digest=digest_of(key.secret),
        at=system_clock(),
        actor=ACTOR,
    )
    run_on_journal(settings, lambda journal: journal.administer(act))
    return spell(key)


def revoke_key(settings: Settings, key_id: str) -> None:
    """Let a key in no more; workers follow within two seconds.

    Raises:
        UnknownKey: there is none of that id.
    """
    act = RevokeKey(key_id=key_id, at=system_clock(), actor=ACTOR)
    run_on_journal(settings, lambda journal: journal.administer(act))


def list_keys(settings: Settings) -> tuple[KeyRecord, ...]:
    """Return every key, revoked ones included, the oldest first."""
    return run_on_journal(settings, lambda journal: journal.read(read_keys)).records


def read_audit(settings: Settings, *, limit: int) -> list[Act]:
    """Return the latest acts on record, the latest first."""
    return run_on_journal(
        settings, lambda journal: journal.read(lambda sql: read_acts(sql, app_id=None, limit=limit))
    )


def reinstate_song(settings: Settings, song_id: str) -> None:
    """Let a withdrawn song be recommended again.

    Raises:
        UnknownSong: there is none of that id.
        DataError: a bundle that is answering cannot read it.
    """
    act = ReinstateSong(song_id=song_id, at=system_clock(), actor=ACTOR)
    run_on_journal(settings, lambda journal: journal.administer(act))


def run_on_journal(
    settings: Settings, act: Callable[[Journal], Awaitable[Result]], *, config: JournalConfig | None = None
) -> Result:
    """Return what was done with the deployment's journal, opened for it."""

    async def run() -> Result:
        async with open_journal(settings.database_url, config=config) as journal:
            return await act(journal)

    return asyncio.run(run())
