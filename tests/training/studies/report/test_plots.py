"""Every figure can be drawn from what studies have, little of it included, and two looks are never the same."""

import io
from collections.abc import Callable

import numpy as np
import pytest
from matplotlib.figure import Figure as Canvas
from PIL import Image

from models.listening import Mode
from training.statistics import Interval
from training.studies.cells import Figure
from training.studies.report import plots
from training.studies.report.plots import Bins, Difference, Gain, calibration_bins, look_of
from training.studies.report.write import draw

SIGNALS = ("engagement", "rating", "valence", "arousal")
PATH = np.linspace((0.45, 0.5), (0.55, 0.4), 6)


def interval(mean: float) -> Interval:
    return Interval(mean=mean, low=mean - 0.01, high=mean + 0.01)


def drawn(how: Callable[[Canvas], None]) -> Image.Image:
    return Image.open(io.BytesIO(draw(Figure(name="f", title="F", caption="", draw=how, width=4, height=3))))


def curves(canvas: Canvas) -> None:
    stopped = np.array([[0.3, 0.2, np.nan], [0.4, 0.2, np.nan]])
    plots.learning_curves(
        canvas,
        {signal: {"a": stopped, "b": stopped[:1, :2]} for signal in SIGNALS},
        measure="loss (MSE)",
        kept={"a": [1, 1]},
    )


def calibration(canvas: Canvas) -> None:
    bins = calibration_bins(np.linspace(0, 1, 40), np.linspace(0, 1, 40))
    nothing = calibration_bins(np.zeros(3), np.full(3, np.nan))
    plots.calibration(canvas, {"valence": {"model": bins, "other": nothing}, "arousal": {"other": nothing}})


def plane(canvas: Canvas) -> None:
    plots.circumplex(canvas, {"everybody": {"Copycat": PATH, "DPO": PATH[:1]}}, whole=True)


def modes(canvas: Canvas) -> None:
    by_mode = {mode.label: mode for mode in Mode}
    plots.circumplex(canvas, {name: {"Copycat": PATH, "DPO": PATH[::-1]} for name in by_mode}, modes=by_mode)


def exposure(canvas: Canvas) -> None:
    plots.exposure_curves(
        canvas, {"Random": np.ones(50, int), "Greedy": np.eye(50, dtype=int)[0], "none": np.zeros(50, int)}
    )


def gap(canvas: Canvas) -> None:
    gains = [
        Gain(policy=policy, signal=signal, predicted=interval(0.05), true=interval(0.02))
        for policy in ("DPO", "Greedy")
        for signal in SIGNALS[2:]
    ]
    plots.exploitation_gap(canvas, gains)


def forest(canvas: Canvas) -> None:
    differences = [
        Difference(label="a", interval=interval(0.05), group="valence"),
        Difference(label="b", interval=interval(0.0), group="valence"),
        Difference(label="c", interval=None, group="arousal"),
    ]
    plots.forest(canvas, differences, measure="difference in R²", better="→ better")


@pytest.mark.parametrize("how", [curves, calibration, plane, modes, exposure, gap, forest])
def test_a_figure_is_drawn(how: Callable[[Canvas], None]):
    image = drawn(how)

    assert image.size == (576, 432)
    assert len(image.convert("RGB").getcolors(maxcolors=10**6) or ()) > 20


def test_the_same_figure_is_the_same_to_the_last_byte():
    figure = Figure(name="f", title="F", caption="", draw=forest)

    assert draw(figure) == draw(figure)


def test_no_two_names_look_alike():
    looks = look_of([str(place) for place in range(16)])

    assert len({(look.colour, str(look.dash), look.marker) for look in looks.values()}) == 16


def test_bins_hold_equal_numbers_and_their_means():
    """Ten predictions in two bins: 0..4 have mean 2, and what was observed there is half of it."""
    predicted = np.arange(10.0)

    bins = calibration_bins(predicted, predicted / 2, count=2)

    np.testing.assert_allclose(bins.predicted, [2, 7])
    np.testing.assert_allclose(bins.observed, [1, 3.5])
    np.testing.assert_allclose(bins.error, np.sqrt(0.5 / 5) * np.ones(2))
    assert bins.count.tolist() == [5, 5]


def test_what_was_not_observed_is_in_no_bin():
    bins = calibration_bins(np.array([0.1, 0.2, 0.3]), np.array([0.5, np.nan, 0.7]), count=5)

    assert bins.count.tolist() == [1, 1]
    assert isinstance(bins, Bins)
