"""Training is one seed, one run: it learns a law, keeps its best epoch, and its loss curve is on record."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose

from models.affect import Signal
from models.errors import ConfigError, DataError
from tests.training.invented import NAMES, invent_histories
from training.benchmark import measure_training_speed
from training.metrics.prediction import mean_ranks, prediction_scores
from training.networks.encoder import EncoderConfig
from training.networks.reading import ReadingConfig
from training.networks.world import WorldModelConfig
from training.prediction import predict_histories
from training.references import listener_mean, persistence
from training.splits import Split, split_listeners
from training.world_model import (
    LabelStatistics,
    TrainedWorldModel,
    WorldPreset,
    WorldTrainingConfig,
    draw_bootstrap,
    ensemble_bootstraps,
    train_ensemble,
    train_world_model,
)

HISTORIES = invent_histories(60)
SPLIT = split_listeners(np.arange(60), np.random.default_rng(0))
ARCHITECTURE = WorldModelConfig(encoder=EncoderConfig(width=16, blocks=1, heads=2, dropout=0.1), hidden=16)
CONFIG = WorldTrainingConfig(lookback=16, epochs=4, batch_size=8, learning_rate=3e-3)
PRESET = WorldPreset(
    reading=ReadingConfig(), architecture=ARCHITECTURE, training=replace(CONFIG, epochs=1), member_count=2
)
CURVE = Path(__file__).with_name("world_model_curve.txt")


def train(seed: int = 0) -> TrainedWorldModel:
    return train_world_model(
        HISTORIES,
        SPLIT,
        feature_names=NAMES,
        architecture=ARCHITECTURE,
        config=CONFIG,
        rng=np.random.default_rng(seed),
    )


@pytest.fixture(scope="module")
def trained() -> TrainedWorldModel:
    return train()


def test_the_loss_curve_is_the_one_on_record(trained: TrainedWorldModel):
    """A commit that moves the curve says why, and writes the new one down."""
    recorded = np.loadtxt(CURVE)

    assert_allclose([epoch.losses for epoch in trained.epochs], recorded, rtol=2e-3)


def test_the_same_seed_gives_the_same_weights(trained: TrainedWorldModel):
    again = train().model.state_dict()

    assert all(torch.equal(value, again[name]) for name, value in trained.model.state_dict().items())


def test_another_seed_gives_other_weights(trained: TrainedWorldModel):
    assert not torch.equal(train(seed=1).model.encoder.begin, trained.model.encoder.begin)


def test_training_leaves_the_randomness_and_threads_of_others_alone():
    torch.manual_seed(7)
    expected = torch.rand(1)
    torch.manual_seed(7)
    threads = torch.get_num_threads()
    train()

    assert torch.equal(torch.rand(1), expected)
    assert torch.get_num_threads() == threads


def test_the_epoch_of_the_best_mean_rank_is_kept(trained: TrainedWorldModel):
    ranks = mean_ranks(np.array([epoch.validation.losses for epoch in trained.epochs]))
    rows = HISTORIES.tokens_of(SPLIT.validation)
    predicted = predict_histories([trained.model], HISTORIES, SPLIT.validation, lookback=CONFIG.lookback)[0]

    assert trained.kept == ranks.argmin()
    assert prediction_scores(predicted[rows], HISTORIES.targets[rows]) == trained.epochs[trained.kept].validation


def test_it_beats_persistence_and_the_listener_mean_on_strangers(trained: TrainedWorldModel):
    rows = HISTORIES.tokens_of(SPLIT.test)

    def error(predicted: np.ndarray) -> float:
        scores = prediction_scores(predicted[rows], HISTORIES.targets[rows])
        return scores.mean_squared_error[Signal.VALENCE]

    model = error(predict_histories([trained.model], HISTORIES, SPLIT.test, lookback=CONFIG.lookback)[0])
    assert model < error(persistence(HISTORIES, SPLIT.train))
    assert model < error(listener_mean(HISTORIES, SPLIT.train))


def test_it_can_learn_a_tiny_log_by_heart():
    """Without dropout, noise and all: what is left of the label's variance falls below a tenth."""
    histories, everybody = invent_histories(4), np.arange(4)
    learned = train_world_model(
        histories,
        Split(train=everybody, validation=everybody, test=everybody),
        feature_names=NAMES,
        architecture=WorldModelConfig(encoder=EncoderConfig(width=32, dropout=0.0), hidden=64),
        config=WorldTrainingConfig(lookback=64, epochs=150, batch_size=4, learning_rate=5e-3, weight_decay=0.0),
        rng=np.random.default_rng(0),
    )

    assert learned.epochs[-1].validation.r_squared[Signal.ENGAGEMENT] > 0.9
    assert learned.epochs[-1].validation.rating_auc == 1.0


def test_members_are_the_same_in_one_process_and_in_two():
    here, elsewhere = (
        train_ensemble(HISTORIES, SPLIT, feature_names=NAMES, preset=PRESET, seed=5, processes=processes)
        for processes in (1, 2)
    )

    for one, other in zip(here, elsewhere, strict=True):
        weights = other.model.state_dict()
        assert all(torch.equal(value, weights[name]) for name, value in one.model.state_dict().items())


def test_members_differ():
    one, other = train_ensemble(HISTORIES, SPLIT, feature_names=NAMES, preset=PRESET, seed=5)

    assert not torch.equal(one.model.linear.summary, other.model.linear.summary)
    assert not torch.equal(one.model.encoder.begin, other.model.encoder.begin)


def test_a_member_is_chosen_by_training_listeners_it_was_not_fitted_to():
    """So validation listeners are strangers to an ensemble, and may calibrate its intervals."""
    split = split_listeners(np.arange(100), np.random.default_rng(0))

    bootstrap = draw_bootstrap(split, np.random.default_rng(1))

    assert len(bootstrap.drawn) == len(split.train)
    assert len(bootstrap.judges) == len(split.validation)
    parts = [set(bootstrap.drawn), set(bootstrap.judges), set(bootstrap.strangers)]
    assert set.union(*parts) == set(split.train)
    assert sum(map(len, parts)) == len(split.train)
    assert bootstrap.judged(split).validation is bootstrap.judges


def test_where_a_bootstrap_leaves_nobody_out_validation_listeners_choose():
    split = Split(train=np.array([4]), validation=np.array([1]), test=np.array([2]))

    assert draw_bootstrap(split, np.random.default_rng(1)).judged(split) is split


def test_the_bootstraps_of_an_ensemble_can_be_drawn_again():
    split = split_listeners(np.arange(100), np.random.default_rng(0))

    first, again = (ensemble_bootstraps(split, seed=3, member_count=2) for _ in range(2))

    assert [each.drawn.tolist() for each in first] == [each.drawn.tolist() for each in again]
    assert first[0].drawn.tolist() != first[1].drawn.tolist()


def test_progress_is_told_in_tokens():
    told: list[int] = []
    train_ensemble(
        HISTORIES, SPLIT, feature_names=NAMES, preset=replace(PRESET, member_count=1), seed=0, advance=told.append
    )

    assert len(told) > 1
    assert sum(told) > 0


def test_the_rate_rises_then_falls_to_nothing():
    config = WorldTrainingConfig(epochs=10, learning_rate=1.0, warmup=0.1)

    assert config.rate(0.5) == pytest.approx(0.5)
    assert config.rate(1.0) == pytest.approx(1.0)
    assert config.rate(5.5) == pytest.approx(0.5)
    assert config.rate(10.0) == pytest.approx(0.0)


def test_every_signal_starts_at_a_loss_of_one():
    """Always predicting the mean costs the variance; a label is worth one over that."""
    targets = HISTORIES.targets
    labels = LabelStatistics.of(targets)
    errors = (targets - labels.mean) ** 2
    worth = labels.worth(float(len(targets)))
    total = np.nansum(errors[:, [0, 2, 3]], axis=0) * worth[[0, 2, 3]]

    assert_allclose(total, 1.0, rtol=1e-4)


def test_training_on_nobody_is_refused():
    nobody = replace(SPLIT, train=SPLIT.train[:0])

    with pytest.raises(DataError, match="got none"):
        train_world_model(
            HISTORIES,
            nobody,
            feature_names=NAMES,
            architecture=ARCHITECTURE,
            config=CONFIG,
            rng=np.random.default_rng(0),
        )


def test_a_recipe_that_cannot_train_is_refused():
    with pytest.raises(ConfigError, match="at least 1"):
        WorldTrainingConfig(epochs=0)
    with pytest.raises(ConfigError, match="learning rate"):
        WorldTrainingConfig(learning_rate=0.0)


def test_the_benchmark_counts_plays_and_padding():
    speed = measure_training_speed(
        HISTORIES, SPLIT, feature_names=NAMES, preset=PRESET, batch_size=64, rng=np.random.default_rng(0)
    )

    assert 0 < speed.positions_per_second < speed.tokens_per_second
    assert 0 <= speed.padded_share < 1
