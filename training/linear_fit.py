"""Fitting the linear part of a world model: one ridge regression per signal, in closed form.

Legend: P plays · T targets · X regressors · K song width · S summary width
"""

from dataclasses import dataclass, fields
from typing import Final

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy import ndarray
from torch.nn import functional as F

from models.affect import Signal
from models.errors import ConfigError
from training.networks.inputs import EVERYTHING, Inputs
from training.networks.linear_part import (
    AFFECT,
    EFFECT_DECAY,
    LinearPart,
    running_tastes,
)
from training.networks.summary import running_summary, session_sum
from training.windows import Bound, Histories, alike, whole_histories

_AT_ONCE: Final = Bound(windows=64, tokens=64 * 64)


@dataclass(frozen=True, slots=True, kw_only=True)
class LinearFit:
    """How strongly the ridge regressions are held back."""

    summary_penalty: float = 100.0
    """How many observations' worth of doubt there is about every standardised summary feature."""
    song_penalty: float = 1000.0
    """The same about what every component of a song does to engagement and rating; songs matter less than
    histories (AMRS Table 3)."""
    effect_penalty: float = 1000.0
    """The same about what it does to valence and arousal. A component counts by its spread in the reading: one
    that tells a tag is held back least, so the larger this is, the more the tags are the prior of an effect."""

    def __post_init__(self) -> None:
        if not min(self.summary_penalty, self.song_penalty, self.effect_penalty) > 0:
            raise ConfigError(
                "penalties must be above 0; got "
                f"{self.summary_penalty}, {self.song_penalty} and {self.effect_penalty}"
            )


USUAL_FIT: Final = LinearFit()


def fit_linear_part(
    part: LinearPart,
    histories: Histories,
    listeners: Int[ndarray, " b"],
    *,
    lookback: int,
    inputs: Inputs = EVERYTHING,
    fit: LinearFit = USUAL_FIT,
) -> None:
    """Fit the part to the observed feedback of the given listeners; one given twice counts twice.

    Labels are approached linearly around their mean, in logits: slope 1 / (mean·(1 − mean)).
    """
    plays = _plays(part, histories, listeners, lookback, inputs)
    summary_width = plays.summary.shape[1]
    for signal in Signal:
        known = ~np.isnan(plays.targets[:, signal])
        if not known.any():
            continue
        is_affect = AFFECT.start <= signal < AFFECT.stop
        song = plays.session_songs if is_affect else plays.song
        match = plays.match[:, :0] if is_affect else plays.match
        columns = [plays.summary, match, song]
        design = np.hstack([each[known] for each in columns]).astype(np.float64)
        label = plays.targets[known, signal].astype(np.float64)
        mean = float(label.mean().clip(0.02, 0.98))
        loud = np.full(song.shape[1], _spread(plays.song).mean())  # one scale: a sum of songs is no louder a song
        slopes = _ridge(
            design,
            label,
            penalty=np.repeat(
                [fit.summary_penalty, fit.summary_penalty, fit.effect_penalty if is_affect else fit.song_penalty],
                [each.shape[1] for each in columns],
            ),
            scale=np.hstack([_spread(design[:, : -song.shape[1]]), loud]),
        ) / (mean * (1 - mean))
        summary, taste, effect = np.split(slopes, [summary_width, summary_width + match.shape[1]])
        part.summary[:, signal] = torch.from_numpy(summary).float()
        part.song[:, signal] = torch.from_numpy(effect).float()
        if not is_affect:
            part.taste[:, signal] = torch.from_numpy(taste).float()
        part.offset[signal] = float(np.log(mean / (1 - mean)) - design.mean(axis=0) @ slopes)


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


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Plays:
    """P plays with feedback, and what was known before each."""

    summary: Float[ndarray, "P S"]
    match: Float[ndarray, "P 2"]
    """The product of the song with taste by engagement, and with taste by rating."""
    song: Float[ndarray, "P K"]
    session_songs: Float[ndarray, "P K"]
    """The faded sum of the session's songs, this one included."""
    targets: Float[ndarray, "P 4"]


def _plays(
    part: LinearPart, histories: Histories, listeners: Int[ndarray, " b"], lookback: int, inputs: Inputs
) -> _Plays:
    reading = whole_histories(histories, listeners, lookback=inputs.window(lookback), stride=inputs.stride)
    columns: dict[str, list[ndarray]] = {field.name: [] for field in fields(_Plays)}
    with torch.no_grad():
        for rows in alike(reading.windows.length, _AT_ONCE):
            batch = histories.batch(reading.windows.take(rows)).shown(inputs)
            counts, _ = reading.reads(rows)
            counts = counts & ~np.isnan(batch.targets.numpy()).all(axis=2)
            before = F.pad(running_summary(batch.features, part.standard), (0, 0, 1, 0))[:, :-1]
            tastes = running_tastes(batch.song, batch.features, part.standard)  # (B, L, 2, K)
            tastes = F.pad(tastes, (0, 0, 0, 0, 1, 0))[:, :-1]
            left = session_sum(batch.song, batch.features, decay=EFFECT_DECAY) * EFFECT_DECAY
            known = {
                "summary": before,
                "match": (tastes * batch.candidate[:, :, None]).sum(dim=-1),
                "song": batch.candidate,
                "session_songs": batch.candidate + F.pad(left, (0, 0, 1, 0))[:, :-1],
                "targets": batch.targets,
            }
            for name, values in known.items():
                columns[name].append(values.numpy()[counts])
    return _Plays(**{name: np.concatenate(parts) for name, parts in columns.items()})
