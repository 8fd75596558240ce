"""A service's home for tests: the tiny bundle live, its sixty songs in the catalogue."""

import asyncio
from pathlib import Path

from models.repository import Repository, repository_in
from service.clock import system_clock
from service.journal.journal import open_journal
from service.journal.songs import ImportSongs, SongRecord
from service.settings import Settings
from service.staging import Staging
from tests.bundles import SPACE, make_embeddings, make_songs

SECRET = "a secret of thirty-two characters"


def home_settings(home: Path, repository: Repository, **chosen: object) -> Settings:
    """Settings of a home whose bundles are those of a repository; nothing is live yet."""
    home.mkdir(parents=True, exist_ok=True)
    bundles = repository_in(home).root
    if not bundles.exists():
        bundles.symlink_to(repository.root)
    chosen = {"write_timeout_seconds": 30.0} | chosen  # the machine that runs the tests may be busy
    return Settings(home=home, token_secret=SECRET, **chosen)  # type: ignore[arg-type]


def furnish(settings: Settings, repository: Repository, version: str | None = None) -> None:
    """Import the songs and make a bundle live, the newest one if none is named."""

    async def act() -> None:
        async with open_journal(settings.database_url) as journal:
            records = [SongRecord(song, None) for song in make_songs()]
            songs = ImportSongs(
                songs=records, embeddings={SPACE.name: make_embeddings()}, at=system_clock(), actor="tests"
            )
            await journal.administer(songs)
            staging = Staging(journal=journal, repository=repository)
            await staging.stage(version or repository.versions()[-1], "live", at=system_clock(), actor="tests")

    asyncio.run(act())
