"""A log's songs come into the catalogue part by part; begun again it changes nothing, cut short it goes on."""

from collections.abc import Iterator
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console
from sqlalchemy import Engine, func, select

from models.errors import DataError
from models.log import write_log
from service import importing
from service.importing import import_songs
from service.journal.catalogue import WithdrawSong
from service.journal.engine import open_writer
from service.journal.revisions import read_revisions
from service.journal.songs import read_catalogue
from service.journal.tables import audit, song_embeddings
from service.settings import Settings
from tests.models.tiny_log import tiny_log
from tests.service.homes import SECRET
from tests.service.journal.examples import NOON

QUIET = Console(file=StringIO())


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """A log of four songs."""
    write_log(tiny_log(), tmp_path / "log")
    return tmp_path / "log"


@pytest.fixture
def settings(tmp_path: Path, database_url: str) -> Settings:
    return Settings(home=tmp_path / "home", database_url=database_url, token_secret=SECRET)  # type: ignore[arg-type]


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    engine = open_writer(database_url)
    yield engine
    engine.dispose()


def bring(settings: Settings, log: Path) -> int:
    """Import the songs, three to a transaction."""
    return import_songs(settings, log, console=QUIET, at_a_time=3)


def revision(engine: Engine) -> int:
    with engine.begin() as sql:
        return read_revisions(sql).songs


def test_every_song_comes_in_with_its_embeddings(log: Path, settings: Settings, engine: Engine) -> None:
    assert bring(settings, log) == 4

    with engine.begin() as sql:
        catalogue = read_catalogue(sql)
    expected = tiny_log()
    assert [song.song_id for song in catalogue.songs] == expected.songs["song_id"].to_list()
    for space, matrix in expected.embeddings.items():
        np.testing.assert_array_equal(catalogue.embeddings[space], matrix)
    assert revision(engine) == 2


def test_an_import_again_changes_nothing_and_brings_no_withdrawn_song_back(
    log: Path, settings: Settings, engine: Engine
) -> None:
    bring(settings, log)
    with engine.begin() as sql:
        WithdrawSong(song_id="song-a", at=NOON, actor="test")(sql)
    bring(settings, log)

    assert revision(engine) == 3
    with engine.begin() as sql:
        catalogue = read_catalogue(sql)
        acts = sql.scalars(select(audit.c.act)).all()
    assert catalogue.withdrawn[catalogue.row("song-a")]
    assert acts.count("import songs") == 2


def test_what_an_import_that_was_cut_short_has_written_is_found(
    log: Path, settings: Settings, engine: Engine
) -> None:
    parts = importing._parts(importing.read_songs(log), 3)
    with engine.begin() as sql:
        next(parts)(sql)

    bring(settings, log)

    assert revision(engine) == 2
    with engine.begin() as sql:
        assert sql.scalar(select(func.count()).select_from(song_embeddings)) == 4 * len(tiny_log().embeddings)


def test_a_log_whose_songs_break_the_contract_leaves_nothing(
    log: Path, settings: Settings, engine: Engine
) -> None:
    (space, *_) = tiny_log().embeddings
    path = log / "embeddings" / f"{space}.npy"
    matrix = np.load(path)
    matrix[3, 0] = np.nan
    np.save(path, matrix)

    with pytest.raises(DataError, match=space):
        bring(settings, log)
    assert revision(engine) == 0


def test_plays_that_break_the_contract_are_no_matter(log: Path, settings: Settings) -> None:
    (log / "plays.parquet").write_bytes(b"")

    assert bring(settings, log) == 4
