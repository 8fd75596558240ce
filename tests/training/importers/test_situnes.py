"""SiTunes arrives whole: every row of the three stages is a play, on our scales, under its own identity."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from models.errors import DataError
from models.log import Log, check_log, read_log, write_log
from training.importers.situnes import ACTIVITIES, import_situnes

needs_situnes = pytest.mark.skipif(
    "AMRS_SITUNES_DIR" not in os.environ, reason="AMRS_SITUNES_DIR does not name a copy of SiTunes"
)


@pytest.fixture(scope="module")
def folder() -> Path:
    return Path(os.environ["AMRS_SITUNES_DIR"])


@pytest.fixture(scope="module")
def log(folder: Path) -> Log:
    return import_situnes(folder)


@needs_situnes
def test_keeps_every_interaction_listener_and_song(log):
    assert len(log.plays) == 2006
    assert len(log.listeners) == 30
    assert len(log.songs) == 946
    assert log.plays["song_id"].n_unique() == 307
    assert log.sessions["session_id"].str.slice(0, 6).value_counts().sort("session_id").rows() == [
        ("stage1", 30),
        ("stage2", 897),
        ("stage3", 509),
    ]


@needs_situnes
def test_gives_every_play_its_report_and_every_daily_session_the_one_before(log):
    assert log.plays.select("valence", "arousal", "rating").null_count().row(0) == (0, 0, 0)
    daily = log.sessions.filter(~pl.col("session_id").str.starts_with("stage1"))
    assert daily.select("before_valence", "before_arousal").null_count().row(0) == (0, 0)
    assert log.sessions["after_valence"].is_null().all()


@needs_situnes
def test_converts_the_first_record_of_stage_2_by_hand(log):
    """Pre (0.35, -0.4575) and post (-0.27406, 0.14984) on [-1, 1]; rating 1; 2021-07-01 09:42:26 in China."""
    session = log.sessions.row(by_predicate=pl.col("session_id") == "stage2-inter-1", named=True)
    play = log.plays.row(by_predicate=pl.col("session_id") == "stage2-inter-1", named=True)

    assert session["listener_id"] == "user-1"
    assert session["before_valence"] == pytest.approx(0.675)
    assert session["before_arousal"] == pytest.approx(0.27125)
    assert session["context_local_time"] == pytest.approx(9 + 42 / 60 + 26 / 3600)
    assert (session["context_day_part"], session["context_weather"]) == (0, 2)
    assert (session["context_pressure"], session["context_temperature"], session["context_humidity"]) == (
        996,
        22,
        83,
    )
    assert play["song_id"] == "song-529"
    assert play["valence"] == pytest.approx(0.3629681)
    assert play["arousal"] == pytest.approx(0.5749193)
    assert play["rating"] == 0
    assert play["engagement"] is None


@needs_situnes
def test_measures_engagement_only_where_a_whole_song_was_offered(log):
    by_stage = log.plays.group_by(pl.col("session_id").str.slice(0, 6).alias("stage")).agg(
        pl.col("engagement").count().alias("known"), pl.col("engagement").median().alias("median")
    )
    known = {stage: (count, median) for stage, count, median in by_stage.iter_rows()}

    assert known["stage1"][0] == 0
    assert known["stage2"] == (764, pytest.approx(0.87, abs=0.005))
    assert known["stage3"] == (509, 1.0)


@needs_situnes
def test_finds_the_walkers_whose_ratings_are_low(log):
    """Of the records whose main activity was walking, 63% (Stage 2) and 81% (Stage 3) were rated under 3."""
    walking = log.plays.join(log.sessions, on="session_id").filter(
        pl.col("context_activity") == ACTIVITIES.index("walking")
    )
    dislikes = {
        stage: 1 - walking.filter(pl.col("session_id").str.starts_with(stage))["rating"].mean()
        for stage in ("stage2", "stage3")
    }

    assert dislikes == {"stage2": pytest.approx(0.63, abs=0.005), "stage3": pytest.approx(0.81, abs=0.005)}


@needs_situnes
def test_takes_the_weather_of_stage_3_from_its_own_file(log, folder):
    known = json.loads((folder / "Stage3" / "env.json").read_text())
    daily = log.sessions.filter(pl.col("session_id").str.starts_with("stage3"))
    temperatures = {row[0]: row[1] for row in daily.select("session_id", "context_temperature").iter_rows()}

    assert temperatures == {f"stage3-inter-{record}": fact["weather"][2] for record, fact in known.items()}


@needs_situnes
def test_orders_stage_1_as_it_was_heard(log):
    first = log.plays.filter(pl.col("session_id") == "stage1-user-1")

    assert first["position"].to_list() == list(range(20))
    assert first["played_at"].is_sorted()


@needs_situnes
def test_embeds_every_song_at_a_common_scale(log):
    vectors = log.embeddings["situnes"]

    assert vectors.shape == (946, 42)
    assert np.abs(vectors).max() <= 4.0
    np.testing.assert_allclose(vectors[:, :17].mean(axis=0), 0, atol=0.05)
    unnamed = log.songs["song_id"].to_list().index("song--1")
    assert not vectors[unnamed, :9].any()
    assert not vectors[unnamed, 17:29].any()


@needs_situnes
def test_knows_the_propensity_of_stage_3s_random_rows_and_of_no_other(log, folder):
    raw = pl.read_csv(folder / "Stage3/interactions.csv").filter(pl.col("rec_type") == "Random")
    known = log.plays.filter(pl.col("propensity").is_not_null())

    assert set(known["session_id"]) == {f"stage3-inter-{record}" for record in raw["inter_id"]}


@needs_situnes
def test_a_propensity_is_one_over_the_songs_that_the_listener_had_not_heard(log):
    owned = log.plays.join(log.sessions.select("session_id", "listener_id"), on="session_id")
    for play in owned.filter(pl.col("propensity").is_not_null()).iter_rows(named=True):
        earlier = owned.filter(
            (pl.col("listener_id") == play["listener_id"]) & (pl.col("played_at") < play["played_at"])
        )

        assert 1 / play["propensity"] == pytest.approx(946 - earlier["song_id"].n_unique(), rel=1e-6)
        assert play["song_id"] not in earlier["song_id"]


@needs_situnes
def test_stage_3_draws_as_often_the_same_song_as_uniform_draws_would(log):
    """Among the 163 draws 15 pairs are the same song; 15.1 ± 3.9 would be among 875, the mean of the new songs."""
    drawn = log.plays.filter(pl.col("propensity").is_not_null())["song_id"].value_counts()["count"].to_numpy()

    pairs, expected = int((drawn * (drawn - 1) // 2).sum()), 163 * 162 / 2 / 875
    assert pairs == 15
    assert abs(pairs - expected) < 2 * expected**0.5


@needs_situnes
def test_stage_2_draws_from_the_listeners_own_songs_of_the_laboratory_and_not_evenly(folder, rng):
    """250 of 259; the spread of their counts is wider than in 99% of uniform draws without repetition."""
    lab = pl.read_csv(folder / "Stage1/interactions.csv").select("user_id", "item_id")
    rows = pl.read_csv(folder / "Stage2/interactions.csv").filter(pl.col("rec_type") == "Rand")
    own = rows.select("user_id", "item_id").join(lab, on=["user_id", "item_id"], how="semi")
    songs = {user: group["item_id"].to_numpy() for (user,), group in lab.group_by("user_id")}
    drawn = dict(own["user_id"].value_counts().sort("user_id").iter_rows())
    place = {song: number for number, song in enumerate(sorted(set(lab["item_id"])))}

    def unevenness(counts):
        return float(((counts - expected) ** 2 / expected).sum())

    expected = np.zeros(len(place))
    for user, count in drawn.items():
        expected[[place[song] for song in songs[user]]] += count / 20
    uniform = []
    for _ in range(1000):
        counts = np.zeros(len(place))
        for user, count in drawn.items():
            counts[[place[song] for song in rng.choice(songs[user], count, replace=False)]] += 1
        uniform.append(unevenness(counts))
    found = np.bincount([place[song] for song in own["item_id"]], minlength=len(place))

    assert (len(own), len(rows)) == (250, 259)
    assert unevenness(found) > np.quantile(uniform, 0.99)


@needs_situnes
def test_writes_a_log_that_passes_its_own_check(log, tmp_path):
    write_log(log, tmp_path / "log")

    assert check_log(tmp_path / "log") == []
    assert read_log(tmp_path / "log").digest() == log.digest()


@needs_situnes
@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("Stage1/interactions.csv", b"user_id,item_id\n1,2\n", "expected column No. in .*Stage1"),
        ("Stage2/env.json", b"{}", "env.json to tell time and weather of all 897 records"),
        ("Stage3/wrist.npy", b"not an array", "wrist.npy to be a NumPy array"),
        ("music_metadata/music_info.csv", None, "music_info.csv to be a CSV file"),
    ],
)
def test_names_the_file_that_is_not_as_published(folder, tmp_path, file, content, message):
    copy = tmp_path / "situnes"
    shutil.copytree(folder, copy, ignore=shutil.ignore_patterns("published_splits"), copy_function=shutil.copyfile)
    (copy / file).chmod(0o644)
    (copy / file).unlink()
    if content is not None:
        (copy / file).write_bytes(content)

    with pytest.raises(DataError, match=message):
        import_situnes(copy)
