"""One invented benchmark for all tests; the real one where AMRS_SITUNES_DIR says it is."""

import os
from pathlib import Path

import pytest

from tests.training.situnes.invented import invent_situnes


@pytest.fixture(scope="session")
def invented(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return invent_situnes(tmp_path_factory.mktemp("situnes") / "data")


@pytest.fixture(scope="session")
def published() -> Path:
    if "AMRS_SITUNES_DIR" not in os.environ:
        pytest.skip("AMRS_SITUNES_DIR does not name a copy of SiTunes")
    return Path(os.environ["AMRS_SITUNES_DIR"])
