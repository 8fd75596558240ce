"""A stage that has nothing to work on says so, whoever asked for it."""

from dataclasses import replace

import numpy as np
import pytest

from models.errors import DataError
from tests.training import small_run
from training.pairs import NegativeHistoryPairs
from training.situations import draw_windows
from training.stages import pair_situations


def test_a_log_in_which_nothing_was_disliked_has_no_situation_for_the_papers_pairs():
    made, rng = small_run.material(), np.random.default_rng(0)
    liked = np.ones_like(made.histories.targets)
    contented = replace(made, histories=replace(made.histories, targets=liked))
    windows = draw_windows(made.listening, made.split.train, small_run.PRESET.windows, rng)

    with pytest.raises(DataError, match=f"no play among {len(windows)} windows suits NegativeHistoryPairs"):
        pair_situations(contented, windows, NegativeHistoryPairs(), small_run.PRESET, rng)
