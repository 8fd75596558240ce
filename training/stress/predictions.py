"""What world models predict of the log's own plays, wherever they run: prefix by prefix, as they will be asked.

Legend: T tokens of all listeners · P labelled plays
"""

from typing import Final

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from training.trained import World
from training.windows import Histories

_AT_ONCE: Final = 2048


def predict_plays(
    world: World, histories: Histories, listeners: Int[ndarray, " b"], *, lookback: int
) -> Float[ndarray, "T 4"]:
    """Return the members' mean prediction of every play of the listeners that has a label; NaN elsewhere.

    Args:
        world: over the songs of the histories.
        histories: whose plays.
        listeners: of whom.
        lookback: tokens that the models are shown.
    """
    predicted = np.full(histories.targets.shape, np.nan, np.float32)
    tokens = histories.tokens_of(listeners)
    labelled = tokens[~np.isnan(histories.targets[tokens]).all(axis=1)]
    begin = np.repeat(histories.columns.start[:-1], histories.token_counts)
    for start in range(0, len(labelled), _AT_ONCE):
        part = labelled[start : start + _AT_ONCE]
        length = np.minimum(part - begin[part], lookback)
        seen = histories.columns.windows(part - length, length)
        offsets = np.arange(seen.song.shape[1])
        inside = offsets < length[:, None]
        rows = np.where(inside, histories.song_row[np.where(inside, (part - length)[:, None] + offsets, 0)], -1)
        state = world.look(seen, rows).now
        predicted[part] = world.predicted(state, histories.song_row[part][:, None])[:, :, 0].mean(axis=1)
    return predicted
