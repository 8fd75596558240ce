"""Table 2: world models by architecture, positional encoding and embedding, beside their references and ceilings.

Eight configurations as in the paper: factorized or standard, without positional encoding or with RoPE, on two
embedding spaces. On the paper's scale four of them run on every split, the others on the first three. Beside them
the factorized model on the paper's inputs alone, the deployed model on songs it was never trained on, what anybody
would predict without a world model, and what nobody could predict better.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from training.networks.positions import Rotary
from training.networks.standard import StandardWorldModelConfig
from training.studies.cells import Cell, Figure, Records, Results, ResultTable
from training.studies.prediction_runs import (
    LATENT_CEILING,
    LINEAR_ALONE,
    OBSERVED_CEILING,
    OWN_CEILINGS,
    Contender,
    Network,
    NewSongs,
    PapersInputs,
    References,
    run_contender,
)
from training.studies.prediction_tables import (
    calibration_figure,
    candidate_table,
    curve_figure,
    differences_table,
    order_table,
    paper_table,
    share_table,
)
from training.studies.scales import Scale
from training.tasks import Advance
from training.world_model import WorldPreset

_MERT, _CLAMP = "mert_sim", "clamp3_sim"
_EVERY_SPLIT: Final = 3
"""On the first of the splits, so many of them, all configurations run."""

DEPLOYED: Final = Network(name="Factorized MERT", space=_MERT)
CONFIGURATIONS: Final = (
    Network(name="Transformer CLaMP 3", space=_CLAMP, form=StandardWorldModelConfig),
    Network(name="Transformer MERT", space=_MERT, form=StandardWorldModelConfig),
    Network(name="Transformer CLaMP 3 + PE", space=_CLAMP, form=StandardWorldModelConfig, positions=Rotary()),
    Network(name="Transformer MERT + PE", space=_MERT, form=StandardWorldModelConfig, positions=Rotary()),
    Network(name="Factorized CLaMP 3", space=_CLAMP),
    DEPLOYED,
    Network(name="Factorized CLaMP 3 + PE", space=_CLAMP, positions=Rotary()),
    Network(name="Factorized MERT + PE", space=_MERT, positions=Rotary()),
)
"""In the paper's order."""
_OTHERS: Final[tuple[Contender, ...]] = (
    PapersInputs(space=_MERT),
    NewSongs(space=_MERT),
    References(space=_MERT),
)
_CONTENDERS: Final[Mapping[str, Contender]] = {each.name: each for each in (*CONFIGURATIONS, *_OTHERS)}
_FEW_SPLITS: Final = frozenset(
    {
        *("Transformer CLaMP 3", "Transformer CLaMP 3 + PE", "Transformer MERT + PE", "Factorized CLaMP 3 + PE"),
        PapersInputs().name,
    }
)
"""Contenders that run on the first splits alone."""

PAPER: Final[Mapping[str, Sequence[str]]] = {
    "Transformer CLaMP 3": (
        *("0.059 (0.015)", "10.3 (10.0)*", "68.8 (8.4)**"),
        *("0.029 (0.005)**", "36.7 (10.1)**", "0.040 (0.008)", "32.5 (15.2)"),
    ),
    "Transformer MERT": (
        *("0.055 (0.016)", "16.9 (7.0)", "72.9 (7.4)*"),
        *("0.026 (0.005)", "43.3 (11.1)", "0.036 (0.010)", "40.2 (16.2)"),
    ),
    "Transformer CLaMP 3 + PE": (
        *("0.058 (0.018)", "12.0 (6.4)*", "64.3 (8.8)***"),
        *("0.031 (0.007)", "31.6 (20.0)", "0.038 (0.008)", "35.9 (13.6)"),
    ),
    "Transformer MERT + PE": (
        *("0.057 (0.017)", "13.6 (5.5)", "67.7 (7.3)**"),
        *("0.031 (0.006)***", "33.6 (11.8)***", "0.038 (0.010)", "35.7 (17.6)"),
    ),
    "Factorized CLaMP 3": (
        *("0.056 (0.017)", "15.6 (5.7)", "71.7 (7.5)"),
        *("0.029 (0.006)", "39.0 (11.2)", "0.036 (0.008)", "39.6 (14.2)"),
    ),
    "Factorized MERT": (
        *("0.055 (0.014)", "16.4 (7.1)", "74.1 (7.8)"),
        *("0.027 (0.005)", "42.6 (10.3)", "0.037 (0.012)", "37.9 (18.4)"),
    ),
    "Factorized CLaMP 3 + PE": (
        *("0.057 (0.018)", "14.2 (7.1)", "73.1 (7.8)"),
        *("0.030 (0.005)**", "36.3 (9.0)**", "0.039 (0.010)", "35.1 (18.0)"),
    ),
    "Factorized MERT + PE": (
        *("0.055 (0.018)", "16.2 (6.3)", "73.4 (7.3)"),
        *("0.029 (0.004)", "37.4 (11.0)*", "0.039 (0.012)", "34.5 (19.2)"),
    ),
}
"""AMRS Table 2."""

_NOTE: Final = (
    "Every configuration carries the closed-form linear part, which reads running means and every song of a "
    "session; the transformers learn what is left."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Table2:
    """One cell per contender and split."""

    name: str = "table2"
    title: str = "World models beside the paper's Table 2"
    revision: int = 1

    def cells(self, scale: Scale) -> list[Cell]:
        """Return the cells, contender by contender."""
        return [
            Cell(study=self.name, settings=(("contender", name), ("split", split)))
            for name in _CONTENDERS
            for split in range(min(scale.splits, _EVERY_SPLIT) if name in _FEW_SPLITS else scale.splits)
        ]

    def reads(self, scale: Scale) -> WorldPreset:
        """Return the recipe of world models."""
        return scale.preset.world

    def run(self, cell: Cell, log: Path, scale: Scale, advance: Advance) -> Records:
        """Return what came of one contender on one split."""
        contender = _CONTENDERS[cell.text("contender")]
        return run_contender(
            contender, log, preset=scale.preset.world, split=cell.number("split"), advance=advance
        )

    def tables(self, results: Results) -> list[ResultTable]:
        """Return the paper's table, its tests, the shares of the ceiling, and what songs do."""
        configurations = [each.name for each in CONFIGURATIONS]
        alone = PapersInputs().name
        rows = [*_REFERENCES, alone, *configurations, *OWN_CEILINGS, OBSERVED_CEILING, LATENT_CEILING]
        return [
            paper_table(
                results,
                name="table2",
                title=self.title,
                rows=configurations,
                base=DEPLOYED.name,
                paper=PAPER,
                note=_NOTE,
            ),
            differences_table(
                results, name="table2-tests", rows=[*configurations, alone, *_REFERENCES], base=DEPLOYED.name
            ),
            share_table(
                results,
                name="table2-references",
                rows=rows,
                ceiling=OBSERVED_CEILING,
                own=OWN_CEILINGS,
            ),
            order_table(results, name="table2-song-order", rows=[*_ORDERS, *rows]),
            candidate_table(results, name="table2-candidate", rows=rows),
        ]

    def figures(self, results: Results) -> list[Figure]:
        """Return learning curves of all, and the calibration of a few."""
        names = [each.name for each in CONFIGURATIONS]
        few = [DEPLOYED.name, "Transformer MERT", PapersInputs().name]
        return [
            curve_figure(results, name="table2-curves", rows=names),
            calibration_figure(results, name="table2-calibration", rows=few),
        ]


_REFERENCES: Final = ("persistence", "listener mean", "ridge on 14 hand-made features", LINEAR_ALONE)
_ORDERS: Final = ("population tag", "plays by training listeners", "best linear reading of the embedding")
