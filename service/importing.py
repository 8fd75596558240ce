"""Bulk import: a log's songs into the catalogue, some hundreds to a transaction, in memory that does not grow.

Embeddings are read from disk as they are written to SQL. Each transaction is an act of its own: an import that was
cut short is begun again, finds what it wrote before, and goes on. Workers that serve follow while it runs.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from models.affect import Affect
from models.catalogue import Song
from models.log import LoggedSongs, read_songs
from service.clock import system_clock
from service.journal.journal import Journal
from service.journal.songs import ImportSongs, SongRecord
from service.operations import ACTOR, run_on_journal
from service.settings import Settings

TRANSACTION: Final = 500
"""Songs committed at a time: others that write wait no longer than for so many."""


def import_songs(settings: Settings, log: Path, *, console: Console, at_a_time: int = TRANSACTION) -> int:
    """Put a log's songs, with their embeddings in every space, into the catalogue; return how many there were.

    `at_a_time` songs are committed together.

    Raises:
        LogError: anything about the log's songs breaks the contract; nothing was written.
        DataError: the catalogue holds a space with another width, or a bundle could not read a song; what was
            written before stays.
        Unavailable: the database does not answer; begin again, and what was written is found.
    """
    logged = read_songs(log)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())

    async def act(journal: Journal) -> None:
        with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
            task = progress.add_task("songs", total=len(logged.songs))
            for part in _parts(logged, at_a_time):
                await journal.administer(part)
                progress.advance(task, len(part.songs))

    run_on_journal(settings, act)
    return len(logged.songs)


def _parts(logged: LoggedSongs, at_a_time: int) -> Iterator[ImportSongs]:
    for start in range(0, len(logged.songs), at_a_time):
        rows = logged.songs.slice(start, at_a_time)
        end = start + len(rows)
        yield ImportSongs(
            songs=[_record(row) for row in rows.iter_rows(named=True)],
            embeddings={space: np.array(matrix[start:end]) for space, matrix in logged.embeddings.items()},
            at=system_clock(),
            actor=ACTOR,
        )


def _record(row: dict[str, Any]) -> SongRecord:
    song = Song(
        song_id=row["song_id"],
        title=row["title"],
        artist=row["artist"],
        duration_seconds=row["duration_seconds"],
        tags=tuple(row["tags"]),
    )
    tagged = row["tag_valence"] is not None and row["tag_arousal"] is not None
    return SongRecord(song, Affect(row["tag_valence"], row["tag_arousal"]) if tagged else None)
