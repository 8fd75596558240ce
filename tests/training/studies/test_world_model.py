"""The study's table has every row, on listeners nobody was trained on, and orders songs better than chance."""

from dataclasses import replace

import numpy as np

from tests.training import small_run
from training.studies.world_model import rows


def test_every_row_is_there_and_the_models_beat_persistence():
    made = small_run.material()
    preset = replace(small_run.PRESET.world, member_count=1)
    table = dict(
        rows(made.histories, made.split, made.truth, names=made.feature_names, preset=preset, seed=0, processes=1)
    )

    assert list(table)[:4] == ["persistence", "listener mean", "linear part alone", "one world model"]
    assert len(table["1 world models"]) == 6
    assert table["one world model"][2] > table["persistence"][2]
    assert np.isfinite(table["best from the history"]).all()
