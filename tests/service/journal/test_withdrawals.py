"""Once a withdrawal is answered no recommendation of the song is committed; those under way come before it."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotYet
from threading import Event
from time import monotonic, sleep

import numpy as np
import pytest
from sqlalchemy import Engine, select

from models.catalogue import Song
from service.errors import StaleCatalogue
from service.journal.catalogue import ReinstateSong, WithdrawSong
from service.journal.engine import open_writer
from service.journal.settle import settle
from service.journal.songs import ImportSongs, SongRecord
from service.journal.tables import recommendations
from service.listener import ListenerKey
from tests.service.journal.examples import NOON, recommend, start, write

WHILE = 0.15
"""Seconds in which what need not wait would have ended."""
PAUSE = 0.002
"""Seconds between one listener's songs: SQLite lets writers in by chance, and who always asks keeps others out."""


@pytest.fixture
def songs(engine: Engine) -> None:
    """Ten songs on record."""
    records = [SongRecord(Song(song_id=f"song-{number}"), None) for number in range(10)]
    with engine.begin() as sql:
        ImportSongs(songs=records, embeddings={}, at=NOON, actor="test")(sql)


@pytest.fixture
def another(database_url: str) -> Iterator[Engine]:
    """The engine of another worker."""
    engine = open_writer(database_url)
    yield engine
    engine.dispose()


def withdraw(engine: Engine, song_id: str = "song-1") -> int:
    with engine.begin() as sql:
        return WithdrawSong(song_id=song_id, at=NOON, actor="test")(sql)


def in_the_meantime(act: Callable[[], object]) -> Future[object]:
    with_another_thread = ThreadPoolExecutor(1)
    future = with_another_thread.submit(act)
    with_another_thread.shutdown(wait=False)
    return future


def test_a_song_withdrawn_between_choice_and_commit_is_not_recorded(engine: Engine, songs: None) -> None:
    write(engine, start())
    withdraw(engine)

    with pytest.raises(StaleCatalogue) as refused:
        write(engine, recommend("song-0", "song-1", expected_sequence=1))
    assert refused.value.song_ids == ("song-1",)
    with engine.begin() as sql:
        assert sql.scalars(select(recommendations.c.song_id)).all() == []
    assert not write(engine, recommend("song-0", "song-2", expected_sequence=1)).duplicate


def test_the_others_of_a_batch_are_recorded(engine: Engine, songs: None) -> None:
    others = [ListenerKey("default", f"l-{number}") for number in range(3)]
    for listener in others:
        write(engine, start(listener=listener))
    withdraw(engine)

    with engine.begin() as sql:
        chosen = ["song-1", "song-2", "song-3"]
        outcomes = settle(
            sql,
            [
                recommend(song, listener=listener, expected_sequence=1)
                for song, listener in zip(chosen, others, strict=True)
            ],
        )

    assert [type(outcome) is StaleCatalogue for outcome in outcomes] == [True, False, False]


def test_a_song_that_was_reinstated_is_recorded(engine: Engine, songs: None) -> None:
    write(engine, start())
    withdraw(engine)
    with engine.begin() as sql:
        ReinstateSong(song_id="song-1", at=NOON, actor="test")(sql)

    assert not write(engine, recommend("song-1", expected_sequence=1)).duplicate


def test_a_withdrawal_waits_for_the_recordings_under_way(engine: Engine, another: Engine, songs: None) -> None:
    """Answered before them, it would be followed by a song that it had forbidden."""
    write(engine, start())
    with engine.begin() as sql:
        (written,) = settle(sql, [recommend("song-1", expected_sequence=1)])
        withdrawing = in_the_meantime(lambda: withdraw(another))
        with pytest.raises(NotYet):
            withdrawing.result(WHILE)

    assert not isinstance(written, Exception)
    assert withdrawing.result(5) == 2


def test_a_recording_waits_for_the_withdrawal_under_way_and_is_refused(
    engine: Engine, another: Engine, songs: None
) -> None:
    write(engine, start())
    with another.begin() as sql:
        WithdrawSong(song_id="song-1", at=NOON, actor="test")(sql)
        recording = in_the_meantime(lambda: write(engine, recommend("song-1", expected_sequence=1)))
        with pytest.raises(NotYet):
            recording.result(WHILE)

    assert isinstance(recording.exception(5), StaleCatalogue)


def test_an_import_under_way_holds_up_no_recording(engine: Engine, another: Engine, songs: None) -> None:
    write(engine, start())
    if engine.dialect.name == "sqlite":
        pytest.skip("SQLite has one writer at a time")
    with another.begin() as sql:
        changed = [SongRecord(Song(song_id="song-1", title="another"), None)]
        ImportSongs(songs=changed, embeddings={}, at=NOON, actor="test")(sql)
        assert not write(engine, recommend("song-1", expected_sequence=1)).duplicate


def test_recordings_and_withdrawals_at_once_keep_the_law(
    database_url: str, engine: Engine, another: Engine, songs: None
) -> None:
    """Three listeners are given songs while all ten are withdrawn one by one, in no order."""
    listeners = [ListenerKey("default", f"l-{number}") for number in range(3)]
    for listener in listeners:
        write(engine, start(listener=listener))
    answered: dict[str, float] = {}
    given: list[tuple[str, float]] = []
    stopped, under_way = Event(), Event()

    def give(listener: ListenerKey, seed: int) -> None:
        rng, mine, sequence = np.random.default_rng(seed), open_writer(database_url), 1
        while len(answered) < 10 and not stopped.is_set():
            song, asked = f"song-{rng.integers(10)}", monotonic()
            command = recommend(
                song, listener=listener, request_id=f"r-{sequence}", first=sequence, expected_sequence=sequence
            )
            sleep(PAUSE)
            try:
                write(mine, command)
            except StaleCatalogue:
                continue
            sequence += 1
            given.append((song, asked))
            under_way.set()
        mine.dispose()

    giving = [
        in_the_meantime(lambda listener=listener, seed=seed: give(listener, seed))
        for seed, listener in enumerate(listeners)
    ]
    try:
        assert under_way.wait(20)
        for number in np.random.default_rng(9).permutation(10):
            withdraw(another, f"song-{number}")
            answered[f"song-{number}"] = monotonic()
    finally:
        stopped.set()
    for each in giving:
        each.result(20)

    assert [song for song, asked in given if asked > answered[song]] == []
