"""Who knows the latent state predicts better than who knows the history, and both better than no song at all."""

import numpy as np
import pytest

from training.platform.ceilings import Ceilings, measure_ceilings, observed_labels, scores
from training.platform.simulate import Simulation

SIGNALS = ("engagement", "rating", "valence", "arousal")


@pytest.fixture(scope="module")
def ceilings(simulation: Simulation) -> Ceilings:
    return measure_ceilings(simulation, np.random.default_rng(0))


@pytest.mark.parametrize("signal", SIGNALS)
def test_the_observed_history_never_beats_the_latent_state(ceilings: Ceilings, signal: str) -> None:
    assert ceilings.observed[signal] < ceilings.latent[signal]


@pytest.mark.parametrize("signal", SIGNALS)
def test_the_observed_history_beats_the_mean(ceilings: Ceilings, signal: str) -> None:
    floor = 0.5 if signal == "rating" else 0.0
    assert ceilings.observed[signal] > floor + 0.1


def test_hiding_the_candidate_song_costs_valence_no_more_than_the_paper_shows(ceilings: Ceilings) -> None:
    cost = ceilings.observed["valence"] - ceilings.observed_without_song["valence"]

    assert -0.01 < cost < 0.06


def test_the_history_orders_songs_better_than_chance_and_worse_than_the_truth(ceilings: Ceilings) -> None:
    for share in ceilings.song_order.values():
        assert 0.7 < share < 0.95


def test_ceilings_can_be_taken_over_some_listeners(simulation: Simulation, ceilings: Ceilings) -> None:
    some = measure_ceilings(simulation, np.random.default_rng(0), listener=np.arange(0, 120, 2))

    assert some.observed["valence"] != ceilings.observed["valence"]
    assert some.observed["valence"] == pytest.approx(ceilings.observed["valence"], abs=0.2)


def test_r_squared_and_auc_match_values_worked_by_hand(simulation: Simulation) -> None:
    """Labels 0, 1 predicted .25, .75: R² = 1 − .0625/.25 = .75. One of four rating pairs is in the wrong order."""
    predictions = np.array([[0.25, 0.1, 0, 0], [0.75, 0.4, 1, 1], [0.5, 0.35, 0.5, 0.5], [0.5, 0.8, 0.5, 0.5]])
    labels = np.array([[0, 0, 0, 0], [1, 0, 1, 1], [np.nan, 1, 0.5, 0.5], [np.nan, 1, 0.5, 0.5]])

    by_signal = scores(predictions, labels)

    assert by_signal["engagement"] == pytest.approx(0.75)
    assert by_signal["rating"] == pytest.approx(0.75)
    assert by_signal["valence"] == pytest.approx(1)


def test_labels_stand_at_last_plays(simulation: Simulation) -> None:
    labels = observed_labels(simulation)
    reported = ~np.isnan(labels[:, 2])

    assert simulation.schedule.is_last_play[reported].all()
    assert reported.sum() == simulation.size.end_report_count
