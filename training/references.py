"""References: what anybody would predict without a world model; every table shows them beside it.

A listener's reports before a session count as what they said of their affect, so they enter the last report
and the mean. Nothing said yet: the training mean.

Legend: T tokens of all listeners
"""

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy import ndarray

from models.tokens import PRESENT_FEATURES, SIGNAL_FEATURES
from training.linear_fit import fit_linear_part
from training.networks.linear_part import LinearPart
from training.networks.standardisation import standardisation
from training.windows import Histories, whole_histories
from training.world_model import LabelStatistics


def persistence(histories: Histories, train: Int[ndarray, " b"]) -> Float[ndarray, "T 4"]:
    """Return, for each token, the listener's last known value of every signal before it."""
    signals, present = _said(histories)
    place = np.where(present, np.arange(len(signals))[:, None], -1)
    latest = np.maximum.accumulate(place, axis=0)  # (T, 4): the place of the last value up to each token
    last = np.vstack([np.full((1, 4), -1), latest[:-1]])
    begin = np.repeat(histories.columns.start[:-1], histories.token_counts)
    known = last >= begin[:, None]
    return np.where(
        known,
        np.take_along_axis(signals, np.maximum(last, 0), axis=0),
        _training_mean(histories, train),
    )


def listener_mean(histories: Histories, train: Int[ndarray, " b"]) -> Float[ndarray, "T 4"]:
    """Return, for each token, the mean of everything the listener said of every signal before it."""
    signals, present = _said(histories)
    total = np.cumsum(np.vstack([np.zeros((1, 4)), np.where(present, signals, 0.0)]), axis=0)  # (T+1, 4)
    count = np.cumsum(np.vstack([np.zeros((1, 4)), present]), axis=0)
    begin = np.repeat(histories.columns.start[:-1], histories.token_counts)
    total, count = total[:-1] - total[begin], count[:-1] - count[begin]
    return np.where(count > 0, total / np.maximum(count, 1), _training_mean(histories, train))


def linear_regression(
    histories: Histories,
    train: Int[ndarray, " b"],
    *,
    feature_names: tuple[str, ...],
    lookback: int,
) -> Float[ndarray, "T 4"]:
    """Return what the world model's linear part alone predicts, fitted to the training listeners."""
    tokens = histories.tokens_of(train)
    mean = LabelStatistics.of(histories.targets[tokens]).mean
    part = LinearPart(
        song_width=histories.song_vectors.shape[1],
        standard=torch.from_numpy(standardisation(histories.columns.features[tokens], feature_names)),
        offset=torch.from_numpy(np.log(mean / (1 - mean))).float(),
    )
    fit_linear_part(part, histories, train, lookback=lookback)
    predicted = np.full(histories.targets.shape, np.nan, np.float32)
    reading = whole_histories(histories, np.arange(len(histories.token_counts)), lookback=lookback)
    with torch.inference_mode():
        for row in range(len(reading.windows)):
            batch = histories.batch(reading.windows.take(np.array([row])))
            counts, tokens = reading.reads(np.array([row]))
            state = part(batch.song, batch.features)[:, :-1]
            predicted[tokens] = part.predict(state, batch.song).sigmoid().numpy()[counts]
    return predicted


def _said(histories: Histories) -> tuple[Float[ndarray, "T 4"], ndarray]:
    """Return every signal of every token and where it is present, boundary tokens included."""
    features = histories.columns.features
    return features[:, SIGNAL_FEATURES].astype(np.float64), features[:, PRESENT_FEATURES] > 0


def _training_mean(histories: Histories, train: Int[ndarray, " b"]) -> Float[ndarray, " 4"]:
    return LabelStatistics.of(histories.targets[histories.tokens_of(train)]).mean
