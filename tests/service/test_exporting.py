"""An export is on record before it is done, describes the live bundle's space, and never writes over anything."""

import shutil
from pathlib import Path

import pytest

from models.errors import DataError
from models.log import read_log
from models.log_schema import PLAYS_FILE, SONGS_FILE
from models.repository import Repository
from service.exporting import export_log
from service.journal.consent import SetConsent
from service.journal.engine import open_writer
from service.operations import read_audit
from service.settings import Settings
from tests.bundles import CONTEXT, SONG_COUNT, SPACE
from tests.service.homes import home_settings
from tests.service.journal.examples import LISTENER, NOON, end, feed_back, recommend, start, write


@pytest.fixture
def settings(tmp_path: Path, tiny_repository: Repository, furnished_sqlite: Path) -> Settings:
    """A deployment with the tiny bundle live, in which one listener heard a song and consented."""
    database = Path(shutil.copyfile(furnished_sqlite, tmp_path / "amrs.sqlite3"))
    settings = home_settings(tmp_path / "home", tiny_repository, database_url=f"sqlite:///{database}")
    engine = open_writer(settings.database_url)
    write(engine, start())
    write(engine, recommend("song-1", expected_sequence=1))
    write(engine, feed_back())
    write(engine, SetConsent(listener=LISTENER, at=NOON, event_id="c-1", consent=True, actor="tests"))
    write(engine, end())
    engine.dispose()
    return settings


def test_the_log_is_described_as_the_live_bundle_reads_songs_and_sessions(
    settings: Settings, tiny_repository: Repository, tmp_path: Path
) -> None:
    exported = export_log(settings, tmp_path / "log")

    log = read_log(tmp_path / "log")
    assert (exported.rows[SONGS_FILE], exported.rows[PLAYS_FILE]) == (len(log.songs), 1) == (SONG_COUNT, 1)
    assert exported.spaces_left_out == ()
    assert log.description.embeddings[SPACE.name].source == SPACE.source
    assert log.description.context == CONTEXT
    assert log.description.provenance["context_of_bundle"] == tiny_repository.versions()[-1]


def test_an_export_is_on_record_with_how_much_it_took(settings: Settings, tmp_path: Path) -> None:
    export_log(settings, tmp_path / "log")

    (act, *_) = read_audit(settings, limit=1)
    assert (act.act, act.detail) == ("export log", {"listeners": 1, "plays": 1})


def test_a_folder_that_holds_something_is_left_alone_and_nothing_is_on_record(
    settings: Settings, tmp_path: Path
) -> None:
    (tmp_path / "log").mkdir()
    (tmp_path / "log" / "mine.txt").write_text("mine")

    with pytest.raises(DataError, match="nothing there was touched"):
        export_log(settings, tmp_path / "log")

    assert [path.name for path in (tmp_path / "log").iterdir()] == ["mine.txt"]
    assert "export log" not in [act.act for act in read_audit(settings, limit=9)]
