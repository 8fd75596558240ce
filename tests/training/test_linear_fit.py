"""The linear part finds a law that is linear, and counts every song of a session towards its end report."""

import numpy as np
import torch

from models.affect import Signal
from tests.training.invented import NAMES, SONG_WIDTH, invent_histories
from training.linear_fit import fit_linear_part
from training.metrics.prediction import prediction_scores
from training.networks.linear_part import LinearPart
from training.networks.standardisation import standardisation
from training.prediction import predict_histories
from training.references import linear_alone, listener_mean, persistence
from training.windows import Histories

LOOKBACK = 40


def fitted(histories: Histories, listeners: np.ndarray) -> LinearPart:
    part = LinearPart(
        song_width=SONG_WIDTH,
        standard=torch.from_numpy(standardisation(histories.columns.features, NAMES)),
        offset=torch.zeros(4),
    )
    fit_linear_part(part, histories, listeners, lookback=LOOKBACK)
    return part


def test_the_song_that_lifts_is_found_from_sums_over_sessions():
    histories = invent_histories(600)
    effect = fitted(histories, np.arange(600)).song[:, Signal.VALENCE].numpy()
    per_unit = effect * 0.25  # a logit is worth at most a quarter of the unit interval

    assert 0.06 < per_unit[0] < 0.14
    assert np.abs(per_unit[1:]).max() < 0.02


def test_no_labels_leave_the_offset_as_it_is():
    histories = invent_histories(5)
    silent = Histories(
        columns=histories.columns,
        song_row=histories.song_row,
        song_vectors=histories.song_vectors,
        targets=np.full_like(histories.targets, np.nan),
    )

    assert fitted(silent, np.arange(5)).offset.tolist() == [0.0] * 4


def test_it_beats_persistence_and_the_listener_mean_on_strangers():
    histories, train, test = invent_histories(400), np.arange(300), np.arange(300, 400)
    rows = histories.tokens_of(test)

    def error(predicted: np.ndarray) -> float:
        return prediction_scores(predicted[rows], histories.targets[rows]).mean_squared_error[Signal.VALENCE]

    alone = linear_alone(histories, train, feature_names=NAMES, lookback=LOOKBACK)
    linear = error(predict_histories([alone], histories, test, lookback=LOOKBACK)[0])
    assert linear < error(persistence(histories, train))
    assert linear < error(listener_mean(histories, train))
