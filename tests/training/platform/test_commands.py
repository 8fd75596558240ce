"""`amrs logs simulate` writes a log, says what is in it, and touches nothing when it cannot."""

import io
from pathlib import Path

import pytest
from rich.console import Console

from models.errors import DataError
from models.log import read_log
from training.platform.commands import simulate_log
from training.platform.parameters import SIZES, sized_like_paper
from training.platform.perturbations import read_perturbations
from training.platform.truth import recover_truth


def test_a_platform_is_written_and_reported(tmp_path: Path) -> None:
    said = io.StringIO()
    console = Console(file=said, width=120)

    simulate_log(size=sized_like_paper(40, 200), seed=0, out=tmp_path / "log", console=console)

    assert len(read_log(tmp_path / "log").listeners) == 40
    for words in ("unique songs played", "SD of valence", "knows the latent state", "observed history"):
        assert words in said.getvalue()


def test_a_perturbed_platform_says_so(tmp_path: Path) -> None:
    simulate_log(
        size=sized_like_paper(40, 200),
        seed=0,
        out=tmp_path / "log",
        console=Console(file=io.StringIO()),
        perturbations=read_perturbations(["responsiveness=2"]),
    )

    written = read_log(tmp_path / "log")
    assert written.description.provenance["perturbations"] == "responsiveness=2.0"
    assert recover_truth(written).simulation.parameters.listeners.gain == (0.032, 0.040)


def test_an_occupied_folder_is_refused_before_any_work(tmp_path: Path) -> None:
    (tmp_path / "kept").write_text("mine")

    with pytest.raises(DataError, match="new or empty folder"):
        simulate_log(size=SIZES["large"], seed=0, out=tmp_path, console=Console(file=io.StringIO()))
