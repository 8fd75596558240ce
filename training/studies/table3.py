"""Table 3: the deployed world model with one input removed, in training and in test.

No history is a lookback of nothing: every song is predicted as if it were the listener's first. A lookback of ten
or five is kept to the token in the test; in training, windows hold at most as much. Without feedback, the reports
before sessions are gone as well; historical songs and the candidate are removed from the linear part as from the
network.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from training.networks.inputs import Inputs
from training.studies.cells import Cell, Figure, Records, Results, ResultTable
from training.studies.prediction_runs import Network, run_contender
from training.studies.prediction_tables import (
    calibration_figure,
    curve_figure,
    differences_table,
    order_table,
    paper_table,
)
from training.studies.scales import Scale
from training.tasks import Advance
from training.world_model import WorldPreset

_SPACE: Final = "mert_sim"
_SPLITS: Final = 3
"""On so many splits each ablation runs, at most."""

BASE: Final = Network(name="Factorized MERT no-PE (base)", space=_SPACE)
ABLATIONS: Final = (
    BASE,
    Network(name="– User history", space=_SPACE, inputs=Inputs(lookback=0)),
    Network(name="– Feedback signals", space=_SPACE, inputs=Inputs(feedback=False)),
    Network(name="– Historical songs", space=_SPACE, inputs=Inputs(past_songs=False)),
    Network(name="– Max lookback 10", space=_SPACE, inputs=Inputs(lookback=10)),
    Network(name="– Max lookback 5", space=_SPACE, inputs=Inputs(lookback=5)),
    Network(name="– Recommended song", space=_SPACE, inputs=Inputs(candidate=False)),
)
"""In the paper's order."""

PAPER: Final[Mapping[str, Sequence[str]]] = {
    "Factorized MERT no-PE (base)": (
        *("0.055 (0.014)", "16.4 (7.1)", "74.1 (7.8)"),
        *("0.027 (0.005)", "42.6 (10.3)", "0.037 (0.012)", "37.9 (18.4)"),
    ),
    "– User history": (
        *("0.067 (0.021)***", "−1.4 (3.6)***", "56.9 (4.9)***"),
        *("0.045 (0.007)***", "4.2 (4.8)***", "0.057 (0.007)***", "4.6 (3.3)***"),
    ),
    "– Feedback signals": (
        *("0.062 (0.020)**", "5.4 (5.5)**", "59.3 (6.6)***"),
        *("0.045 (0.010)***", "3.2 (15.3)***", "0.061 (0.014)***", "−0.5 (18.1)***"),
    ),
    "– Historical songs": (
        *("0.054 (0.014)", "18.1 (4.7)", "74.0 (7.1)"),
        *("0.026 (0.005)", "44.1 (8.1)", "0.035 (0.012)", "41.2 (20.9)"),
    ),
    "– Max lookback 10": (
        *("0.053 (0.013)", "17.9 (6.1)", "73.5 (6.7)"),
        *("0.025 (0.005)", "45.8 (5.3)", "0.034 (0.007)", "42.7 (12.3)"),
    ),
    "– Max lookback 5": (
        *("0.054 (0.014)", "16.9 (6.5)", "73.5 (7.1)"),
        *("0.028 (0.002)", "39.0 (7.6)", "0.036 (0.007)", "38.9 (11.2)"),
    ),
    "– Recommended song": (
        *("0.055 (0.016)", "16.2 (6.2)", "73.4 (7.9)"),
        *("0.028 (0.006)", "40.0 (12.3)", "0.037 (0.010)", "37.9 (17.6)"),
    ),
}
"""AMRS Table 3."""

_NOTE: Final = "The linear part is under every row, fitted on what the row is shown."
_BY_NAME: Final = {each.name: each for each in ABLATIONS}


@dataclass(frozen=True, slots=True, kw_only=True)
class Table3:
    """One cell per ablation and split."""

    name: str = "table3"
    title: str = "One input removed, beside the paper's Table 3"
    revision: int = 1

    def cells(self, scale: Scale) -> list[Cell]:
        """Return the cells, ablation by ablation."""
        return [
            Cell(study=self.name, settings=(("contender", each.name), ("split", split)))
            for each in ABLATIONS
            for split in range(min(scale.splits, _SPLITS))
        ]

    def reads(self, scale: Scale) -> WorldPreset:
        """Return the recipe of world models."""
        return scale.preset.world

    def run(self, cell: Cell, log: Path, scale: Scale, advance: Advance) -> Records:
        """Return what came of one ablation on one split."""
        return run_contender(
            _BY_NAME[cell.text("contender")],
            log,
            preset=scale.preset.world,
            split=cell.number("split"),
            advance=advance,
        )

    def tables(self, results: Results) -> list[ResultTable]:
        """Return the paper's table, its tests, and what songs do."""
        names = list(_BY_NAME)
        return [
            paper_table(
                results, name="table3", title=self.title, rows=names, base=BASE.name, paper=PAPER, note=_NOTE
            ),
            differences_table(results, name="table3-tests", rows=names, base=BASE.name),
            order_table(results, name="table3-song-order", rows=names),
        ]

    def figures(self, results: Results) -> list[Figure]:
        """Return the learning curves and the calibration of every row."""
        names = list(_BY_NAME)
        return [
            curve_figure(results, name="table3-curves", rows=names),
            calibration_figure(results, name="table3-calibration", rows=names),
        ]
