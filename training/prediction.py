"""What world models predict of every logged play, from the history before it.

Legend: T tokens of all listeners · M members
"""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy import ndarray

from training.networks.world import WorldModel
from training.windows import Histories, whole_histories

_BATCH_SIZE = 64


def predict_histories(
    members: Sequence[WorldModel], histories: Histories, listeners: Int[ndarray, " b"], *, lookback: int
) -> Float[ndarray, "M T 4"]:
    """Return every member's prediction, in [0, 1], for each token; NaN for the tokens of other listeners.

    On boundary tokens, where no song is played, the numbers mean nothing.
    """
    reading = whole_histories(histories, listeners, lookback=lookback)
    predicted = np.full((len(members), *histories.targets.shape), np.nan, np.float32)
    by_length = np.argsort(reading.windows.length, kind="stable")
    was_training = [member.training for member in members]
    with torch.inference_mode():
        for begin in range(0, len(by_length), _BATCH_SIZE):
            rows = by_length[begin : begin + _BATCH_SIZE]
            batch = histories.batch(reading.windows.take(rows))
            counts, tokens = reading.reads(rows)
            for number, member in enumerate(members):
                predictions = member.eval()(batch.song, batch.features).sigmoid()  # (B, L, 4)
                predicted[number, tokens] = predictions.numpy()[counts]
    for member, training in zip(members, was_training, strict=True):
        member.train(training)
    return predicted
