"""Export: the service's own record of those who consented, as the listening log that training reads.

Listeners go by pseudonyms there. What sessions said of their situation is read by the live bundle's schema,
and left out where no bundle is live.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sqlalchemy import Connection

from models.bundle import Bundle
from models.context import ContextSchema
from models.log import EmbeddingSpace, refuse_occupied, write_log_in_parts
from models.repository import repository_in
from service.clock import system_clock
from service.journal.audit import NoteAct
from service.journal.bundles import live_bundle
from service.journal.journal import Journal, JournalConfig
from service.journal.listening_log import Pseudonyms, count_consented, logs_by_listeners, read_served_songs
from service.operations import ACTOR, run_on_journal
from service.settings import Settings, derived_key, signing_key

READ_SECONDS: Final = 24 * 3600.0
"""How long an export may read: it waits for every row, not for one answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """What a written log holds, and what it had to leave out."""

    rows: Mapping[str, int]
    """By the table's file (`models.log_schema`)."""
    spaces_left_out: tuple[str, ...]
    """Embedding spaces that do not hold every song of the log."""


def export_log(settings: Settings, out: Path) -> Exported:
    """Write the log of the listeners who consented, whole or not at all; the act is on record before it is done.

    Raises:
        DataError: the folder is occupied, or no embedding space holds every song.
        LogError: what SQL holds breaks the log's contract.
        Unavailable: the database does not answer.
    """
    refuse_occupied(out)
    pseudonyms = Pseudonyms(derived_key(signing_key(settings), "pseudonyms in listening logs"))

    async def export(journal: Journal) -> Exported:
        live = await journal.read(live_bundle)
        bundle = repository_in(settings.home).open(live.version) if live else None
        await _note(journal)
        return await journal.read(lambda sql: _written(sql, bundle, pseudonyms, out))

    return run_on_journal(settings, export, config=JournalConfig(read_timeout_seconds=READ_SECONDS))


async def _note(journal: Journal) -> None:
    counts = await journal.read(count_consented)
    await journal.administer(
        NoteAct(at=system_clock(), actor=ACTOR, act="export log", subject="listening log", detail=counts)
    )


def _written(sql: Connection, bundle: Bundle | None, pseudonyms: Pseudonyms, out: Path) -> Exported:
    """Write the log, described as the live bundle says, if there is one; return what it holds."""
    songs = read_served_songs(
        sql,
        context=bundle.manifest.context if bundle else ContextSchema(),
        spaces=_spaces(bundle),
        provenance={
            "origin": "a service's own record, listeners who consented",
            "context_of_bundle": bundle.version if bundle else "none",
            "propensity": "none: the service chooses deterministically",
        },
    )
    rows = write_log_in_parts(logs_by_listeners(sql, songs, pseudonyms=pseudonyms), out)
    return Exported(rows=rows, spaces_left_out=songs.spaces_left_out)


def _spaces(bundle: Bundle | None) -> dict[str, EmbeddingSpace]:
    if bundle is None:
        return {}
    space = bundle.manifest.space
    return {space.name: EmbeddingSpace(width=space.width, source=space.source, licence=space.licence)}
