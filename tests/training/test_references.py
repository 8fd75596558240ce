"""Persistence repeats what a listener said last, the mean averages what they said, and neither looks ahead."""

import numpy as np
from numpy.testing import assert_allclose

from models.affect import Signal
from models.context import NO_CONTEXT
from models.tokens import tokenise
from tests.training.invented import (
    NAMES,
    SONG_COUNT,
    invent_histories,
    invent_listening,
    song_keys_of,
    song_vectors,
)
from training.metrics.prediction import prediction_scores
from training.prediction import predict_histories
from training.references import hand_feature_ridge, hand_features, linear_alone, listener_mean, persistence
from training.windows import Histories

HISTORIES = invent_histories(12)
TRAIN = np.arange(12)


def test_the_last_report_is_repeated_until_the_next_one():
    predicted, features = persistence(HISTORIES, TRAIN)[:, Signal.VALENCE], HISTORIES.columns.features
    last = np.nan
    for token in range(HISTORIES.columns.start[1]):
        if not np.isnan(last):
            assert_allclose(predicted[token], last)
        if features[token, 6] > 0:
            last = features[token, Signal.VALENCE]


def test_the_mean_is_that_of_everything_said_before():
    predicted, features = listener_mean(HISTORIES, TRAIN)[:, Signal.ENGAGEMENT], HISTORIES.columns.features
    for token in range(2, HISTORIES.columns.start[1]):
        said = features[:token, Signal.ENGAGEMENT][features[:token, 4] > 0]

        assert_allclose(predicted[token], said.mean(), rtol=1e-5)


def test_who_said_nothing_yet_is_taken_for_the_training_mean():
    mean = np.nanmean(HISTORIES.targets, axis=0)
    firsts = HISTORIES.columns.start[:-1]

    assert_allclose(persistence(HISTORIES, TRAIN)[firsts], np.tile(mean, (12, 1)), rtol=1e-5)
    assert_allclose(listener_mean(HISTORIES, TRAIN)[firsts], np.tile(mean, (12, 1)), rtol=1e-5)


def test_nobody_is_predicted_from_another_listener():
    alone = Histories.of(
        tokenise(invent_listening(12).select(np.array([7])), NO_CONTEXT),
        song_keys=song_keys_of(np.arange(SONG_COUNT)),
        song_vectors=song_vectors(),
    )
    rows = HISTORIES.tokens_of(np.array([7]))
    later = slice(1, None)  # the first token is predicted from whoever was trained on

    for reference in (persistence, listener_mean):
        among, single = reference(HISTORIES, TRAIN)[rows][later], reference(alone, np.array([0]))[later]
        known = ~np.isclose(single, np.nanmean(alone.targets, axis=0))
        assert_allclose(among[known], single[known], rtol=1e-6)


TAGS = np.column_stack([song_vectors()[:, 0], song_vectors()[:, 1]]).astype(np.float64)


def test_hand_made_features_are_fourteen_and_none_looks_ahead():
    histories = invent_histories(12)
    before = hand_features(histories, TRAIN, TAGS)
    histories.columns.features[5:9, :8] = 0.5
    after = hand_features(histories, np.array([11]), TAGS)

    assert before.shape[1] == 14
    same_mean = ~np.isclose(before[:6, :8], np.nanmean(HISTORIES.targets, axis=0).tolist() * 2)
    assert_allclose(after[:6, :8][same_mean], before[:6, :8][same_mean], rtol=1e-6)
    assert_allclose(after[:6, 8:], before[:6, 8:])


def test_hand_made_features_tell_the_candidates_tags_and_the_mean_where_there_is_none():
    tags = TAGS.copy()
    tags[3] = np.nan
    columns = hand_features(HISTORIES, TRAIN, tags)[:, -2:]
    rows = HISTORIES.song_row

    assert_allclose(columns[rows == 2], np.tile(TAGS[2], (int((rows == 2).sum()), 1)))
    assert_allclose(columns[rows == 3], np.tile(np.nanmean(tags, axis=0), (int((rows == 3).sum()), 1)))


def test_a_ridge_on_them_beats_the_listener_mean_on_strangers():
    histories, train = invent_histories(200), np.arange(150)
    rows = histories.tokens_of(np.arange(150, 200))

    def error(predicted: np.ndarray) -> float:
        return prediction_scores(predicted[rows], histories.targets[rows]).mean_squared_error[Signal.VALENCE]

    assert error(hand_feature_ridge(histories, train, TAGS)) < error(listener_mean(histories, train))


def test_a_signal_without_labels_or_tags_gives_no_nonsense():
    histories = invent_histories(12)
    histories.targets[:, Signal.RATING] = np.nan
    predicted = hand_feature_ridge(histories, TRAIN, np.full((SONG_COUNT, 2), np.nan))

    assert np.isfinite(predicted).all()
    assert_allclose(predicted[:, Signal.RATING], 0.5)


def test_the_linear_part_alone_is_asked_as_every_world_model_is():
    alone = linear_alone(HISTORIES, TRAIN, feature_names=NAMES, lookback=32)
    predicted = predict_histories([alone], HISTORIES, TRAIN, lookback=32)[0]

    assert predicted.shape == HISTORIES.targets.shape
    assert np.isfinite(predicted).all()
