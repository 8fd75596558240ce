"""Situations are found again wherever their windows are read: in what order, and how far, changes no state."""

import numpy as np
import torch
from torch.testing import assert_close

from tests.training import small_run
from training.situations import Situations, draw_windows, situations_in
from training.trained import states_in


def some_situations() -> Situations:
    made = small_run.material()
    windows = draw_windows(made.listening, made.split.train, small_run.PRESET.windows, np.random.default_rng(0))
    return situations_in(
        windows.in_columns(made.histories),
        made.histories,
        made.listening,
        np.random.default_rng(1).random(len(made.histories.song_row)) < 0.2,  # so that some windows have none
        per_window=3,
        rng=np.random.default_rng(2),
    )


def test_spots_hold_every_situation_and_end_at_the_last_of_a_window():
    situations = some_situations()
    rows = np.random.default_rng(3).permutation(len(situations))[:40]
    spots = situations.spots(rows)

    assert spots.places[spots.owner, spots.slot].tolist() == situations.place[rows].tolist()
    assert spots.windows.first[spots.owner].tolist() == situations.windows.first[situations.window[rows]].tolist()
    assert spots.windows.length.tolist() == spots.places.max(axis=1).tolist()


def test_nothing_has_no_spots():
    spots = some_situations().spots(np.zeros(0, np.int64))

    assert len(spots.windows) == len(spots.owner) == 0


def test_states_are_those_of_each_window_read_alone():
    situations, histories = some_situations(), small_run.material().histories
    network = small_run.reference().network
    found = states_in(situations, histories, network.states_at)

    assert len(found) == len(situations)
    for number in range(0, len(situations), 25):
        window = situations.windows.take(situations.window[[number]])
        batch = histories.batch(window)
        with torch.inference_mode():
            alone = network.states(batch.song, batch.features)[0, situations.place[number]]
        assert_close(torch.from_numpy(found[number]), alone, rtol=1e-4, atol=1e-5)
