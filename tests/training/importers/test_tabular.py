"""Anybody's files become a log by a mapping; what cannot be understood is named in their own words."""

import re
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from models.errors import Complaint, LogError
from models.log import check_log, write_log
from training.importers.tabular import import_tabular

DOCUMENT = Path(__file__).parents[3] / "docs" / "importing.md"
NAMED_BLOCK = re.compile(r"\*\*`([a-z.]+)`\*\*\n\n```\w+\n(.*?)```", re.DOTALL)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The files of the worked example, as the document prints them."""
    for name, content in NAMED_BLOCK.findall(DOCUMENT.read_text()):
        (tmp_path / name).write_text(content)
    return tmp_path


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def complaints(folder: Path) -> list[Complaint]:
    with pytest.raises(LogError) as caught:
        import_tabular(folder / "mapping.toml", folder)
    return list(caught.value.complaints)


def test_makes_the_log_that_the_document_shows(folder):
    log = import_tabular(folder / "mapping.toml", folder)

    rows = [
        ["" if value is None else f"{value:.3g}" if isinstance(value, float) else str(value) for value in row]
        for row in log.plays.select(
            "session_id", "position", "song_id", "mode", "engagement", "rating", "valence", "arousal"
        ).iter_rows()
    ]
    shown = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in DOCUMENT.read_text().splitlines()
        if line.startswith(("| ann:", "| ben:"))
    ]
    assert rows == [[cell.removesuffix(".0") for cell in row] for row in shown]
    assert log.listening_ids() == ["ann"]


def test_reads_listeners_songs_clocks_and_embeddings_of_the_document(folder):
    log = import_tabular(folder / "mapping.toml", folder)

    assert log.listeners.rows() == [("ann", "clinical", True), ("ben", "consumer", False)]
    assert log.songs.row(0) == ("t1", "Slow Water", "Ida Holm", 180.0, ["ambient", "piano"], None, None)
    np.testing.assert_array_equal(log.embeddings["mert"], [[0.5, -1.25], [0.25, 0.75], [-0.5, 1.5]])
    assert log.sessions["context_local_time"].to_list() == [21.0, 7.5, 12.0]
    assert log.sessions["started_at"].dt.hour().to_list() == [20, 6, 11]
    assert log.sessions["mode"].to_list() == ["calm", "energize", "unspecified"]
    assert log.description.scales["valence"] == "mood: [1, 9] to [0, 1], linearly"


def test_writes_a_log_that_passes_its_own_check(folder):
    write_log(import_tabular(folder / "mapping.toml", folder), folder / "log")

    assert check_log(folder / "log") == []


BAD_FILES = [
    (
        "a column that the mapping names and the file lacks",
        ("mapping.toml", 'column = "mood"', 'column = "valence"'),
        Complaint(
            "plays.csv",
            None,
            "valence",
            "a column of that name, which the mapping's plays.valence names",
            "columns user, track, when, listened_ms, stars, mood, energy, goal",
        ),
    ),
    (
        "a value outside its scale",
        ("plays.csv", ",7,3,", ",10,3,"),
        Complaint("plays.csv", 2, "mood", "a number from 1 to 9", "10"),
    ),
    (
        "a word where a number belongs",
        ("plays.csv", ",7,3,", ",good,3,"),
        Complaint("plays.csv", 2, "mood", "a number", "'good'"),
    ),
    (
        "a number that is none",
        ("plays.csv", "180000,5", "nan,5"),
        Complaint("plays.csv", 0, "listened_ms", "a number", "'nan'"),
    ),
    (
        "a negative time heard",
        ("plays.csv", "180000,5", "-1,5"),
        Complaint("plays.csv", 0, "listened_ms", "a duration from 0", "-1"),
    ),
    (
        "an unreadable time",
        ("plays.csv", "2026-03-01 21:04:00", "yesterday"),
        Complaint("plays.csv", 1, "when", "a time (ISO 8601) that Europe/Vienna has once", "'yesterday'"),
    ),
    (
        "an hour that clocks skip",
        ("plays.csv", "2026-03-01 21:04:00", "2026-03-29 02:30:00"),
        Complaint(
            "plays.csv", 1, "when", "a time (ISO 8601) that Europe/Vienna has once", "'2026-03-29 02:30:00'"
        ),
    ),
    (
        "a mode that is not translated",
        ("plays.csv", "wake up", "party"),
        Complaint(
            "plays.csv",
            3,
            "goal",
            "one of unspecified, energize, focus, calm, sleep, wind down, wake up (the mapping's plays.mode)",
            "'party'",
        ),
    ),
    (
        "a play of an unknown song",
        ("plays.csv", "ann,t3", "ann,t9"),
        Complaint("plays.csv", 2, "track", "a song_id of songs.parquet", "'t9'"),
    ),
    (
        "a report with one half only",
        ("plays.csv", ",7,3,", ",7,,"),
        Complaint("plays.csv", 2, "energy", "a value where valence has one", "null"),
    ),
    (
        "an id with a space",
        ("tracks.csv", "t3,Low", "t 3,Low"),
        Complaint("tracks.csv", 2, "id", "an id of 1 to 128 characters from A-Z a-z 0-9 . _ : -", "'t 3'"),
    ),
    (
        "a song given twice",
        ("tracks.csv", "t2,Night", "t1,Night"),
        Complaint("tracks.csv", 1, "id", "an id that no earlier row has", "'t1'"),
    ),
    (
        "a number missing from an embedding",
        ("tracks.csv", "ambient,-0.5,1.5", "ambient,-0.5,"),
        Complaint("embeddings/mert.npy", 2, "1", "a finite number", "nan"),
    ),
    (
        "a prefix that no column has",
        ("mapping.toml", 'prefix = "mert_"', 'prefix = "clap_"'),
        Complaint(
            "tracks.csv",
            None,
            None,
            "columns beginning with 'clap_', which the mapping's embeddings.mert.prefix names",
            "columns id, name, by, length_ms, genres, mert_0, mert_1",
        ),
    ),
    (
        "a file that is not there",
        ("mapping.toml", 'file = "people.csv"', 'file = "users.csv"'),
        Complaint("users.csv", None, None, "a readable CSV or Parquet file", "no such file"),
    ),
]


@pytest.mark.parametrize(("change", "complaint"), [pytest.param(*case[1:], id=case[0]) for case in BAD_FILES])
def test_names_what_it_cannot_understand(folder, change, complaint):
    file, old, new = change
    edit(folder / file, old, new)

    assert complaint in complaints(folder)


def test_finds_faults_in_all_files_in_one_pass(folder):
    edit(folder / "plays.csv", ",7,3,", ",10,30,")
    edit(folder / "tracks.csv", "length_ms", "duration")
    edit(folder / "people.csv", "clinic", "hospital")

    assert {(c.file, c.column) for c in complaints(folder)} == {
        ("plays.csv", "mood"),
        ("plays.csv", "energy"),
        ("tracks.csv", "length_ms"),
        ("people.csv", "group"),
    }


@pytest.mark.parametrize(
    ("old", "new", "key", "message"),
    [
        ('title = "name"', 'titel = "name"', "songs.titel", "Extra inputs are not permitted"),
        ("low = 1, high = 9", "low = 9, high = 1", "plays.valence", "expected low < high, got 9.0 and 1.0"),
        ('zone = "Europe/Vienna" }', 'zone = "Vienna" }', "plays.played_at.zone", "expected a time zone such as"),
        ("gap_minutes = 30", "gap_minutes = 0", "sessions.plays.gap_minutes", "greater than 0"),
        ("gap_minutes = 30", "", None, "expected either plays.session or sessions.gap_minutes"),
        ('consent = { column = "agreed", yes = ["Y"] }', "", "listeners.consent", "Field required"),
        ('duration = { column = "length_ms", unit = "milliseconds" }', "", None, "expected songs.duration"),
        ("like_from = 4", "like_from = 2", "plays.rating.number", "expected dislike_to < like_from"),
        ('name = "our-app"', "name = our-app", None, "Invalid value (at line 1"),
    ],
)
def test_names_the_key_of_a_mapping_that_contradicts_itself(folder, old, new, key, message):
    edit(folder / "mapping.toml", old, new)

    (found, *_) = complaints(folder)
    assert (found.file, found.row, found.column) == ("mapping.toml", None, key)
    assert message in f"{found.expected} {found.found}"


SESSIONS_MAPPING = """
name = "with-sessions"
[songs]
file = "songs.parquet"
song = "id"
[listeners]
consent = true
population = "consumer"
[plays]
file = "plays.parquet"
song = "song"
session = "session"
position = "n"
engagement = "fraction"
rating = { column = "thumb", like = ["up"], dislike = ["down"], neither = ["none"] }
[sessions]
file = "sessions.parquet"
session = "id"
listener = "who"
started_at = { column = "start", unix = "milliseconds" }
ended_at = { column = "end" }
before_valence = { column = "v", low = -1, high = 1 }
before_arousal = { column = "a", low = -1, high = 1 }
[context.weather]
kind = "category"
column = "sky"
values = ["clear", "grey"]
[embeddings.plain]
file = "plain.npy"
source = "invented"
licence = "CC0-1.0"
"""


@pytest.fixture
def typed(tmp_path: Path) -> Path:
    """Parquet files, with sessions of their own and embeddings as a matrix."""
    (tmp_path / "mapping.toml").write_text(SESSIONS_MAPPING)
    pl.DataFrame({"id": [7, 8]}).write_parquet(tmp_path / "songs.parquet")
    pl.DataFrame(
        {
            "id": ["s1", "s2"],
            "who": [31, 30],
            "start": [1_772_395_200_000, 1_772_395_200_500],
            "end": ["2026-03-01T22:00:00+01:00", None],
            "v": [-1.0, None],
            "a": [0.5, None],
            "sky": ["grey", None],
        }
    ).write_parquet(tmp_path / "sessions.parquet")
    pl.DataFrame(
        {
            "session": ["s1", "s1", "s1"],
            "song": [8, 7, 8],
            "n": [30, 10, 20],
            "fraction": [0.5, 1.0, None],
            "thumb": ["up", "none", "down"],
        }
    ).write_parquet(tmp_path / "plays.parquet")
    np.save(tmp_path / "plain.npy", np.eye(2))
    return tmp_path


def test_reads_sessions_of_their_own_and_typed_columns(typed):
    log = import_tabular(typed / "mapping.toml", typed)

    assert log.listeners.rows() == [("31", "consumer", True), ("30", "consumer", True)]
    assert log.plays.select("song_id", "position", "engagement", "rating").rows() == [
        ("7", 0, 1.0, None),
        ("8", 1, None, 0),
        ("8", 2, 0.5, 1),
    ]
    session = log.sessions.row(0, named=True)
    assert session["started_at"].isoformat() == "2026-03-01T20:00:00+00:00"
    assert session["ended_at"].isoformat() == "2026-03-01T21:00:00+00:00"
    assert (session["before_valence"], session["before_arousal"]) == (0.0, 0.75)
    assert session["context_weather"] == 1.0
    assert log.embeddings["plain"].dtype == np.float32


def test_refuses_two_plays_in_one_place(typed):
    plays = pl.read_parquet(typed / "plays.parquet").with_columns(n=pl.lit(10))
    plays.write_parquet(typed / "plays.parquet")

    assert [(c.row, c.column, c.expected) for c in complaints(typed)] == [
        (row, "n", "a position that no earlier play of the session has") for row in (1, 2)
    ]


@pytest.mark.parametrize(
    ("matrix", "found"),
    [
        (np.zeros(4), "shape (4,), float64"),
        (np.zeros((2, 2), int), "shape (2, 2), int64"),
        (np.full((2, 2), None), "Python objects"),
    ],
)
def test_refuses_an_array_that_is_no_matrix_of_numbers(typed, matrix, found):
    np.save(typed / "plain.npy", matrix, allow_pickle=True)

    (complaint,) = complaints(typed)
    assert complaint.file == "plain.npy"
    assert found in complaint.found


def test_refuses_a_matrix_with_a_row_too_many(typed):
    np.save(typed / "plain.npy", np.zeros((3, 2)))

    (complaint,) = complaints(typed)
    assert complaint.expected == "2 rows, one per song, of 2 numbers"


def with_reports_in_plays(folder: Path) -> None:
    """Make the worked example tell the session's report before listening in its plays."""
    edit(
        folder / "mapping.toml",
        "gap_minutes = 30",
        'gap_minutes = 30\nbefore_valence = { column = "mood", low = 1, high = 9 }\n'
        'before_arousal = { column = "energy", low = 1, high = 9 }',
    )


def test_takes_a_report_from_whichever_play_of_the_session_tells_it(folder):
    with_reports_in_plays(folder)
    log = import_tabular(folder / "mapping.toml", folder)

    assert log.sessions["before_valence"].to_list() == [0.75, None, 0.5]


def test_refuses_plays_that_disagree_about_their_session(folder):
    with_reports_in_plays(folder)
    edit(folder / "plays.csv", "60000,2,,", "60000,2,9,3")

    assert Complaint("plays.csv", 2, "mood", "the same value in all plays of a session", "0.75") in complaints(
        folder
    )


def test_refuses_a_session_that_two_listeners_share(folder):
    edit(folder / "mapping.toml", "[sessions]\ngap_minutes = 30", "")
    edit(folder / "mapping.toml", 'song = "track"', 'song = "track"\nsession = "goal"')
    edit(folder / "plays.csv", "5,5,", "5,5,calm")
    edit(folder / "plays.csv", "wind down", "calm")
    edit(folder / "plays.csv", "wake up", "sleep")

    assert complaints(folder) == [
        Complaint("plays.csv", 4, "user", "the same value in all plays of a session", "'ben'")
    ]


def test_keeps_leading_zeros_and_reads_other_separators_and_marks_of_absence(folder):
    for file in ("plays.csv", "tracks.csv", "people.csv"):
        text = (folder / file).read_text().replace(";", "/").replace(",", ";").replace("t1", "001")
        (folder / file).write_text(text.replace(";;", ";-;"))
    edit(folder / "mapping.toml", 'name = "our-app"', 'name = "our-app"\nseparator = ";"\nabsent = ["-"]')
    edit(folder / "mapping.toml", 'separator = ";" }', 'separator = "/" }')

    log = import_tabular(folder / "mapping.toml", folder)
    assert log.songs["song_id"].to_list() == ["001", "t2", "t3"]
    assert log.plays["valence"].to_list() == [None, None, 0.75, None, 0.5]
