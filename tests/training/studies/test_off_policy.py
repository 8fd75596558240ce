"""Real listeners are judged by models that never saw them, and several seeds are one policy."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from models.log import Log, write_log
from tests.training import small_run
from tests.training.studies import hasty
from training.judges.off_policy import drawn_plays
from training.studies.cache import plain_records
from training.studies.cells import Cell
from training.studies.off_policy import FOLDS, OffPolicy, folds_of, moment_of, outcomes_at, pooled
from training.studies.policy_runs import RANDOM
from training.studies.scales import Scale

SCALE = Scale(name="tiny", preset=hasty.PRESET, splits=2, seeds=2)
CELL = Cell(study="off_policy", settings=(("fold", 1), ("seed", 0)))
SONGS = 200


@pytest.fixture(scope="module")
def log() -> Log:
    """The small log as if it were real, and every song that is new to its listener had been drawn."""
    invented = small_run.material().log
    owned = invented.plays.join(
        invented.sessions.select("session_id", "listener_id"), on="session_id", maintain_order="left"
    )
    new = pl.struct("listener_id", "song_id").is_first_distinct()
    before = (new.cast(pl.Int64).cum_sum() - new.cast(pl.Int64)).over("listener_id")
    chance = owned.select(pl.when(new).then(1 / (SONGS - before)).cast(pl.Float32).alias("propensity"))
    return replace(
        invented,
        description=invented.description.model_copy(update={"simulated": False}),
        plays=invented.plays.with_columns(chance["propensity"]),
    )


@pytest.fixture(scope="module")
def folder(log, tmp_path_factory) -> Path:
    place = tmp_path_factory.mktemp("drawn") / "log"
    write_log(log, place)
    return place


def test_every_listener_is_in_one_fold_and_draws_are_dealt_evenly(log):
    drawn = drawn_plays(log)
    folds = folds_of(log, drawn)

    np.testing.assert_array_equal(np.sort(np.concatenate(folds)), np.arange(60))
    assert len(folds) == FOLDS
    assert {len(fold) for fold in folds} == {12}


def test_a_moment_ends_just_before_the_drawn_song(log):
    material = small_run.material()
    drawn = drawn_plays(log).take(np.arange(40))

    moment = moment_of(material, small_run.world(), drawn, lookback=32)

    heard = np.diff(moment.listening.play_start[moment.listening.session_start])
    first_play = material.listening.play_start[material.listening.session_start]
    np.testing.assert_array_equal(heard, drawn.play - first_play[drawn.listener])


def test_outcomes_are_those_of_the_drawn_plays(log):
    material, drawn = small_run.material(), drawn_plays(log)

    outcome = outcomes_at(material, drawn)

    np.testing.assert_allclose(outcome[:, 0], material.listening.engagement[drawn.play])
    np.testing.assert_allclose(outcome[:, 1], material.listening.rating[drawn.play])


def test_a_cell_tells_of_its_folds_draws_and_the_tables_estimate(log, folder):
    study = OffPolicy()
    records = study.run(CELL, folder, SCALE, lambda _: None)
    drawn = drawn_plays(log)
    fold = folds_of(log, drawn)[1]

    plain_records(CELL, records)  # refuses NaN
    assert {row["listener"] for row in records["draws"]} == set(fold.tolist())
    uniform, outcome, _ = pooled([(CELL, records)], RANDOM)
    assert uniform.weight == pytest.approx(np.ones(len(outcome)), rel=1e-5)

    estimates, draws = study.tables([(CELL, records)])
    first = dict(zip(estimates.header, estimates.rows[0], strict=True))
    assert (first["policy"], first["signal"], first["over Random"]) == (RANDOM, "engagement", None)
    assert first["weighted"].startswith(f"{np.nanmean(outcome[:, 0]):.3f}")
    assert {row[9] for row in estimates.rows if row[0] == "Greedy"} != {None}
    assert dict(draws.rows)["draws"] == str(len(drawn.play))


def test_two_seeds_are_one_policy_that_draws_its_seed():
    """Weights 1 and 3: their mean is 2, and the song's prediction leans to the heavier, (.2 + 3 · .4) / 4."""

    def run(weight, predicted):
        signals = ("engagement", "rating", "valence", "arousal")
        return {
            "draws": [{"play": 7, "listener": 3, **dict.fromkeys(signals, 0.5)}],
            "choices": [
                {
                    "policy": RANDOM,
                    "play": 7,
                    "weight": weight,
                    **{f"direct_{name}": predicted for name in signals},
                    **{f"predicted_{name}": predicted for name in signals},
                }
            ],
        }

    choices, outcome, listener = pooled([(CELL, run(1.0, 0.2)), (CELL, run(3.0, 0.4))], RANDOM)

    assert choices.weight == pytest.approx([2.0])
    assert choices.direct == pytest.approx(np.full((1, 4), 0.3))
    assert choices.predicted == pytest.approx(np.full((1, 4), 0.35))
    assert (outcome.shape, listener.tolist()) == ((1, 4), [3])


def test_simulated_logs_are_refused_in_words(log):
    assert "no propensity" in OffPolicy().refuses(small_run.material().log.description)
    assert OffPolicy().refuses(log.description) is None
