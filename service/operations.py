"""What an operator does, by command or over HTTP: songs, bundles and keys."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

from sqlalchemy import Connection

from models.bundle import Bundle
from models.context import ContextSchema
from models.errors import DataError
from models.log import EmbeddingSpace, refuse_occupied, write_log_in_parts
from models.repository import Repository
from service.access.caller import Scope
from service.access.secrets import digest_of, make_key, spell
from service.bundle_health import BundleHealth, read_health
from service.clock import system_clock
from service.journal.audit import Act, NoteAct, read_acts
from service.journal.bundles import BundleRecord, RollBack, list_bundles, live_bundle
from service.journal.canary import EnrolListener, Enrolment, ReleaseListener, read_enrolments
from service.journal.catalogue import ReinstateSong
from service.journal.journal import Journal, JournalConfig, open_journal
from service.journal.keys import CreateKey, KeyRecord, RevokeKey, read_keys
from service.journal.listening_log import Pseudonyms, count_consented, logs_by_listeners, read_served_songs
from service.journal.migrate import upgrade
from service.listener import ListenerKey
from service.live.signature import public_keys_of, sign
from service.settings import Settings, derived_key, signing_key
from service.staging import Stage, Staging, verified

ACTOR: Final = "command line"
_APP: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")

_EXPORT_SECONDS: Final = 24 * 3600.0
"""How long an export may read: it waits for every row, not for one answer."""

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """What a written log holds, and what it had to leave out."""

    rows: Mapping[str, int]
    """By the table's file (`models.log_schema`)."""
    spaces_left_out: tuple[str, ...]
    """Embedding spaces that do not hold every song of the log."""


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
    return verified(repository_of(settings), version, public_keys_of(settings))


def failures_of_bundle(settings: Settings, bundle: Bundle) -> tuple[str, ...]:
    """Return what forbids a bundle's promotion, as sealed and as judged later; nothing if it may go live.

    Raises:
        BundleError: a later judgement cannot be read.
    """
    return repository_of(settings).failures(bundle)


def stage_bundle(settings: Settings, version: str, stage: Stage) -> BundleRecord:
    """Bring a bundle to a stage, its files verified first; workers follow within seconds.

    Raises:
        UnknownBundle, BundleError, GateError, CatalogueGap, StageConflict: it may not go there.
    """
    repository, keys = repository_of(settings), public_keys_of(settings)

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
    return sign(repository_of(settings), version, key_file)


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
    repository, at = repository_of(settings), system_clock()
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


def export_log(settings: Settings, out: Path) -> Exported:
    """Write the log of the listeners who consented, whole or not at all; the act is on record before it is done.

    What sessions said of their situation is read by the live bundle's schema; without one it is left out.

    Raises:
        DataError: the folder is occupied, or no embedding space holds every song.
        LogError: what SQL holds breaks the log's contract.
        Unavailable: the database does not answer.
    """
    refuse_occupied(out)
    pseudonyms = Pseudonyms(derived_key(signing_key(settings), "pseudonyms in listening logs"))

    async def export(journal: Journal) -> Exported:
        live = await journal.read(live_bundle)
        manifest = repository_of(settings).open(live.version).manifest if live else None
        spaces = {}
        if manifest is not None:
            space = manifest.space
            spaces[space.name] = EmbeddingSpace(width=space.width, source=space.source, licence=space.licence)
        counts = await journal.read(count_consented)
        await journal.administer(
            NoteAct(at=system_clock(), actor=ACTOR, act="export log", subject="listening log", detail=counts)
        )

        def write(sql: Connection) -> Exported:
            songs = read_served_songs(
                sql,
                context=manifest.context if manifest else ContextSchema(),
                spaces=spaces,
                provenance={
                    "origin": "a service's own record, listeners who consented",
                    "context_of_bundle": live.version if live else "none",
                    "propensity": "none: the service chooses deterministically",
                },
            )
            rows = write_log_in_parts(logs_by_listeners(sql, songs, pseudonyms=pseudonyms), out)
            return Exported(rows=rows, spaces_left_out=songs.spaces_left_out)

        return await journal.read(write)

    return run_on_journal(settings, export, config=JournalConfig(read_timeout_seconds=_EXPORT_SECONDS))


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
