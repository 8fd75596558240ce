"""What world models predict: of every logged play, and of any song after a history.

Legend: T tokens of all listeners · M members · b listeners · N candidates
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy import ndarray

from training.networks.world import WorldForm
from training.windows import Bound, Histories, Windows, alike, whole_histories

_AT_ONCE: Final = Bound(windows=64, tokens=64 * 64)
_ASKED_AT_ONCE = 16
"""Listeners whose candidates are asked together: bounds memory, changes no number."""


def predict_histories(
    members: Sequence[WorldForm], histories: Histories, listeners: Int[ndarray, " b"], *, lookback: int
) -> Float[ndarray, "M T 4"]:
    """Return every member's prediction, in [0, 1], for each token; NaN for the tokens of other listeners.

    On boundary tokens, where no song is played, the numbers mean nothing.
    """
    predicted = [_predict(member, histories, listeners, lookback) for member in members]
    return np.stack(predicted) if predicted else np.zeros((0, *histories.targets.shape), np.float32)


def ask_candidates(
    member: WorldForm,
    histories: Histories,
    listeners: Int[ndarray, " b"],
    songs: Int[ndarray, "b N"],
    *,
    lookback: int,
) -> Float[ndarray, "b N 4"]:
    """Return the prediction, in [0, 1], of each song played after each listener's whole history."""
    inputs = member.inputs
    length = np.minimum(histories.token_counts[listeners], inputs.past(lookback))
    windows = Windows(first=histories.columns.start[listeners + 1] - length, length=length)
    parts = []
    with torch.inference_mode(), evaluated(member):
        for begin in range(0, len(listeners), _ASKED_AT_ONCE):
            rows = np.arange(begin, min(begin + _ASKED_AT_ONCE, len(listeners)))
            batch = histories.batch(windows.take(rows)).shown(inputs)
            candidates = torch.from_numpy(histories.song_vectors[songs[rows]]) * inputs.candidate
            parts.append(member.ask(batch.song, batch.features, batch.length, candidates).sigmoid().numpy())
    return np.concatenate(parts) if parts else np.zeros((*songs.shape, 4), np.float32)


@contextmanager
def evaluated(member: WorldForm) -> Iterator[None]:
    """Keep a member from dropping anything for the time of a block."""
    training = member.training
    member.eval()
    try:
        yield
    finally:
        member.train(training)


def _predict(
    member: WorldForm, histories: Histories, listeners: Int[ndarray, " b"], lookback: int
) -> Float[ndarray, "T 4"]:
    inputs = member.inputs
    reading = whole_histories(histories, listeners, lookback=inputs.window(lookback), stride=inputs.stride)
    predicted = np.full(histories.targets.shape, np.nan, np.float32)
    with torch.inference_mode(), evaluated(member):
        for rows in alike(reading.windows.length, _AT_ONCE):
            batch = histories.batch(reading.windows.take(rows)).shown(inputs)
            counts, tokens = reading.reads(rows)
            predictions = member(batch.song, batch.features, batch.candidate).sigmoid()  # (B, L, 4)
            predicted[tokens] = predictions.numpy()[counts]
    return predicted
