"""Drift: how a bundle's predictions and songs fare in the field, beside what they were in training.

For each play: predicted against given engagement and rating, whether the interval held the engagement, how far
the song lies from the nearest training song, and the mode. For each session that ended with a report: the affect
predicted of its last play against the report, and whether the intervals held it. Only sums are kept.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from models.affect import SIGNALS, Signal
from models.calibration import Calibration
from models.decision import unpack_decision
from models.errors import DataError
from models.listening import NO_SONG, Mode
from models.reference import TrainingReference
from service.journal.drift import EndedPlay, EndedSession
from service.journal.measurements import FIELD, Measured, Subject

WINDOW_DAYS: Final = 7
"""Drift is told over so many days, today included."""

CalibrationOf = Callable[[str], Calibration | None]
"""Version → how wide the bundle's intervals are; None where the bundle is not at hand."""
DistanceOf = Callable[[str, int], float | None]
"""Version and song key → the distance to the nearest training song; None where it is not known."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One measure of drift."""

    value: float
    count: int
    """On how many observations it rests."""
    reference: float | None
    """What it was in training, or should be; None where the bundle does not say."""


def observed(
    ended: Sequence[EndedSession], calibration_of: CalibrationOf, distance_of: DistanceOf
) -> dict[Subject, Measured]:
    """Return what sessions showed, as sums by bundle and measure."""
    found: dict[Subject, Measured] = {}
    for session in ended:
        for play in session.plays:
            report = session.report if play is session.plays[-1] else None
            for measure, value in _of_play(play, report, calibration_of(play.bundle), distance_of):
                subject = Subject(play.bundle, FIELD, measure)
                found[subject] = found.get(subject, Measured()).plus(Measured(1, value))
    return found


def figures(
    measured: Mapping[str, Measured], reference: TrainingReference | None, *, level: float | None
) -> dict[str, Figure]:
    """Return the measures of drift that something was observed for, by name.

    `<signal> error` is the root of the mean squared error (the rating's squared error is its Brier score);
    `<signal> bias` predicted less observed; `<signal> covered` the share of truths that the intervals held;
    `embedding distance` the mean distance of the songs played from the nearest training song; `mode distance` half
    the sum of differences between the shares of modes, 0 for the same mix and 1 for none in common.

    Args:
        measured: the field's sums.
        reference: the bundle's.
        level: the share that intervals are meant to hold.
    """
    found: dict[str, Figure] = {}
    errors = {} if reference is None else reference.mean_squared_error
    for signal in SIGNALS:
        expected = errors.get(signal)
        _put(found, measured, f"{signal} error", None if expected is None else expected**0.5, of=np.sqrt)
        _put(found, measured, f"{signal} bias", 0.0)
        _put(found, measured, f"{signal} covered", level)
    _put(found, measured, "embedding distance", None if reference is None else reference.neighbour_distance)
    counts = np.array([measured.get(_mode(mode.label), Measured()).count for mode in Mode], np.float64)
    if reference is not None and counts.sum():
        expected_shares = np.array([reference.mode_shares.get(mode.label, 0.0) for mode in Mode])
        distance = float(np.abs(counts / counts.sum() - expected_shares).sum() / 2)
        found["mode distance"] = Figure(distance, int(counts.sum()), 0.0)
    return found


def _put(
    found: dict[str, Figure],
    measured: Mapping[str, Measured],
    name: str,
    reference: float | None,
    *,
    of: Callable[[float], float] = float,
) -> None:
    seen = measured.get(name)
    if seen is not None and seen.mean is not None:
        found[name] = Figure(float(of(seen.mean)), seen.count, reference)


def _of_play(
    play: EndedPlay,
    report: tuple[float, float] | None,
    calibration: Calibration | None,
    distance_of: DistanceOf,
) -> Iterator[tuple[str, float]]:
    if not play.was_played:
        return
    yield _mode(play.mode), 1.0
    distance = distance_of(play.bundle, play.song_key)
    if distance is not None and np.isfinite(distance):
        yield "embedding distance", distance
    truths = {
        Signal.ENGAGEMENT: play.engagement,
        Signal.RATING: None if play.rating is None else float(play.rating),
        Signal.VALENCE: None if report is None else report[0],
        Signal.AROUSAL: None if report is None else report[1],
    }
    predicted = _predicted(play)
    for signal, truth in truths.items():
        mean = float(predicted[signal])
        if truth is None or not np.isfinite(mean):
            continue
        name = SIGNALS[signal]
        yield f"{name} error", (mean - truth) ** 2
        yield f"{name} bias", mean - truth
        if calibration is not None and name in calibration.widths:
            low, high = calibration.interval(name, mean, step=play.step)
            yield f"{name} covered", float(low <= truth <= high)


def _predicted(play: EndedPlay) -> Float[ndarray, " 4"]:
    """Return the four signals predicted of the play, the mean over the members; NaN where not on record."""
    nothing = np.full(len(SIGNALS), np.nan)
    if play.decision is None:
        return nothing
    try:
        decision = unpack_decision(play.decision)
    except DataError:
        return nothing
    if decision.place == NO_SONG:
        return nothing
    predicted = decision.trials[-1].candidates.predicted[0, :, decision.place]  # (M, 4)
    return predicted.mean(axis=0, dtype=np.float64)


def _mode(label: str) -> str:
    return f"mode {label}"
