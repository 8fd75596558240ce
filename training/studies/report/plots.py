"""The figures that studies share, drawn from plain arrays on an empty matplotlib figure.

Colours are those of Okabe and Ito, which readers with any common colour vision tell apart; lines differ in dash
and marker as well. Every axis says its unit. Bands and bars are what the caller computed, or one SD over runs.

Legend: R runs (splits or seeds) · T epochs · S steps of a rollout · N songs · n predictions
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from jaxtyping import Float, Int
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.patches import Rectangle
from matplotlib.ticker import FuncFormatter, MaxNLocator
from numpy import ndarray

from models.listening import Mode
from models.utility import MODE_REGIONS, TargetRegion
from training.statistics import Interval

STYLE: Final[dict[str, Any]] = {
    "font.family": "DejaVu Sans",
    "font.size": 9.5,
    "axes.titlesize": 10.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#59636e",
    "axes.labelcolor": "#1b1f24",
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e6eaee",
    "grid.linewidth": 0.8,
    "xtick.color": "#59636e",
    "ytick.color": "#59636e",
    "xtick.labelcolor": "#1b1f24",
    "ytick.labelcolor": "#1b1f24",
    "legend.frameon": False,
    "lines.linewidth": 1.8,
    "lines.markersize": 5,
    "savefig.facecolor": "white",
    "figure.constrained_layout.w_pad": 0.08,
    "figure.constrained_layout.h_pad": 0.08,
}
"""How every figure looks; `training.studies.report.write.draw` applies it."""

COLOURS: Final = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#1b1f24", "#8a8f00")
_DASHES: Final = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (7, 2)), (0, (1, 1)), (0, (3, 1, 1, 1)))
_MARKERS: Final = ("o", "s", "^", "D", "v", "P", "X", "*")
_SOFT: Final = "#59636e"
_REGION: Final = "#F0E442"
_CORNERS: Final = (
    (0.02, 0.97, "unpleasant, excited"),
    (0.98, 0.97, "pleasant, excited"),
    (0.02, 0.025, "unpleasant, quiet"),
    (0.98, 0.025, "pleasant, quiet"),
)
"""What the corners of the plane feel like."""


@dataclass(frozen=True, slots=True)
class Look:
    """How one line or point is told from the others."""

    colour: str
    dash: Any
    marker: str


def look_of(names: Sequence[str]) -> dict[str, Look]:
    """Return how each name is drawn; the same names in the same order look alike in every figure."""
    return {
        name: Look(COLOURS[place % 8], _DASHES[place % 8], _MARKERS[(place + place // 8) % 8])
        for place, name in enumerate(names)
    }


def learning_curves(
    canvas: Canvas,
    panels: Mapping[str, Mapping[str, Float[ndarray, "_ _"]]],
    *,
    measure: str,
    kept: Mapping[str, Sequence[int]] | None = None,
) -> None:
    """Draw what training came to epoch by epoch: a panel per signal, a line per variant, a band of one SD.

    Args:
        canvas: empty.
        panels: signal → variant → values (R, T); NaN where a run had stopped.
        measure: what the values are, with their unit: the label of the vertical axis.
        kept: variant → the epoch each run kept, counted from 0; their mean is marked.
    """
    looks = look_of(list(dict.fromkeys(name for curves in panels.values() for name in curves)))
    axes = _panels(canvas, len(panels))
    for axis, (title, curves) in zip(axes, panels.items(), strict=True):
        for name, values in curves.items():
            mean, sd = _mean_and_sd(values)
            epochs = np.arange(1, len(mean) + 1)
            look = looks[name]
            axis.plot(epochs, mean, color=look.colour, linestyle=look.dash, label=name)
            axis.fill_between(epochs, mean - sd, mean + sd, color=look.colour, alpha=0.15, linewidth=0)
            if kept and kept.get(name):
                place = round(float(np.mean(kept[name])))
                axis.plot(epochs[place], mean[place], look.marker, color=look.colour, markeredgecolor="white")
        axis.set_title(title)
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    _label(axes, "epoch", measure)
    _legend(canvas, axes[0])


@dataclass(frozen=True, slots=True, kw_only=True)
class Bins:
    """Predictions gathered into bins of about equal number."""

    predicted: Float[ndarray, " b"]
    """The mean prediction in each bin."""
    observed: Float[ndarray, " b"]
    """The mean of what was observed there."""
    error: Float[ndarray, " b"]
    """Its standard error."""
    count: Int[ndarray, " b"]


def calibration_bins(predicted: Float[ndarray, " n"], observed: Float[ndarray, " n"], *, count: int = 10) -> Bins:
    """Return the predictions in bins of equal number, those without an observation (NaN) left out."""
    seen = ~np.isnan(observed)
    order = np.argsort(predicted[seen], kind="stable")
    groups = [group for group in np.array_split(order, count) if len(group)]
    x, y = predicted[seen], observed[seen]
    return Bins(
        predicted=np.array([x[group].mean() for group in groups], np.float64),
        observed=np.array([y[group].mean() for group in groups], np.float64),
        error=np.array([y[group].std() / len(group) ** 0.5 for group in groups], np.float64),
        count=np.array([len(group) for group in groups], np.int64),
    )


def calibration(canvas: Canvas, panels: Mapping[str, Mapping[str, Bins]], *, unit: str = "on [0, 1]") -> None:
    """Draw what was observed against what was predicted: a panel per signal, a line per model.

    On the diagonal a prediction is right on average; bars are 1.96 standard errors.

    Args:
        canvas: empty.
        panels: signal → model → bins.
        unit: of both axes.
    """
    looks = look_of(list(dict.fromkeys(name for models in panels.values() for name in models)))
    axes = _panels(canvas, len(panels))
    for axis, (title, models) in zip(axes, panels.items(), strict=True):
        ends = [edge for bins in models.values() for edge in (*bins.predicted, *bins.observed)]
        low, high = (max(0.0, min(ends) - 0.03), min(1.0, max(ends) + 0.03)) if ends else (0.0, 1.0)
        axis.plot([low, high], [low, high], color=_SOFT, linewidth=1, linestyle=(0, (2, 2)), zorder=1)
        for name, bins in models.items():
            look = looks[name]
            axis.errorbar(
                bins.predicted,
                bins.observed,
                yerr=1.96 * bins.error,
                color=look.colour,
                linestyle=look.dash,
                marker=look.marker,
                elinewidth=1,
                label=name,
            )
        axis.set(title=title, xlim=(low, high), ylim=(low, high))
        _square(axis)
    _label(axes, f"predicted, {unit}", f"observed, {unit}")
    _legend(canvas, axes[0])


def circumplex(
    canvas: Canvas,
    panels: Mapping[str, Mapping[str, Float[ndarray, "_ 2"]]],
    *,
    modes: Mapping[str, Mode] | None = None,
    whole: bool = False,
) -> None:
    """Draw where policies take listeners, step by step, among the regions that the modes steer toward.

    Args:
        canvas: empty.
        panels: title → policy → mean (valence, arousal) before the first song and after each (S+1, 2).
        modes: title → the mode whose region is filled there; others are outlined. All outlined when left out.
        whole: whether the whole plane is shown, for orientation; else each panel closes in on its paths.
    """
    looks = look_of(list(dict.fromkeys(name for paths in panels.values() for name in paths)))
    axes = _panels(canvas, len(panels))
    for axis, (title, paths) in zip(axes, panels.items(), strict=True):
        (left, right), (bottom, top) = ((0.0, 1.0), (0.0, 1.0)) if whole else _around(list(paths.values()))
        axis.set(title=title, xlim=(left, right), ylim=(bottom, top))
        _square(axis)
        axis.grid(visible=False)
        mode = (modes or {}).get(title)
        for each in MODE_REGIONS if mode is None else (mode,):
            _draw_region(axis, MODE_REGIONS[each], each.label, filled=each is mode, named=whole or each is mode)
        if whole:
            for x, y, words in _CORNERS:
                side = "left" if x < 0.5 else "right"
                axis.text(x, y, words, ha=side, va="center", fontsize=7.5, color=_SOFT)
        for name, path in paths.items():
            _draw_path(axis, path, looks[name], name)
        axis.axhline(0.5, color=_SOFT, linewidth=0.8, zorder=1)
        axis.axvline(0.5, color=_SOFT, linewidth=0.8, zorder=1)
    _label(axes, "valence, 0 to 1", "arousal, 0 to 1")
    _legend(canvas, axes[0])


def exposure_curves(canvas: Canvas, plays: Mapping[str, Int[ndarray, " N"]]) -> None:
    """Draw how policies share their recommendations out among the songs.

    Left, the share that the most offered songs take together; right, what each of them takes alone.

    Args:
        canvas: empty.
        plays: policy → how often it offered each song of the catalogue, those never offered included.
    """
    looks = look_of(list(plays))
    together, alone = _panels(canvas, 2)
    for name, counts in plays.items():
        if not counts.sum():
            continue
        shares = np.sort(counts)[::-1] / counts.sum()
        look = looks[name]
        songs = np.arange(1, len(shares) + 1)
        together.plot(songs / len(shares), shares.cumsum(), color=look.colour, linestyle=look.dash, label=name)
        offered = shares > 0
        alone.plot(songs[offered], shares[offered], color=look.colour, linestyle=look.dash, label=name)
    even = np.geomspace(1e-3, 1, 200)
    together.plot(even, even, color=_SOFT, linewidth=1, linestyle=(0, (2, 2)), label="all songs alike")
    together.set(xlabel="share of the catalogue, most offered songs first", ylabel="share of all recommendations")
    together.set(xscale="log", ylim=(0, 1.02), title="Together")
    together.xaxis.set_major_formatter(_percent())
    together.yaxis.set_major_formatter(_percent())
    alone.set(xlabel="song, by how often it was offered", ylabel="share of all recommendations", title="Each song")
    alone.set(xscale="log", yscale="log")
    alone.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    alone.yaxis.set_major_formatter(_percent())
    _legend(canvas, together)


@dataclass(frozen=True, slots=True, kw_only=True)
class Gain:
    """What a policy gains over the reference on one signal, as a share: .04 is four percent."""

    policy: str
    signal: str
    predicted: Interval
    """In the world model's own opinion."""
    true: Interval
    """As the judge has it: on the simulated platform, the true expectation."""


def exploitation_gap(canvas: Canvas, gains: Sequence[Gain], *, reference: str = "Copycat") -> None:
    """Draw predicted and true gain of each policy side by side; what lies between them is the exploitation gap.

    Args:
        canvas: empty.
        gains: one per policy and signal.
        reference: the policy over which they are gained.
    """
    signals = list(dict.fromkeys(gain.signal for gain in gains))
    policies = list(dict.fromkeys(gain.policy for gain in gains))
    axes = _panels(canvas, len(signals), share_y=True)
    for axis, signal in zip(axes, signals, strict=True):
        axis.axvline(0, color=_SOFT, linewidth=1)
        for gain in (each for each in gains if each.signal == signal):
            y = len(policies) - 1 - policies.index(gain.policy)
            axis.plot([gain.true.mean, gain.predicted.mean], [y, y], color="#c3cad1", linewidth=6, zorder=1)
            for interval, look, shift, name in (
                (gain.predicted, Look(COLOURS[1], "-", "s"), 0.11, "predicted by the world model"),
                (gain.true, Look(COLOURS[0], "-", "o"), -0.11, "true"),
            ):
                _bar(axis, interval, y + shift, look, name)
        axis.set(title=signal, xlabel=f"gain over {reference}", ylim=(-0.6, len(policies) - 0.4))
        axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:+.3g}%" if value else "0"))
        axis.xaxis.set_major_locator(MaxNLocator(5))
    axes[0].set_yticks(range(len(policies)), policies[::-1])
    _legend(canvas, axes[0])


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One line of a forest plot."""

    label: str
    interval: Interval | None
    """None where it cannot be told; the line then says so."""
    group: str = ""
    """Lines of one group stand together under its name."""


def forest(canvas: Canvas, differences: Sequence[Difference], *, measure: str, better: str = "") -> None:
    """Draw paired differences with their intervals, zero marked; filled where the interval excludes zero.

    Args:
        canvas: empty; about 0.3 inches of height per line look well.
        differences: from top to bottom.
        measure: what differs, with its unit: the label of the horizontal axis.
        better: said beside the axis, such as "→ better"; nothing when empty.
    """
    axis = canvas.add_subplot()
    axis.axvline(0, color=_SOFT, linewidth=1)
    axis.grid(visible=False, axis="y")
    labels: list[tuple[float, str, bool]] = []
    y, group = 0.0, ""
    for each in differences:
        if each.group != group:
            group = each.group
            y -= 0.4 if labels else 0.0
            labels.append((y, group, True))
            y -= 1
        labels.append((y, each.label, False))
        if each.interval is None:
            axis.annotate(
                "no estimate", (0, y), color=_SOFT, va="center", xytext=(6, 0), textcoords="offset points"
            )
        else:
            _bar(axis, each.interval, y, Look(COLOURS[0], "-", "o"), "", hollow=_holds_zero(each.interval))
        y -= 1
    axis.set_yticks([place for place, _, _ in labels], [text for _, text, _ in labels])
    for tick, (_, _, heading) in zip(axis.get_yticklabels(), labels, strict=True):
        tick.set_fontweight("bold" if heading else "normal")
    axis.tick_params(axis="y", length=0)
    axis.set(xlabel=f"{measure}   {better}".rstrip(), ylim=(y + 0.4, 0.7))
    axis.spines["left"].set_visible(False)


def _panels(canvas: Canvas, count: int, *, share_y: bool = False) -> list[Axes]:
    """Return panels side by side, in two rows beyond three."""
    columns = count if count <= 3 else -(-count // 2)
    grid = canvas.subplots(-(-count // columns), columns, squeeze=False, sharey=share_y)
    axes = list(grid.ravel())
    for spare in axes[count:]:
        spare.set_visible(False)
    return axes[:count]


def _legend(canvas: Canvas, axis: Axes) -> None:
    """Put one legend for all panels below them; none where there is nothing to tell apart."""
    handles, labels = axis.get_legend_handles_labels()
    unique = dict(zip(labels, handles, strict=True))
    if unique:
        rows = -(-len(unique) // 5)
        columns = -(-len(unique) // rows)
        canvas.legend(unique.values(), unique.keys(), loc="outside lower center", ncols=columns)


def _label(axes: Sequence[Axes], x: str, y: str) -> None:
    """Label every horizontal axis, and the vertical ones that stand first in their row."""
    for axis in axes:
        axis.set_xlabel(x)
        place = axis.get_subplotspec()
        if place is not None and place.is_first_col():
            axis.set_ylabel(y)


def _square(axis: Axes) -> None:
    """Give both axes of a plane of equal units the same length and few ticks."""
    axis.set_aspect("equal")
    for each in (axis.xaxis, axis.yaxis):
        each.set_major_locator(MaxNLocator(5))
        each.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.2f}"))


def _mean_and_sd(values: Float[ndarray, "R T"]) -> tuple[Float[ndarray, " t"], Float[ndarray, " t"]]:
    """Return mean and SD over the runs that were still going; epochs that none reached are cut off."""
    seen = ~np.isnan(values)
    values, seen = values[:, seen.any(axis=0)], seen[:, seen.any(axis=0)]
    count = seen.sum(axis=0)
    mean = np.where(seen, values, 0).sum(axis=0) / count
    squares = (np.where(seen, values - mean, 0) ** 2).sum(axis=0)
    return mean, np.sqrt(squares / np.maximum(count - 1, 1))


def _draw_region(axis: Axes, region: TargetRegion, name: str, *, filled: bool, named: bool) -> None:
    """Draw what is in sight of a region, and its name; where it is out of sight, the name points there."""
    (left, right), (bottom, top) = region.valence, region.arousal
    corner, width, height = (left, bottom), right - left, top - bottom
    if filled:
        axis.add_patch(Rectangle(corner, width, height, facecolor=_REGION, alpha=0.35, edgecolor="none"))
    axis.add_patch(Rectangle(corner, width, height, fill=False, edgecolor="#9aa3ad", linestyle=(0, (3, 2))))
    if not named:
        return
    (west, east), (south, north) = axis.get_xlim(), axis.get_ylim()
    if left < east and right > west and bottom < north and top > south:
        place, words, across, up = (min(right, east), min(top, north)), name, 1, 1
    else:
        across, up = int(left >= east) - int(right <= west), int(bottom >= north) - int(top <= south)
        middle = np.array([(west + east) / 2, (south + north) / 2])
        place = tuple(middle + np.array([across, up]) * [(east - west) / 2, (north - south) / 2])
        words = f"{name} {_ARROWS[across, up]}"
    axis.annotate(
        words,
        place,
        xytext=(-3 * across, -3 * up),
        textcoords="offset points",
        ha=("center", "right", "left")[across],
        va=("center", "top", "bottom")[up],
        fontsize=7.5,
    )


_ARROWS: Final = {
    (1, 0): "→", (1, 1): "↗", (0, 1): "↑", (-1, 1): "↖", (-1, 0): "←", (-1, -1): "↙", (0, -1): "↓", (1, -1): "↘"
}  # fmt: skip


def _draw_path(axis: Axes, path: Float[ndarray, "_ 2"], look: Look, name: str) -> None:
    axis.plot(path[:, 0], path[:, 1], color=look.colour, linestyle=look.dash, zorder=3)
    axis.plot(path[:1, 0], path[:1, 1], "o", color="white", markeredgecolor=look.colour, markersize=6, zorder=4)
    axis.plot(path[1:-1, 0], path[1:-1, 1], ".", color=look.colour, markersize=4, zorder=4)
    axis.plot(path[-1:, 0], path[-1:, 1], look.marker, color=look.colour, markersize=8, zorder=5, label=name)


def _around(paths: Sequence[Float[ndarray, "_ 2"]]) -> tuple[tuple[float, float], tuple[float, float]]:
    """Return square limits that hold the paths with room to breathe, never outside the plane."""
    points = np.concatenate(list(paths)) if paths else np.array([[0.0, 0.0], [1.0, 1.0]])
    low, high = points.min(axis=0), points.max(axis=0)
    half = max(0.6 * float((high - low).max()), 0.08)
    middle = np.clip((low + high) / 2, half, 1 - half)
    (left, bottom), (right, top) = middle - half, middle + half
    return (float(left), float(right)), (float(bottom), float(top))


def _bar(axis: Axes, interval: Interval, y: float, look: Look, name: str, *, hollow: bool = False) -> None:
    axis.errorbar(
        interval.mean,
        y,
        xerr=[[interval.mean - interval.low], [interval.high - interval.mean]],
        color=look.colour,
        marker=look.marker,
        markerfacecolor="white" if hollow else look.colour,
        markersize=6,
        capsize=2.5,
        linewidth=1.5,
        linestyle="none",
        label=name,
    )


def _holds_zero(interval: Interval) -> bool:
    return interval.low <= 0 <= interval.high


def _percent() -> FuncFormatter:
    return FuncFormatter(lambda value, _: f"{100 * value:g}%")
