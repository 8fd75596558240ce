"""Every policy is heard by the model it was tuned on, by another one, and in truth; the table has all three."""

from functools import cache
from pathlib import Path

import pytest

from models.log import write_log
from tests.training import small_run
from tests.training.studies import hasty
from training.statistics import Interval
from training.studies.cache import plain_records
from training.studies.cells import Cell, Records
from training.studies.contenders import COPYCAT, OUR_DPO
from training.studies.intervals import interval_fields
from training.studies.judges import Judges
from training.studies.scales import Scale

SCALE = Scale(name="tiny", preset=hasty.PRESET, splits=2, seeds=1)
CELL = Cell(study="judges", settings=(("seed", 0),))


@pytest.fixture(scope="module")
def log(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("judges") / "log"
    write_log(small_run.material().log, folder)
    return folder


def test_a_cell_has_every_judges_opinion_of_every_policy(log):
    records = Judges().run(CELL, log, SCALE, lambda _: None)

    plain_records(CELL, records)  # refuses NaN
    assert records["about"][0]["listeners of each half"] == 24
    assert COPYCAT not in {row["policy"] for row in records["opinions"]}
    assert {"Random", "Greedy"} < {row["policy"] for row in records["opinions"]}
    assert all(row[judge] is not None for row in records["opinions"] for judge in ("own", "disjoint", "true"))
    assert any(row["own"] != row["disjoint"] for row in records["opinions"])


@cache
def told(own: float, disjoint: float) -> Records:
    return {
        "opinions": [
            {
                "policy": OUR_DPO,
                "signal": "valence",
                **interval_fields("own", Interval(mean=own, low=own - 0.01, high=own + 0.01)),
                **interval_fields("disjoint", Interval(mean=disjoint, low=disjoint, high=disjoint)),
                **interval_fields("true", None),
            }
        ]
    }


def test_seeds_that_share_their_listeners_are_averaged_without_growing_surer():
    second = Cell(study="judges", settings=(("seed", 1),))
    (table,) = Judges().tables([(CELL, told(0.04, 0.01)), (second, told(0.06, 0.03))])

    valence = next(row for row in table.rows if row[1] == "valence")
    assert valence == (OUR_DPO, "valence", "+5.0 [+4.0, +6.0]", "+2.0 [+2.0, +2.0]", None, "+3.0", None)
