"""A home to measure in: a deployment's live bundle, over as many songs as asked for, with a database of its own.

Where the deployment has fewer songs, its songs come again under other names, their embeddings moved a little, so
that searches and predictions cost what they would cost; what is chosen means nothing here.
"""

import asyncio
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from models.catalogue import Catalogue
from models.errors import ConfigError
from models.repository import repository_in
from service.clock import system_clock
from service.journal.bundles import BundleRecord, live_bundle
from service.journal.journal import open_journal
from service.journal.migrate import upgrade
from service.journal.songs import ImportSongs, SongRecord, read_catalogue
from service.settings import Settings
from service.staging import Staging

ACTOR = "benchmark"
_SHIFT = 0.05
"""How far a repeated song's embedding is moved, in standard deviations of the embeddings."""


@contextmanager
def benchmark_home(deployment: Settings, *, song_count: int, database_url: str | None) -> Iterator[Settings]:
    """Give the settings of a furnished home that is gone afterwards.

    Args:
        deployment: where the live bundle and its songs come from; nothing there is written.
        song_count: songs of the catalogue.
        database_url: an empty database to use; None: SQLite in the new home.

    Raises:
        ConfigError: no bundle is live in the deployment.
    """
    with TemporaryDirectory(prefix="amrs-bench-") as folder:
        chosen = {"home": Path(folder), "redis_url": None, "redis_prefix": "amrs-bench:"}
        home = Settings.model_validate(
            deployment.model_dump(exclude={*chosen, "database_url"})
            | chosen
            | ({"database_url": database_url} if database_url else {})
        )
        upgrade(home.database_url)
        asyncio.run(_furnish(deployment, home, song_count))
        yield home


async def _furnish(deployment: Settings, home: Settings, song_count: int) -> None:
    async with open_journal(deployment.database_url) as journal:
        live: BundleRecord | None = await journal.read(live_bundle)
        catalogue: Catalogue = await journal.read(read_catalogue)
    if live is None:
        raise ConfigError(
            f"a benchmark needs a live bundle; there is none in {deployment.home}: `make run` makes one"
        )
    repository = repository_in(home.home)
    repository.root.mkdir(parents=True)
    shutil.copytree(repository_in(deployment.home).root / live.version, repository.root / live.version)
    songs, embeddings = _as_many(catalogue, live.embedding_space, song_count)
    at = system_clock()
    async with open_journal(home.database_url) as journal:
        spaces = {live.embedding_space: embeddings}
        await journal.administer(ImportSongs(songs=songs, embeddings=spaces, at=at, actor=ACTOR))
        await Staging(journal=journal, repository=repository).stage(live.version, "live", at=at, actor=ACTOR)


def _as_many(catalogue: Catalogue, space: str, song_count: int) -> tuple[list[SongRecord], Float[ndarray, "N E"]]:
    matrix = np.asarray(catalogue.embeddings[space])
    known = np.flatnonzero(np.isfinite(matrix).all(axis=1) & ~catalogue.withdrawn)
    rows = np.resize(known, song_count)
    repeats = np.arange(song_count) // len(known)
    noise = np.random.default_rng(0).normal(0, _SHIFT, (song_count, matrix.shape[1]))
    moved = matrix[rows] + noise * matrix[known].std(axis=0) * (repeats > 0)[:, None]
    songs = [
        replace(song, song_id=f"{song.song_id}.{repeat}", artist=f"{song.artist} {repeat}") if repeat else song
        for song, repeat in (
            (catalogue.songs[row], repeat) for row, repeat in zip(rows.tolist(), repeats.tolist(), strict=True)
        )
    ]
    return [SongRecord(song, None) for song in songs], moved.astype(np.float32)
