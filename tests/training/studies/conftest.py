"""A small simulated log on disk, made once."""

from pathlib import Path

import pytest

from models.log import read_log, write_log
from training.platform.as_log import simulated_log
from training.platform.parameters import PlatformParameters, sized_like_paper
from training.platform.simulate import simulate


@pytest.fixture(scope="session")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a log of 40 listeners."""
    folder = tmp_path_factory.mktemp("logs") / "tiny"
    write_log(simulated_log(simulate(PlatformParameters(), sized_like_paper(40, 150), seed=3)), folder)
    return folder


@pytest.fixture(scope="session")
def log_digest(log: Path) -> str:
    """What that log says, as a digest."""
    return read_log(log).digest()
