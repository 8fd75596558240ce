"""The service's own log holds those who consented, under pseudonyms, as training reads logs; and nobody else."""

import numpy as np
import pytest
from sqlalchemy import Connection, Engine

from models.affect import Affect
from models.catalogue import Song
from models.context import ClockField, ContextSchema
from models.errors import DataError
from models.log import EmbeddingSpace, Log, check_log, read_log, write_log, write_log_in_parts
from service.journal.catalogue import WithdrawSong
from service.journal.consent import SetConsent
from service.journal.erasure import EraseListener
from service.journal.listening_log import (
    Pseudonyms,
    ServedSongs,
    count_consented,
    logs_by_listeners,
    read_served_songs,
)
from service.journal.songs import ImportSongs, SongRecord
from service.listener import ListenerKey
from tests.service.journal.examples import LISTENER, MINUTE, NOON, end, feed_back, recommend, start, token, write

SILENT = ListenerKey("default", "l-silent")
CONTEXT = ContextSchema(fields=(ClockField(name="local_time"),))
PSEUDONYMS = Pseudonyms(b"k" * 32)
SONGS = ["song-1", "song-2", "song-3"]


@pytest.fixture
def played(engine: Engine) -> Engine:
    """Two listeners heard the same; one consented. The song between two plays was never answered."""
    songs = ImportSongs(
        songs=[SongRecord(Song(song_id=song_id, title=song_id, tags=("calm",)), None) for song_id in SONGS],
        embeddings={"tiny": np.eye(3, 4, dtype=np.float32)},
        at=NOON,
        actor="tests",
    )
    with engine.begin() as sql:
        songs(sql)
    for listener in (LISTENER, SILENT):
        context = {"local_time": "2026-11-20T21:30:00+01:00", "unheard_of": 3.0}
        write(engine, start(listener=listener, report=Affect(0.25, 0.75), context=context))
        write(engine, recommend(*SONGS, expected_sequence=1, listener=listener))
        write(engine, feed_back("e-1", listener=listener, engagement=0.5, rating=1))
        about = token("song-3", position=2)
        write(engine, feed_back("e-2", listener=listener, about=about, engagement=0.0))
    write(engine, SetConsent(listener=LISTENER, at=NOON, event_id="c-1", consent=True, actor="tests"))
    write(engine, end(report=Affect(0.5, 0.25), at=NOON + 9 * MINUTE))
    return engine


def songs_of(sql: Connection) -> ServedSongs:
    return read_served_songs(
        sql,
        context=CONTEXT,
        spaces={"tiny": EmbeddingSpace(width=4, source="invented", licence="CC0-1.0")},
        provenance={"origin": "tests"},
    )


def exported(engine: Engine, pseudonyms: Pseudonyms = PSEUDONYMS) -> Log:
    with engine.begin() as sql:
        (log,) = logs_by_listeners(sql, songs_of(sql), pseudonyms=pseudonyms)
    return log


def test_holds_what_the_listener_who_consented_did_and_said(played, tmp_path):
    log = exported(played)
    write_log(log, tmp_path / "log")

    assert check_log(tmp_path / "log") == []
    assert log.listeners["population"].to_list() == ["unspecified"]
    session = log.sessions.row(0, named=True)
    assert (session["before_valence"], session["after_arousal"], session["mode"]) == (0.25, 0.25, "calm")
    assert session["context_local_time"] == 21.5
    assert log.plays.select("position", "song_id", "engagement", "rating", "mode", "propensity").rows() == [
        (0, "song-1", 0.5, 1, "calm", None),
        (1, "song-3", 0.0, None, "calm", None),
    ]
    assert log.songs["song_id"].to_list() == SONGS
    np.testing.assert_array_equal(log.embeddings["tiny"], np.eye(3, 4))
    assert (log.description.simulated, log.description.embeddings["tiny"].source) == (False, "invented")


def test_read_a_listener_at_a_time_it_is_the_same_log(played, tmp_path):
    write(played, SetConsent(listener=SILENT, at=NOON, event_id="c-1", consent=True, actor="tests"))
    with played.begin() as sql:
        songs, counts = songs_of(sql), count_consented(sql)
        write_log_in_parts(logs_by_listeners(sql, songs, pseudonyms=PSEUDONYMS, at_a_time=1), tmp_path / "log")

    log = read_log(tmp_path / "log")
    assert log.digest() == exported(played).digest()
    assert counts == {"listeners": len(log.listeners), "plays": len(log.plays)} == {"listeners": 2, "plays": 4}


def test_without_anybody_who_consented_the_log_holds_the_songs_alone(played):
    write(played, SetConsent(listener=LISTENER, at=NOON, event_id="c-2", consent=False, actor="tests"))

    log = exported(played)

    assert (len(log.listeners), len(log.plays), len(log.songs)) == (0, 0, 3)


def test_names_nobody_and_names_the_same_listener_the_same(played):
    first, second = exported(played), exported(played)
    others = exported(played, Pseudonyms(b"o" * 32))

    told = "".join(frame.write_json() for frame in (first.listeners, first.sessions, first.plays))
    for name in ("l-1", "l-silent", "s-1"):
        assert f'"{name}"' not in told
    assert first.digest() == second.digest()
    assert first.listeners["listener_id"].to_list() != others.listeners["listener_id"].to_list()


def test_consent_withdrawn_or_a_listener_erased_is_in_no_later_log(played):
    write(played, SetConsent(listener=SILENT, at=NOON, event_id="c-1", consent=True, actor="tests"))
    both = exported(played)
    write(played, SetConsent(listener=LISTENER, at=NOON, event_id="c-2", consent=False, actor="tests"))
    silent = exported(played)
    write(played, EraseListener(listener=SILENT, at=NOON, actor="tests"))

    assert [len(log.listeners) for log in (both, silent, exported(played))] == [2, 1, 0]


def test_a_withdrawn_song_stays_where_it_was_played(played):
    for song_id in ("song-1", "song-2"):
        with played.begin() as sql:
            WithdrawSong(song_id=song_id, at=NOON, actor="tests")(sql)

    log = exported(played)

    assert log.songs["song_id"].to_list() == ["song-1", "song-3"]
    assert len(log.plays) == 2


def test_a_space_that_lacks_a_song_is_left_out_and_said_and_without_any_there_is_no_log(played):
    partly = ImportSongs(
        songs=[SongRecord(Song(song_id="song-1", title="song-1"), None)],
        embeddings={"other": np.ones((1, 2), np.float32)},
        at=NOON,
        actor="tests",
    )
    with played.begin() as sql:
        partly(sql)
        left_out = songs_of(sql).spaces_left_out
    fourth = ImportSongs(
        songs=[SongRecord(Song(song_id="song-4", title="song-4"), None)], embeddings={}, at=NOON, actor="tests"
    )
    with played.begin() as sql:
        fourth(sql)

    assert left_out == ("other",)
    with pytest.raises(DataError, match="all 4 songs"):
        exported(played)
