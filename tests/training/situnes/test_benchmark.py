"""The benchmark is read as published, and the defects of Setting 3 are read for what they are."""

import gzip
from pathlib import Path

import numpy as np
import pytest

from models.errors import ConfigError, DataError
from tests.training.situnes.invented import invent_situnes
from training.situnes.benchmark import (
    ENVIRONMENT,
    METADATA,
    SEEDS,
    SITUATION,
    Mood,
    Setting,
    read_benchmark,
    read_songs,
)


@pytest.mark.parametrize(("setting", "sizes"), [(1, (480, 120, 195)), (2, (613, 87, 195)), (3, (613, 87, 509))])
def test_parts_have_their_published_sizes(published: Path, setting: int, sizes: tuple[int, int, int]):
    read = read_benchmark(published, Setting(setting), 101)

    assert (len(read.train), len(read.valid), len(read.test)) == sizes


def test_labels_of_the_published_test_of_setting_3(published: Path):
    test = read_benchmark(published, Setting.LIFE_TO_LATER, 110).test

    assert test.liked.mean() == pytest.approx(0.778, abs=5e-4)
    assert np.bincount(test.mood, minlength=len(Mood)).tolist() == [114, 237, 158]


def test_setting_1_is_judged_on_setting_2s_test(invented: Path):
    laboratory, life = (read_benchmark(invented, Setting(each), 101) for each in (1, 2))

    assert np.array_equal(laboratory.test.started_at, life.test.started_at)
    assert np.isnan(laboratory.train.situation).all()
    assert np.isnan(laboratory.train.before).all()


def test_settings_2_and_3_learn_from_the_same_rows(invented: Path):
    life, later = (read_benchmark(invented, Setting(each), 101) for each in (2, 3))

    assert np.array_equal(life.train.situation, later.train.situation)
    assert not np.array_equal(life.test.started_at, later.test.started_at)


def test_arousal_is_found_where_the_header_calls_it_valence_again(invented: Path):
    """In the invented law arousal after the song is 0.7 of arousal before."""
    test = read_benchmark(invented, Setting.LIFE_TO_LATER, 101).test

    assert np.allclose(test.after[:, 1], 0.7 * test.before[:, 1])


def test_a_corrected_test_has_stage_3s_environment_and_the_same_wrist(invented: Path):
    published, corrected = (
        read_benchmark(invented, Setting.LIFE_TO_LATER, 101, corrected=each).test.situation
        for each in (False, True)
    )

    assert (published[:, : len(ENVIRONMENT)] == 0).all()
    assert (corrected[:, :3].sum(axis=1) == 1).all()
    assert (corrected[:, 3:6].sum(axis=1) == 1).all()
    assert np.array_equal(published[:, len(ENVIRONMENT) :], corrected[:, len(ENVIRONMENT) :])


def test_every_situation_column_stands_under_its_own_name(invented: Path):
    """The files order their columns otherwise than we do."""
    situation = read_benchmark(invented, Setting.LIFE, 101).train.situation

    assert set(np.unique(situation[:, SITUATION.index("walking")])) == {0.0, 1.0}
    assert (
        situation[:, [SITUATION.index(name) for name in ("morning", "afternoon", "evening")]].sum(1) == 1
    ).all()


def test_a_cut_belongs_to_the_class_below_it(invented: Path):
    rows = read_benchmark(invented, Setting.LIFE, 101).train.take(np.arange(4))
    rows.before[:], rows.after[:, 0] = 0.0, [-0.125, -0.124, 0.125, 0.126]

    assert rows.mood.tolist() == [Mood.DROP, Mood.KEEP, Mood.KEEP, Mood.LIFT]


def test_the_laboratory_has_no_change_of_mood(invented: Path):
    with pytest.raises(DataError, match="report before every song"):
        _ = read_benchmark(invented, Setting.LABORATORY_TO_LIFE, 101).train.mood


def test_songs_have_standard_numbers_and_one_key_and_genre_each(invented: Path):
    songs = read_songs(invented)
    numbers = [place for place, name in enumerate(METADATA) if not name.startswith(("key_", "genre_"))]

    assert np.allclose(songs.metadata[:, numbers].mean(axis=0), 0, atol=0.05)
    assert songs.metadata.sum(axis=1) - songs.metadata[:, numbers].sum(axis=1) == pytest.approx(2)


def test_a_seed_that_was_not_published_is_refused(invented: Path):
    with pytest.raises(ConfigError, match=f"{SEEDS[0]} to {SEEDS[-1]}; got 7"):
        read_benchmark(invented, Setting.LIFE, 7)


def test_a_missing_file_is_named(tmp_path: Path):
    with pytest.raises(DataError, match=r"setting1\.item"):
        read_benchmark(tmp_path, Setting.LIFE, 101)


def test_a_missing_column_and_a_missing_number_are_named(tmp_path: Path):
    folder = invent_situnes(tmp_path / "data")
    path = folder / "published_splits" / "setting2-101.train.inter.gz"
    text = gzip.decompress(path.read_bytes()).decode()

    path.write_bytes(gzip.compress(text.replace("walking:float", "strolling:float").encode()))
    with pytest.raises(DataError, match=r"column walking:float in setting2-101\.train"):
        read_benchmark(folder, Setting.LIFE, 101)

    lines = text.splitlines()
    lines[3] = "\t".join(["", *lines[3].split("\t")[1:]])
    path.write_bytes(gzip.compress("\n".join(lines).encode()))
    with pytest.raises(DataError, match=r"row 2 of setting2-101\.train, column user_id:token"):
        read_benchmark(folder, Setting.LIFE, 101)
