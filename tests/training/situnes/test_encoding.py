"""An encoding knows what came before a row, and never what the row's own listener said of it."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from training.situnes.benchmark import Benchmark, Setting, read_benchmark
from training.situnes.encoding import (
    ENCODING,
    EncodingConfig,
    HistoryEncoding,
    Sight,
    encode_crosswise,
    fit_encoding,
    probe_songs,
)

SIGHT = Sight(situation=True, before=True)
BRIEF: EncodingConfig = replace(
    ENCODING, members=1, probes=3, training=replace(ENCODING.training, epochs=2, learning_rate=1e-2)
)


@pytest.fixture(scope="module")
def life(invented: Path) -> Benchmark:
    return read_benchmark(invented, Setting.LIFE, 101)


@pytest.fixture(scope="module")
def encoding(life: Benchmark) -> HistoryEncoding:
    return fit_encoding(life.train, life.songs, SIGHT, BRIEF, seed=1)


def test_expects_three_signals_of_the_song_and_of_every_probe(life: Benchmark, encoding: HistoryEncoding):
    encoded = encoding.encode(life.test, life.train)

    assert encoded.expected.shape == (len(life.test), 3)
    assert encoded.outlook.shape == (len(life.test), 3 * len(probe_songs(life.songs, 3)))
    assert np.isfinite(encoded.expected).all()


def test_what_was_said_of_a_row_does_not_enter_its_encoding(life: Benchmark, encoding: HistoryEncoding):
    changed = replace(life.test, rating=6 - life.test.rating, after=-life.test.after)

    told, retold = (encoding.encode(rows, life.train) for rows in (life.test, changed))

    assert np.array_equal(told.expected, retold.expected)
    assert np.array_equal(told.outlook, retold.outlook)


def test_only_the_past_of_the_same_listener_enters(life: Benchmark, encoding: HistoryEncoding):
    row = life.test.take(np.array([0]))
    past = (life.train.user == row.user) & (life.train.started_at < row.started_at)
    assert past.any()

    told = encoding.encode(row, life.train).outlook
    alone = encoding.encode(row, life.train.take(np.flatnonzero(past))).outlook
    changed = replace(life.train, rating=np.where(past, 6 - life.train.rating, life.train.rating))

    assert np.array_equal(told, alone)
    assert not np.array_equal(told, encoding.encode(row, changed).outlook)


@pytest.mark.parametrize("seen", ["situation", "before"])
def test_what_a_task_may_not_see_changes_nothing(life: Benchmark, seen: str):
    blind = replace(SIGHT, **{seen: False})
    hidden = {"situation": "situation", "before": "before"}[seen]
    encoding = fit_encoding(life.train, life.songs, blind, BRIEF, seed=1)
    shifted = replace(life.test, **{hidden: np.clip(getattr(life.test, hidden) + 0.3, -1, 1)})

    assert np.array_equal(
        encoding.encode(life.test, life.train).outlook, encoding.encode(shifted, life.train).outlook
    )


def test_known_rows_are_encoded_by_models_of_other_listeners(life: Benchmark):
    """One listener's ratings turned round change nobody's world model but the others'."""
    mine = life.train.user == 1
    turned = replace(life.train, rating=np.where(mine, 6 - life.train.rating, life.train.rating))

    told, retold = (encode_crosswise(rows, life.songs, SIGHT, BRIEF, seed=1) for rows in (life.train, turned))

    first = np.flatnonzero(mine)[np.argmin(life.train.started_at[mine])]  # before anything was said
    assert np.allclose(told.outlook[first], retold.outlook[first])
    assert not np.allclose(told.outlook[~mine], retold.outlook[~mine])


def test_the_same_seed_gives_the_same_encoding(life: Benchmark, encoding: HistoryEncoding):
    again = fit_encoding(life.train, life.songs, SIGHT, BRIEF, seed=1)

    assert np.array_equal(
        encoding.encode(life.test, life.train).expected, again.encode(life.test, life.train).expected
    )
