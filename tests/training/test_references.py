"""Persistence repeats what a listener said last, the mean averages what they said, and neither looks ahead."""

import numpy as np
from numpy.testing import assert_allclose

from models.affect import Signal
from models.context import NO_CONTEXT
from models.tokens import tokenise
from tests.training.invented import SONG_COUNT, invent_histories, invent_listening, song_keys_of, song_vectors
from training.references import listener_mean, persistence
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
