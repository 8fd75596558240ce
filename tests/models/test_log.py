"""A log is written whole or not at all, comes back as it was, and reaches training only by consent."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import polars as pl
import pytest

from models.errors import DataError, LogError
from models.listening import Mode, Population, song_key
from models.log import Log, check_log, read_log, write_log, write_log_in_parts
from tests.models.tiny_log import MONDAY, TUESDAY, tiny_log, tiny_tables


def test_comes_back_from_disk_as_it_was(tmp_path):
    write_log(tiny_log(), tmp_path / "log")
    log = read_log(tmp_path / "log")

    assert check_log(tmp_path / "log") == []
    assert log.description == tiny_log().description
    for table in ("songs", "listeners", "sessions", "plays"):
        assert getattr(log, table).equals(getattr(tiny_log(), table))
    np.testing.assert_array_equal(log.embeddings["plain"], tiny_log().embeddings["plain"])
    assert isinstance(log.embeddings["plain"], np.memmap)


def test_orders_sessions_by_listener_and_start_and_plays_by_position():
    log = tiny_log()

    assert log.sessions["session_id"].to_list() == ["s-early", "s-late", "s-abe"]
    assert log.plays.select("session_id", "position").rows() == [
        ("s-early", 0),
        ("s-early", 1),
        ("s-early", 2),
        ("s-late", 0),
        ("s-abe", 0),
    ]


def test_gives_columns_as_a_slow_reading_row_by_row_does():
    log = tiny_log()
    listening = log.listening()

    sessions, plays = [], []
    for listener_id in log.listening_ids():
        for session in log.sessions.filter(pl.col("listener_id") == listener_id).iter_rows(named=True):
            sessions.append(session)
            its_plays = log.plays.filter(pl.col("session_id") == session["session_id"])
            plays += [play | {"mode": play["mode"] or session["mode"]} for play in its_plays.iter_rows(named=True)]

    def column(rows: list[dict], *names: str) -> list:
        values = [[np.nan if row[name] is None else row[name] for name in names] for row in rows]
        return [row[0] for row in values] if len(names) == 1 else values

    def seconds(rows: list[dict], name: str) -> list[float]:
        return [np.nan if row[name] is None else row[name].timestamp() for row in rows]

    np.testing.assert_array_equal(listening.session_start, [0, 2, 2])
    np.testing.assert_array_equal(listening.play_start, [0, 3, 4])
    np.testing.assert_array_equal(listening.population, [Population.CLINICAL, Population.UNSPECIFIED])
    np.testing.assert_array_equal(listening.mode, [Mode[row["mode"].upper()] for row in sessions])
    np.testing.assert_array_equal(listening.play_mode, [Mode[row["mode"].upper()] for row in plays])
    np.testing.assert_array_equal(listening.song, [song_key(row["song_id"]) for row in plays])
    np.testing.assert_array_equal(listening.started_at, seconds(sessions, "started_at"))
    np.testing.assert_array_equal(listening.played_at, seconds(plays, "played_at"))
    np.testing.assert_array_equal(listening.before, column(sessions, "before_valence", "before_arousal"))
    np.testing.assert_array_equal(listening.after, column(sessions, "after_valence", "after_arousal"))
    np.testing.assert_array_equal(listening.context, column(sessions, "context_local_time", "context_weather"))
    np.testing.assert_array_equal(listening.report, column(plays, "valence", "arousal"))
    np.testing.assert_array_equal(listening.engagement, column(plays, "engagement"))
    np.testing.assert_array_equal(listening.rating, column(plays, "rating"))


def test_never_lets_a_listener_without_consent_reach_training():
    log = tiny_log()

    assert log.listening_ids() == ["zoe", "mia"]
    assert log.listening().play_count == 4
    assert log.select_listeners(["abe"]).listening().listener_count == 0


def test_keeps_listeners_who_never_played():
    listening = tiny_log().select_listeners(["mia"]).listening()

    assert (listening.listener_count, listening.session_count, listening.play_count) == (1, 0, 0)


def test_parts_listeners_without_touching_songs():
    log = tiny_log()
    part = log.select_listeners({"abe", "mia"})

    assert part.listeners["listener_id"].to_list() == ["abe", "mia"]
    assert part.sessions["session_id"].to_list() == ["s-abe"]
    assert part.plays["session_id"].to_list() == ["s-abe"]
    assert part.songs.equals(log.songs)


def test_refuses_to_part_off_a_listener_it_does_not_hold():
    with pytest.raises(DataError, match="listener 'eve' is not among the 3 of log 'tiny'"):
        tiny_log().select_listeners(["zoe", "eve"])


def test_gives_the_key_of_each_song_in_order():
    assert tiny_log().song_keys().tolist() == [song_key(f"song-{letter}") for letter in "abcd"]


def test_has_one_digest_in_memory_on_disk_and_in_any_order_of_rows(tmp_path):
    tables = tiny_tables()
    tables["plays"] = tables["plays"].reverse()
    write_log(tiny_log(), tmp_path / "log")

    assert Log.from_tables(**tables).digest() == tiny_log().digest() == read_log(tmp_path / "log").digest()


@pytest.mark.parametrize(
    ("table", "column", "value"),
    [
        ("plays", "engagement", 0.5000001),
        ("plays", "played_at", MONDAY + timedelta(microseconds=1)),
        ("songs", "title", ""),
        ("songs", "tags", ["calm "]),
        ("listeners", "consent", False),
        ("sessions", "context_weather", 0.0),
    ],
)
def test_has_another_digest_when_a_single_value_is_another(table, column, value):
    tables = tiny_tables()
    frame = tables[table]
    tables[table] = frame.with_columns(
        pl.Series(column, [value, *frame[column].to_list()[1:]], dtype=frame.schema[column])
    )

    assert Log.from_tables(**tables).digest() != tiny_log().digest()


def test_has_another_digest_when_an_embedding_or_the_description_is_another():
    tables = tiny_tables()
    tables["embeddings"]["plain"][3, 2] += 1
    renamed = tiny_tables()
    renamed["description"] = renamed["description"].model_copy(update={"name": "other"})

    digests = {log.digest() for log in (tiny_log(), Log.from_tables(**tables), Log.from_tables(**renamed))}
    assert len(digests) == 3


def test_reads_wider_types_and_stores_its_own(tmp_path):
    tables = tiny_tables()
    tables["plays"] = tables["plays"].with_columns(
        pl.col("rating").cast(pl.Int64),
        pl.col("song_id").cast(pl.Categorical),
        pl.col("played_at").dt.cast_time_unit("ms"),
    )

    assert Log.from_tables(**tables).digest() == tiny_log().digest()


def test_may_leave_out_columns_whose_values_may_be_absent():
    tables = tiny_tables()
    tables["plays"] = tables["plays"].select("session_id", "position", "song_id")
    tables["songs"] = tables["songs"].select("song_id")
    log = Log.from_tables(**tables)

    assert log.plays["engagement"].is_null().all()
    assert log.songs["tags"].to_list() == [[], [], [], []]
    assert np.isnan(log.listening().feedback[:1]).all()


def test_fills_an_empty_folder_but_never_an_occupied_one(tmp_path):
    write_log(tiny_log(), tmp_path)
    before = sorted((path, path.stat().st_mtime_ns) for path in tmp_path.rglob("*"))

    with pytest.raises(DataError, match="to be a new or empty folder; nothing there was touched"):
        write_log(tiny_log(), tmp_path)
    assert sorted((path, path.stat().st_mtime_ns) for path in tmp_path.rglob("*")) == before


def test_leaves_nothing_behind_when_writing_fails_half_way(tmp_path):
    log = tiny_log()
    impossible = replace(log, embeddings={**log.embeddings, "no/such/folder": log.embeddings["plain"]})

    with pytest.raises(FileNotFoundError):
        write_log(impossible, tmp_path / "log")
    assert list(tmp_path.iterdir()) == []


def test_listeners_written_one_by_one_make_the_same_log(tmp_path):
    log = tiny_log()
    parts = (log.select_listeners([name]) for name in log.listeners["listener_id"])

    rows = write_log_in_parts(parts, tmp_path / "log")

    assert read_log(tmp_path / "log").digest() == log.digest()
    assert rows == {file: len(frame) for file, frame in log._frames().items()}


def test_refuses_a_listener_who_stands_in_two_parts_and_writes_nothing(tmp_path):
    with pytest.raises(DataError, match="in one part of the log alone"):
        write_log_in_parts([tiny_log(), tiny_log()], tmp_path / "log")
    assert list(tmp_path.iterdir()) == []


def test_carries_every_complaint_in_its_error_and_shows_the_first_five():
    tables = tiny_tables()
    tables["plays"] = tables["plays"].with_columns(engagement=pl.lit(1.7), position=pl.lit(-1))

    with pytest.raises(LogError) as caught:
        Log.from_tables(**tables)
    assert len(caught.value.complaints) > 5
    assert "plays.parquet, row 0, column position: expected a whole number from 0, found -1" in str(caught.value)
    assert str(caught.value).endswith(f"... and {len(caught.value.complaints) - 5} further complaints")


def test_keeps_a_session_that_ends_as_it_starts():
    assert tiny_log().sessions["ended_at"].to_list() == [TUESDAY, None, MONDAY]
