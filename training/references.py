"""References: what anybody would predict without a world model; every table shows them beside it.

A listener's reports before a session count as what they said of their affect, so they enter the last report
and the mean. Nothing said yet: the training mean.

Legend: T tokens of all listeners · B windows · L tokens of one · K song width · F features · N songs or candidates
"""

from typing import Final

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy import ndarray
from torch import Tensor

from models.affect import Signal
from models.listening import NO_SONG
from models.tokens import CARRIED_FEATURES, PRESENT_FEATURES, SIGNAL_FEATURES
from training.linear_fit import fit_linear_part
from training.networks.inputs import EVERYTHING, Inputs
from training.networks.linear_part import LinearPart
from training.networks.standardisation import standardisation
from training.networks.world import WorldForm, mean_logits
from training.windows import Histories
from training.world_model import LabelStatistics

_RIDGE_PENALTY: Final = 10.0
"""How many observations' worth of doubt there is about every standardised hand-made feature."""


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


class LinearAlone(WorldForm):
    """The world model's linear part without a transformer behind it."""

    def __init__(self, linear: LinearPart, inputs: Inputs) -> None:
        """Take a part that is fitted already, and what it was fitted on."""
        super().__init__()
        self.linear = linear
        self.inputs = inputs

    def forward(
        self, song: Float[Tensor, "B L K"], features: Float[Tensor, "B L F"], candidate: Float[Tensor, "B L K"]
    ) -> Float[Tensor, "B L 4"]:
        return self.linear.predict(self.linear(song, features)[:, :-1], candidate)

    def ask(
        self,
        song: Float[Tensor, "B L K"],
        features: Float[Tensor, "B L F"],
        length: Int[Tensor, " B"],
        candidates: Float[Tensor, "B N K"],
    ) -> Float[Tensor, "B N 4"]:
        last = self.linear(song, features)[torch.arange(len(length)), length]  # (B, Z)
        return self.linear.predict(last[:, None], candidates)


def linear_alone(
    histories: Histories,
    train: Int[ndarray, " b"],
    *,
    feature_names: tuple[str, ...],
    lookback: int,
    inputs: Inputs = EVERYTHING,
) -> LinearAlone:
    """Return the world model's linear part alone, fitted to the training listeners."""
    tokens = histories.tokens_of(train)
    part = LinearPart(
        song_width=histories.song_vectors.shape[1],
        standard=torch.from_numpy(standardisation(histories.columns.features[tokens], feature_names)),
        offset=mean_logits(LabelStatistics.of(histories.targets[tokens]).mean),
    )
    fit_linear_part(part, histories, train, lookback=lookback, inputs=inputs)
    return LinearAlone(part, inputs).eval()


def hand_feature_ridge(
    histories: Histories, train: Int[ndarray, " b"], tags: Float[ndarray, "N 2"]
) -> Float[ndarray, "T 4"]:
    """Return, for each token, a ridge regression of every signal on the fourteen `hand_features`.

    A signal without training labels is predicted at one half.
    """
    design = hand_features(histories, train, tags)
    rows = histories.tokens_of(train)
    centre, spread = design[rows].mean(axis=0), design[rows].std(axis=0)
    columns = (design - centre) / np.where(spread > 1e-9, spread, 1.0)
    predicted = np.tile(_training_mean(histories, train), (len(columns), 1))
    for signal in Signal:
        labels = histories.targets[rows, signal].astype(np.float64)
        known = ~np.isnan(labels)
        if known.any():
            seen, label = columns[rows[known]], labels[known]
            centred = seen - seen.mean(axis=0)
            doubt = _RIDGE_PENALTY * np.eye(columns.shape[1])
            slopes = np.linalg.solve(centred.T @ centred + doubt, centred.T @ (label - label.mean()))
            predicted[:, signal] = label.mean() + (columns - seen.mean(axis=0)) @ slopes
    return predicted.clip(0.0, 1.0)


def hand_features(
    histories: Histories, train: Int[ndarray, " b"], tags: Float[ndarray, "N 2"]
) -> Float[ndarray, "T 14"]:
    """Return what a person would look at before each token, of what was known before it.

    The listener's mean of each signal so far (4) and the last of each (4); the report before the session and
    whether there is one (3); how much they have said, log(1 + tokens) (1); the candidate's valence and arousal
    tags (2), the mean tag where a song has none.
    """
    begin = np.repeat(histories.columns.start[:-1], histories.token_counts)
    said_before = np.log1p(np.arange(len(begin)) - begin)
    plays = histories.song_row != NO_SONG
    known_tags = np.where(np.isnan(tags), _mean_or_zero(tags), tags)
    candidate = np.where(plays[:, None], known_tags[np.maximum(histories.song_row, 0)], 0.0)
    return np.column_stack(
        [
            listener_mean(histories, train),
            persistence(histories, train),
            np.where(plays[:, None], histories.columns.features[:, CARRIED_FEATURES], 0.0),
            said_before,
            candidate,
        ]
    )


def _said(histories: Histories) -> tuple[Float[ndarray, "T 4"], ndarray]:
    """Return every signal of every token and where it is present, boundary tokens included."""
    features = histories.columns.features
    return features[:, SIGNAL_FEATURES].astype(np.float64), features[:, PRESENT_FEATURES] > 0


def _training_mean(histories: Histories, train: Int[ndarray, " b"]) -> Float[ndarray, " 4"]:
    return LabelStatistics.of(histories.targets[histories.tokens_of(train)]).mean


def _mean_or_zero(tags: Float[ndarray, "N 2"]) -> Float[ndarray, " 2"]:
    """Return the mean of each tag over the songs that have it; 0 where none has."""
    known = ~np.isnan(tags)
    return np.where(known, tags, 0.0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
