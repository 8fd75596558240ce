"""Split conformal calibration by listener and step: how wide an interval must be to hold a stranger's next label.

A listener's sessions are alike, so labels are not exchangeable; listeners are. Every calibration listener
therefore counts once, their errors sharing that one vote, and the listener to come holds one vote that may be
anywhere. Source: Lee, Barber and Willett 2023 (arXiv:2306.06342), hierarchical conformal prediction; SCIENCE,
where the paper is weak, 5.

That fixes the width of step 1. Labels are rare at later steps (few sessions last that long), so those widths are
pooled into one number: the growth of a signal's squared error with each song imagined. A song that is imagined
takes away its feedback, and puts the last report one song further back; both are measured on logs, without any
truth (docs/decisions/intervals.md).

Legend: E predictions · H steps · T tokens of all listeners · L labels
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray

from models.affect import SIGNALS, Signal
from models.calibration import Calibration
from models.errors import DataError
from models.listening import NO_SONG
from training.imagining import Imagined, imagine_logged, joined, observed_only
from training.prediction import predict_histories
from training.splits import Split
from training.tasks import Advance
from training.trained import WorldOver
from training.windows import Histories
from training.world_model import Bootstrap

LEVEL: Final = 0.9
HORIZON: Final = 20
"""H: as many songs as the longest rollouts imagine, and as one answer of the service can hold."""
CALIBRATED: Final = (Signal.ENGAGEMENT, Signal.VALENCE, Signal.AROUSAL)
"""The rating is a probability and has no interval."""
_REACH: Final = 1.645
"""Standard errors to the upper end of a one-sided 95% interval."""


def calibrate_world(
    histories: Histories,
    world: WorldOver,
    split: Split,
    bootstraps: Sequence[Bootstrap],
    *,
    lookback: int,
    advance: Advance = lambda _: None,
) -> Calibration:
    """Return the calibration of an ensemble, on every listener who is a stranger to it or to some of its members.

    Args:
        histories: whose targets are the labels.
        world: the ensemble.
        split: its validation listeners are strangers to all members.
        bootstraps: one for each member, in order. A training listener's songs are predicted by those members alone
            who know nothing of that listener: a little worse than by all, so widths err on the wide side.
        lookback: how many tokens the models are shown.
        advance: told from how many more plays songs were rolled.

    Raises:
        DataError: nobody has a label of some calibrated signal.
    """
    imagined = imagine_logged(
        histories, world, split.validation, lookback=lookback, step_count=HORIZON, advance=advance
    )
    each = predict_histories(world.ensemble.members, histories, split.train, lookback=lookback)  # (M, T, 4)
    strange = np.zeros(each.shape[:2], bool)
    for number, bootstrap in enumerate(bootstraps):
        strange[number, histories.tokens_of(bootstrap.strangers)] = True
    predicted = np.where(strange[..., None], each, 0.0).sum(axis=0) / np.maximum(strange.sum(axis=0), 1)[:, None]
    left_out = np.unique(np.concatenate([bootstrap.strangers for bootstrap in bootstraps]))
    growth = error_growth(histories, predicted, left_out, imagined)
    return calibrate(joined([imagined, observed_only(histories, predicted, left_out)]), growth)


def calibrate(
    imagined: Imagined, growth: Float[ndarray, " 4"], *, level: float = LEVEL, step_count: int = HORIZON
) -> Calibration:
    """Return half-widths that hold a new listener's labels with probability `level` at each step.

    Args:
        imagined: predictions of listeners who neither trained a world model nor chose one.
        growth: of the squared errors, as `error_growth` measures it.
        level: in (0, 1).
        step_count: H.

    Raises:
        DataError: nobody has a label of some calibrated signal.
    """
    widths: dict[str, tuple[float, ...]] = {}
    listeners: dict[str, tuple[int, ...]] = {}
    labels: dict[str, tuple[int, ...]] = {}
    for signal in CALIBRATED:
        name = SIGNALS[signal]
        known = ~np.isnan(imagined.label[:, signal])
        first = known & (imagined.step == 1)
        if not first.any():
            count = len(np.unique(imagined.listener))
            raise DataError(f"calibrating {name} needs a label of one of {count} listeners")
        width = conformal_width(imagined.error[first, signal], imagined.listener[first], level=level)
        wider = width * np.sqrt(1 + max(float(growth[signal]), 0.0) * np.arange(step_count))
        widths[name] = tuple(np.clip(wider, 1e-6, 1.0).tolist())
        owners = [imagined.listener[known & (imagined.step == step)] for step in range(1, step_count + 1)]
        listeners[name] = tuple(len(np.unique(each)) for each in owners)
        labels[name] = tuple(len(each) for each in owners)
    return Calibration(
        level=level,
        widths=widths,
        listener_count=len(np.unique(imagined.listener)),
        listener_counts=listeners,
        label_counts=labels,
    )


def error_growth(
    histories: Histories, predicted: Float[ndarray, "T 4"], listeners: Int[ndarray, " n"], imagined: Imagined
) -> Float[ndarray, " 4"]:
    """Return what each imagined song adds to a signal's squared error, as a share of the error at step 1.

    It is the sum of two slopes: that of the squared error on how many songs ago the signal was last observed, and
    that of what the same label's error gains when the songs before it are imagined. No log holds twenty songs of
    the policy's on end, so the slopes are extrapolated, and the upper end of their sum's interval is taken. At
    least 0; where nothing can be measured, 0.

    Args:
        histories: whose targets are the labels.
        predicted: from observed histories; only the given listeners' rows are read.
        listeners: for the first slope.
        imagined: for the second slope.
    """
    rows = histories.tokens_of(listeners)
    owner = np.repeat(listeners, histories.token_counts[listeners])
    squared = (predicted[rows] - histories.targets[rows]) ** 2  # (t, 4), NaN where unlabelled
    gained, base = _gained(imagined)
    growth = np.zeros(4)
    for signal in CALIBRATED:
        labelled, rolled = ~np.isnan(squared[:, signal]), ~np.isnan(gained[:, signal])
        age = songs_since_observed(histories, signal)[rows][labelled]
        errors = squared[labelled, signal]
        aging = _slope(age - _mean(age), errors - _mean(errors), owner[labelled])
        imagining = _slope(imagined.step[rolled] - 1, gained[rolled, signal], imagined.listener[rolled])
        parts = [
            each.over(mean)
            for each, mean in ((aging, _mean(errors)), (imagining, _mean(base[rolled, signal])))
            if mean > 0
        ]
        slope = sum(part.slope for part in parts)
        growth[signal] = max(0.0, slope + _REACH * np.hypot.reduce([0.0, *(part.error for part in parts)]))
    return growth


def songs_since_observed(histories: Histories, signal: Signal) -> Int[ndarray, " T"]:
    """Return, at each play, how many songs ago a signal was last observed, the play itself included.

    A session's beginning counts as an observation, whether or not somebody reported there; boundaries get 0.
    """
    is_boundary = histories.song_row == NO_SONG
    observed = is_boundary | ~np.isnan(histories.targets[:, signal])
    place = np.arange(len(observed))
    latest = np.maximum.accumulate(np.where(observed, place, 0))
    return np.where(is_boundary, 0, place - np.concatenate([[0], latest[:-1]]))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Slope:
    slope: float
    error: float
    """Its standard error."""

    def over(self, mean: float) -> "_Slope":
        """Return the slope as a share of a mean."""
        return _Slope(slope=self.slope / mean, error=self.error / mean)


_LEVEL_GROUND: Final = _Slope(slope=0.0, error=0.0)


def _slope(
    x: Float[ndarray, " L"] | Int[ndarray, " L"], y: Float[ndarray, " L"], owner: Int[ndarray, " L"]
) -> _Slope:
    """Return the slope of y on x through the origin; its error knows that a listener's labels are alike."""
    square = float((x**2).sum())
    if not square > 0:
        return _LEVEL_GROUND
    slope = float((x * y).sum()) / square
    _, place = np.unique(owner, return_inverse=True)
    influence = np.bincount(place, x * (y - slope * x))
    return _Slope(slope=slope, error=float(np.sqrt((influence**2).sum())) / square)


def _mean(values: Float[ndarray, " L"] | Int[ndarray, " L"]) -> float:
    return float(values.mean()) if len(values) else 0.0


def _gained(imagined: Imagined) -> tuple[Float[ndarray, "E 4"], Float[ndarray, "E 4"]]:
    """Return what each squared error is above that of the same label at step 1, and the latter."""
    squared = ((imagined.predicted - imagined.label) ** 2).astype(np.float64)
    first = np.flatnonzero(imagined.step == 1)
    by_token = first[np.argsort(imagined.token[first])]
    base = squared[by_token[np.searchsorted(imagined.token[by_token], imagined.token)]]
    return squared - base, base


def _votes(owner: Int[ndarray, " E"]) -> Float[ndarray, " E"]:
    """Return each label's share of its listener's one vote."""
    _, place, labels = np.unique(owner, return_inverse=True, return_counts=True)
    return np.asarray(1.0 / labels[place])


def conformal_width(errors: Float[ndarray, " E"], owner: Int[ndarray, " E"], *, level: float) -> float:
    """Return the smallest width that reaches `level` of the votes, the coming listener's vote beyond all.

    Infinity where there are too few listeners: below level / (1 − level) of them.

    Args:
        errors: absolute, one per label.
        owner: the listener of each label.
        level: in (0, 1).
    """
    vote = _votes(owner) / (len(np.unique(owner)) + 1)  # (E,)
    order = np.argsort(errors)
    reached = np.cumsum(vote[order])
    enough = np.flatnonzero(reached >= level - 1e-9)
    return float(errors[order[enough[0]]]) if enough.size else float("inf")


def coverage_by_listener(imagined: Imagined, calibration: Calibration) -> dict[str, list[float | None]]:
    """Return, by signal and step, the share of labels their intervals hold, every listener counting once.

    None where nobody has a label.
    """
    covered: dict[str, list[float | None]] = {}
    for signal in CALIBRATED:
        widths = calibration.widths[SIGNALS[signal]]
        at_step = []
        for step, width in enumerate(widths, 1):
            known = ~np.isnan(imagined.label[:, signal]) & (imagined.step == step)
            held = imagined.error[known, signal] <= width
            at_step.append(share_by_listener(held, imagined.listener[known]))
        covered[SIGNALS[signal]] = at_step
    return covered


def share_by_listener(held: Bool[ndarray, " E"], owner: Int[ndarray, " E"]) -> float | None:
    """Return the mean over listeners of the share of their labels that are held; None without labels."""
    if not len(held):
        return None
    _, place, labels = np.unique(owner, return_inverse=True, return_counts=True)
    return float((np.bincount(place, held) / labels).mean())
