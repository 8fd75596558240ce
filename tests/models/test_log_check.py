"""Whatever is wrong with a log is told by file, row, column, what was expected and what was found."""

import json
import pickle
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from models.errors import Complaint, LogError
from models.log import Log, check_log, read_log, write_log
from models.log_check import SHOWN_ROWS, check_tables
from models.log_schema import LogDescription, tables
from tests.models.tiny_log import TUESDAY, tiny_log

LATE = pl.Series([TUESDAY + timedelta(days=1)]).dt.cast_time_unit("us")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_log(tiny_log(), tmp_path / "log")
    return tmp_path / "log"


def change(folder: Path, file: str, *columns: pl.Expr | pl.Series) -> None:
    pl.read_parquet(folder / file).with_columns(*columns).write_parquet(folder / file)


def at(row: int, column: str, value: Any) -> pl.Expr:
    """Return the column with another value in one row."""
    return pl.when(pl.int_range(pl.len()) == row).then(pl.lit(value)).otherwise(pl.col(column)).alias(column)


UNIT = "a number from 0 to 1"
ID = "an id of 1 to 128 characters from A-Z a-z 0-9 . _ : -"

# The rows: sessions s-early, s-late, s-abe; three plays of s-early, then one each of s-late and s-abe.
BAD_VALUES = [
    ("plays.parquet", at(1, "engagement", 1.7), Complaint("plays.parquet", 1, "engagement", UNIT, "1.7")),
    ("plays.parquet", at(0, "engagement", -0.1), Complaint("plays.parquet", 0, "engagement", UNIT, "-0.1")),
    ("plays.parquet", at(0, "engagement", float("nan")), Complaint("plays.parquet", 0, "engagement", UNIT, "nan")),
    ("plays.parquet", at(0, "valence", float("inf")), Complaint("plays.parquet", 0, "valence", UNIT, "inf")),
    ("plays.parquet", at(2, "rating", 2), Complaint("plays.parquet", 2, "rating", "1 (like) or 0 (dislike)", "2")),
    (
        "plays.parquet",
        at(2, "rating", 4_000_000_000),
        Complaint("plays.parquet", 2, "rating", "1 (like) or 0 (dislike)", "4000000000"),
    ),
    (
        "plays.parquet",
        at(2, "propensity", 0.0),
        Complaint("plays.parquet", 2, "propensity", "a probability above 0 and up to 1", "0"),
    ),
    (
        "plays.parquet",
        at(2, "propensity", 1e-60),
        Complaint("plays.parquet", 2, "propensity", "a probability above 0 and up to 1", "0"),
    ),
    (
        "plays.parquet",
        at(0, "arousal", None),
        Complaint("plays.parquet", 0, "arousal", "a value where valence has one", "null"),
    ),
    (
        "plays.parquet",
        at(3, "song_id", "song-z"),
        Complaint("plays.parquet", 3, "song_id", "a song_id of songs.parquet", "'song-z'"),
    ),
    (
        "plays.parquet",
        at(4, "session_id", "s-nowhere"),
        Complaint("plays.parquet", 4, "session_id", "a session_id of sessions.parquet", "'s-nowhere'"),
    ),
    (
        "plays.parquet",
        at(0, "mode", "party"),
        Complaint("plays.parquet", 0, "mode", "one of unspecified, energize, focus, calm, sleep", "'party'"),
    ),
    (
        "plays.parquet",
        at(0, "position", -1),
        Complaint("plays.parquet", 0, "position", "a whole number from 0", "-1"),
    ),
    (
        "plays.parquet",
        at(1, "position", 0),
        Complaint("plays.parquet", 1, "position", "a position that no earlier play of the session has", "0"),
    ),
    (
        "plays.parquet",
        at(2, "position", 7),
        Complaint("plays.parquet", 2, "position", "positions 0, 1, 2, ... without a gap in each session", "7"),
    ),
    ("plays.parquet", at(2, "position", None), Complaint("plays.parquet", 2, "position", "a value", "null")),
    (
        "sessions.parquet",
        at(1, "before_valence", None),
        Complaint("sessions.parquet", 1, "before_valence", "a value where before_arousal has one", "null"),
    ),
    (
        "sessions.parquet",
        at(0, "after_arousal", 5.0),
        Complaint("sessions.parquet", 0, "after_arousal", UNIT, "5"),
    ),
    (
        "sessions.parquet",
        at(0, "context_weather", 2.0),
        Complaint(
            "sessions.parquet",
            0,
            "context_weather",
            "a whole number from 0 to 1, the place of one of ['sunny', 'rainy']",
            "2",
        ),
    ),
    (
        "sessions.parquet",
        at(0, "context_local_time", 24.0),
        Complaint("sessions.parquet", 0, "context_local_time", "an hour from 0 up to but not including 24", "24"),
    ),
    (
        "sessions.parquet",
        at(0, "context_local_time", float("nan")),
        Complaint("sessions.parquet", 0, "context_local_time", "an hour from 0 up to but not including 24", "nan"),
    ),
    (
        "sessions.parquet",
        at(0, "listener_id", "eve"),
        Complaint("sessions.parquet", 0, "listener_id", "a listener_id of listeners.parquet", "'eve'"),
    ),
    (
        "sessions.parquet",
        at(0, "started_at", LATE[0]).cast(pl.Datetime("us", "UTC")),
        Complaint("sessions.parquet", 0, "ended_at", "a time not before started_at", "2026-11-17 08:30:00+00:00"),
    ),
    (
        "listeners.parquet",
        at(2, "listener_id", "zoe"),
        Complaint("listeners.parquet", 2, "listener_id", "an id that no earlier row has", "'zoe'"),
    ),
    (
        "listeners.parquet",
        at(2, "population", "robot"),
        Complaint("listeners.parquet", 2, "population", "one of unspecified, clinical, consumer", "'robot'"),
    ),
    ("listeners.parquet", at(2, "consent", None), Complaint("listeners.parquet", 2, "consent", "a value", "null")),
    (
        "songs.parquet",
        at(3, "song_id", "song-a"),
        Complaint("songs.parquet", 3, "song_id", "an id that no earlier row has", "'song-a'"),
    ),
    ("songs.parquet", at(3, "song_id", "song d"), Complaint("songs.parquet", 3, "song_id", ID, "'song d'")),
    ("songs.parquet", at(3, "song_id", ""), Complaint("songs.parquet", 3, "song_id", ID, "''")),
    ("songs.parquet", at(3, "song_id", "song-d\n"), Complaint("songs.parquet", 3, "song_id", ID, "'song-d\\n'")),
    (
        "songs.parquet",
        at(3, "song_id", "d" * 129),
        Complaint("songs.parquet", 3, "song_id", ID, f"'{'d' * 76}..."),
    ),
    (
        "songs.parquet",
        at(3, "duration_seconds", 0.0),
        Complaint("songs.parquet", 3, "duration_seconds", "a finite number above 0", "0"),
    ),
    (
        "songs.parquet",
        at(0, "tags", [""]),
        Complaint("songs.parquet", 0, "tags", "tags that are not empty", "['']"),
    ),
]


@pytest.mark.parametrize(("file", "broken", "complaint"), BAD_VALUES)
def test_names_the_row_and_column_of_a_bad_value(folder, file, broken, complaint):
    change(folder, file, broken)

    assert check_log(folder) == [complaint]


def test_complains_of_a_session_id_given_twice_and_of_the_plays_it_leaves_behind(folder):
    change(folder, "sessions.parquet", at(1, "session_id", "s-early"))

    assert check_log(folder) == [
        Complaint("sessions.parquet", 1, "session_id", "an id that no earlier row has", "'s-early'"),
        Complaint("plays.parquet", 3, "session_id", "a session_id of sessions.parquet", "'s-late'"),
    ]


def rewrite_description(folder: Path, **fields: Any) -> None:
    known = json.loads((folder / "log.json").read_text())
    (folder / "log.json").write_text(json.dumps(known | fields))


def save(folder: Path, matrix: np.ndarray, *, name: str = "plain", allow_pickle: bool = False) -> None:
    np.save(folder / "embeddings" / f"{name}.npy", matrix, allow_pickle=allow_pickle)


def not_finite(value: float) -> np.ndarray:
    matrix = np.zeros((4, 3), np.float32)
    matrix[2, 1] = value
    return matrix


PLAIN = "embeddings/plain.npy"

BROKEN_FILES: list[tuple[str, Callable[[Path], object], tuple[str, int | None, str | None, str, str]]] = [
    (
        "a missing table",
        lambda folder: (folder / "plays.parquet").unlink(),
        ("plays.parquet", None, None, "a Parquet file", "no such file"),
    ),
    (
        "a cut table",
        lambda folder: (folder / "plays.parquet").write_bytes((folder / "plays.parquet").read_bytes()[:300]),
        ("plays.parquet", None, None, "a Parquet file", "Parquet magic bytes not found"),
    ),
    (
        "an empty file",
        lambda folder: (folder / "songs.parquet").write_bytes(b""),
        ("songs.parquet", None, None, "a Parquet file", ""),
    ),
    (
        "a missing column",
        lambda folder: (
            pl.read_parquet(folder / "plays.parquet").drop("rating").write_parquet(folder / "plays.parquet")
        ),
        ("plays.parquet", None, "rating", "a column of type Int8", "session_id, position, song_id"),
    ),
    (
        "an unknown column",
        lambda folder: change(folder, "plays.parquet", pl.lit(0.5).alias("valance")),
        ("plays.parquet", None, "valance", "only the columns session_id, position", "a column of that name"),
    ),
    (
        "a column of text where numbers belong",
        lambda folder: change(folder, "plays.parquet", pl.col("engagement").cast(pl.String)),
        ("plays.parquet", None, "engagement", "type Float32", "type String"),
    ),
    (
        "times without a zone",
        lambda folder: change(folder, "sessions.parquet", pl.col("started_at").dt.replace_time_zone(None)),
        (
            "sessions.parquet",
            None,
            "started_at",
            "type Datetime(time_unit='us', time_zone='UTC')",
            "type Datetime(time_unit='us', time_zone=None)",
        ),
    ),
    (
        "a missing description",
        lambda folder: (folder / "log.json").unlink(),
        ("log.json", None, None, "a JSON file", "no such file"),
    ),
    (
        "a description that is not JSON",
        lambda folder: (folder / "log.json").write_text("{"),
        ("log.json", None, None, "Invalid JSON", ""),
    ),
    (
        "another schema",
        lambda folder: rewrite_description(folder, schema="amrs-log/2"),
        ("log.json", None, "schema", "Input should be 'amrs-log/1'", "'amrs-log/2'"),
    ),
    (
        "an unknown key",
        lambda folder: rewrite_description(folder, licence="CC0"),
        ("log.json", None, "licence", "Extra inputs are not permitted", "'CC0'"),
    ),
    (
        "a space whose name is a path",
        lambda folder: rewrite_description(
            folder, embeddings={"../x": {"width": 1, "source": "s", "licence": "l"}}
        ),
        ("log.json", None, "embeddings.../x.[key]", "String should match pattern", "'../x'"),
    ),
    (
        "a declared space without a matrix",
        lambda folder: (folder / "embeddings" / "plain.npy").unlink(),
        (PLAIN, None, None, "a NumPy array of numbers", "no such file"),
    ),
    (
        "a matrix that nothing declares",
        lambda folder: save(folder, np.zeros((4, 3), np.float32), name="other"),
        ("embeddings/other.npy", None, None, "a space declared in log.json (plain)", "the space 'other'"),
    ),
    (
        "a matrix with a row too few",
        lambda folder: save(folder, np.zeros((3, 3), np.float32)),
        (PLAIN, None, None, "4 rows, one per song, of 3 numbers", "shape (3, 3)"),
    ),
    (
        "a matrix of another width",
        lambda folder: save(folder, np.zeros((4, 2), np.float32)),
        (PLAIN, None, None, "4 rows, one per song, of 3 numbers", "shape (4, 2)"),
    ),
    (
        "a matrix with an axis too few",
        lambda folder: save(folder, np.zeros(12, np.float32)),
        (PLAIN, None, None, "4 rows, one per song, of 3 numbers", "shape (12,)"),
    ),
    (
        "a matrix of another type",
        lambda folder: save(folder, np.zeros((4, 3))),
        (PLAIN, None, None, "float32", "float64"),
    ),
    (
        "a NaN in a matrix",
        lambda folder: save(folder, not_finite(np.nan)),
        (PLAIN, 2, "1", "a finite number", "nan"),
    ),
    (
        "an infinity in a matrix",
        lambda folder: save(folder, not_finite(-np.inf)),
        (PLAIN, 2, "1", "a finite number", "-inf"),
    ),
    (
        "a matrix of Python objects",
        lambda folder: save(folder, np.full((4, 3), None), allow_pickle=True),
        (PLAIN, None, None, "a NumPy array of numbers", "Array can't be memory-mapped"),
    ),
    (
        "a pickle by the name of a matrix",
        lambda folder: (folder / PLAIN).write_bytes(pickle.dumps(np.zeros((4, 3), np.float32))),
        (PLAIN, None, None, "a NumPy array of numbers", "the magic string is not correct"),
    ),
    (
        "a matrix cut short",
        lambda folder: (folder / PLAIN).write_bytes((folder / PLAIN).read_bytes()[:-4]),
        (PLAIN, None, None, "a NumPy array of numbers", "mmap length is greater than file size"),
    ),
]


@pytest.mark.parametrize(("damage", "complaint"), [pytest.param(*case[1:], id=case[0]) for case in BROKEN_FILES])
def test_names_the_file_that_cannot_be_used(folder, damage, complaint):
    damage(folder)

    (found,) = check_log(folder)
    assert (found.file, found.row, found.column) == complaint[:3]
    assert complaint[3] in found.expected
    assert complaint[4] in found.found


def test_refuses_to_read_what_it_complains_of(folder):
    change(folder, "plays.parquet", at(1, "engagement", 1.7))

    with pytest.raises(LogError, match=r"plays\.parquet, row 1, column engagement: expected .* found 1\.7"):
        read_log(folder)


def test_complains_of_a_folder_that_does_not_exist(tmp_path):
    assert check_log(tmp_path / "nowhere") == [Complaint("log.json", None, None, "a JSON file", "no such file")]


def test_complains_of_a_catalogue_without_songs():
    empty = {
        file: pl.DataFrame(schema={c.name: c.stored.dtype for c in table.columns}) for file, table in _tables()
    }

    assert check_tables(LogDescription(name="empty", simulated=False), empty, {}) == [
        Complaint("songs.parquet", None, None, "at least one song", "no rows")
    ]


def _tables() -> list[tuple[str, Any]]:
    return list(tables(LogDescription(name="empty", simulated=False).context).items())


def test_complains_of_two_songs_that_share_a_key():
    """No two known ids collide in 63 bits, so keys of one bit stand in for them."""
    log = tiny_log()
    songs = {"songs.parquet": log.songs}

    def one_bit(song_ids: list[str]) -> np.ndarray:
        return np.array([len(song_id) % 2 for song_id in song_ids])

    complaints = check_tables(log.description, songs, log.embeddings, keys_of=one_bit)

    assert check_tables(log.description, songs, log.embeddings) == []
    assert [(c.file, c.row, c.expected) for c in complaints] == [
        ("songs.parquet", row, "an id whose 63-bit key no earlier song has") for row in (1, 2, 3)
    ]


def test_finds_every_fault_in_one_pass(folder):
    change(folder, "plays.parquet", at(0, "engagement", 1.7), at(1, "song_id", "song-z"), at(2, "rating", 3))
    change(folder, "songs.parquet", at(0, "duration_seconds", -1.0))
    save(folder, not_finite(np.nan))
    (folder / "listeners.parquet").write_bytes(b"junk")

    assert {(c.file, c.column) for c in check_log(folder)} == {
        ("plays.parquet", "engagement"),
        ("plays.parquet", "song_id"),
        ("plays.parquet", "rating"),
        ("songs.parquet", "duration_seconds"),
        (PLAIN, "1"),
        ("listeners.parquet", None),
    }


def test_shows_ten_of_a_million_bad_rows_and_counts_the_others():
    log = tiny_log()
    count = 1_000_000
    plays = pl.DataFrame(
        {
            "session_id": pl.repeat("s-early", count, eager=True),
            "position": pl.int_range(count, eager=True),
            "song_id": pl.repeat("song-a", count, eager=True),
            "engagement": pl.repeat(1.7, count, eager=True),
        }
    )

    with pytest.raises(LogError) as caught:
        Log.from_tables(
            description=log.description,
            songs=log.songs,
            listeners=log.listeners,
            sessions=log.sessions,
            plays=plays,
            embeddings=log.embeddings,
        )
    complaints = caught.value.complaints
    assert [c.row for c in complaints] == list(range(SHOWN_ROWS))
    assert sum(1 + c.more_rows for c in complaints) == count
    assert str(complaints[-1]).endswith("found 1.7 (and 999,990 more rows)")
