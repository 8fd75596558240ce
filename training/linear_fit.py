"""Fitting the linear part of a world model: one ridge regression per signal, in closed form.

Legend: T targets · X regressors · K song width · S summary width
"""

from typing import Final

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy import ndarray
from torch.nn import functional as F

from models.affect import Signal
from training.networks.linear_part import AFFECT, EFFECT_DECAY, LinearPart
from training.networks.summary import running_summary, session_sum
from training.windows import Histories, whole_histories

SUMMARY_PENALTY: Final = 100.0
"""How many observations' worth of doubt there is about every standardised summary feature."""
SONG_PENALTY: Final = 1000.0
"""The same about every component of a song; songs matter less than histories (AMRS Table 3)."""
_BATCH_SIZE: Final = 64


def fit_linear_part(
    part: LinearPart, histories: Histories, listeners: Int[ndarray, " b"], *, lookback: int
) -> None:
    """Fit the part to the observed feedback of the given listeners; one given twice counts twice.

    Labels are approached linearly around their mean, in logits: slope 1 / (mean·(1 − mean)).
    """
    regressors, songs, session_songs, targets = _regressors(part, histories, listeners, lookback)
    summary_width = regressors.shape[1]
    for signal in Signal:
        known = ~np.isnan(targets[:, signal])
        if not known.any():
            continue
        song = session_songs if AFFECT.start <= signal < AFFECT.stop else songs
        design = np.hstack([regressors[known], song[known]]).astype(np.float64)
        label = targets[known, signal].astype(np.float64)
        mean = float(label.mean().clip(0.02, 0.98))
        penalty = np.repeat([SUMMARY_PENALTY, SONG_PENALTY], [summary_width, song.shape[1]])
        scale = np.hstack([_spread(design[:, :summary_width]), np.repeat(_spread(songs).mean(), song.shape[1])])
        slopes = _ridge(design, label, penalty=penalty, scale=scale) / (mean * (1 - mean))
        offset = np.log(mean / (1 - mean)) - design.mean(axis=0) @ slopes
        part.summary[:, signal] = torch.from_numpy(slopes[:summary_width]).float()
        part.song[:, signal] = torch.from_numpy(slopes[summary_width:]).float()
        part.offset[signal] = float(offset)


def _ridge(
    design: Float[ndarray, "T X"],
    label: Float[ndarray, " T"],
    *,
    penalty: Float[ndarray, " X"],
    scale: Float[ndarray, " X"],
) -> Float[ndarray, " X"]:
    """Return the slopes that minimise squared error + Σ penalty·(slope·scale)², intercept free."""
    centred = (design - design.mean(axis=0)) / scale
    slopes = np.linalg.solve(centred.T @ centred + np.diag(penalty), centred.T @ (label - label.mean()))
    return np.asarray(slopes / scale)


def _spread(columns: Float[ndarray, "T X"]) -> Float[ndarray, " X"]:
    """Return each column's standard deviation; 1 where it does not vary."""
    spread = columns.std(axis=0, dtype=np.float64)
    return np.where(spread > 1e-6, spread, 1.0)


def _regressors(
    part: LinearPart, histories: Histories, listeners: Int[ndarray, " b"], lookback: int
) -> tuple[ndarray, ndarray, ndarray, ndarray]:
    """Return, for every play: the summary before it, its song, its session's faded songs, its feedback."""
    reading = whole_histories(histories, listeners, lookback=lookback)
    parts: list[list[ndarray]] = [[], [], [], []]
    with torch.no_grad():
        for begin in range(0, len(reading.windows), _BATCH_SIZE):
            rows = np.arange(begin, min(begin + _BATCH_SIZE, len(reading.windows)))
            batch = histories.batch(reading.windows.take(rows))
            counts, _ = reading.reads(rows)
            counts = counts & ~np.isnan(batch.targets.numpy()).all(axis=2)
            before = F.pad(running_summary(batch.features, part.standard), (0, 0, 1, 0))[:, :-1]
            heard = session_sum(batch.song, batch.features, decay=EFFECT_DECAY)
            for rows_of, column in zip(parts, (before, batch.song, heard, batch.targets), strict=True):
                rows_of.append(column.numpy()[counts])
    summary, songs, session_songs, targets = (np.concatenate(rows_of) for rows_of in parts)
    return summary, songs, session_songs, targets
