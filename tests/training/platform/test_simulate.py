"""One seed gives one platform to the last bit, and what is observed is the truth through noise."""

import numpy as np

from training.platform.as_log import simulated_log
from training.platform.dynamics import drift, song_effect
from training.platform.parameters import PlatformParameters, sized_like_paper
from training.platform.simulate import Simulation, simulate
from training.platform.truth import recover_truth


def test_the_same_seed_gives_the_same_log_to_the_last_bit() -> None:
    size = sized_like_paper(20, 150)
    once, again, other = (simulated_log(simulate(PlatformParameters(), size, seed)).digest() for seed in (1, 1, 2))

    assert once == again
    assert once != other


def test_counts_are_met_exactly(simulation: Simulation) -> None:
    size = simulation.size

    assert len(simulation.song) == size.play_count
    assert len(simulation.before) == size.session_count
    assert np.sum(simulation.rating == 1) == size.positive_rating_count
    assert np.sum(simulation.rating == 0) == size.negative_rating_count
    assert np.sum(~np.isnan(simulation.after[:, 0])) == size.end_report_count


def test_every_step_of_affect_is_drift_effect_and_process_noise(simulation: Simulation) -> None:
    schedule, feedback = simulation.schedule, simulation.parameters.feedback
    inside = np.flatnonzero(schedule.position > 0)
    owner = schedule.listener_of_play[inside]
    expected = drift(simulation.listeners, owner, simulation.affect[inside - 1])
    expected += song_effect(
        simulation.songs, simulation.listeners, feedback, owner, simulation.song[inside, None]
    )[:, 0]

    left = simulation.affect[inside] - expected

    np.testing.assert_allclose(left.std(0), feedback.process_spread, rtol=0.05)
    np.testing.assert_allclose(left.mean(0), 0, atol=0.003)


def test_reports_stay_on_the_scale_and_around_the_truth(simulation: Simulation) -> None:
    error = simulation.before - simulation.start
    inside = (simulation.before > 0) & (simulation.before < 1)

    assert np.nanmin(simulation.before) >= 0
    assert np.nanmax(simulation.before) <= 1
    assert abs(error[inside].mean()) < 0.02


def test_liked_songs_are_rated_sooner_and_likelier_liked(simulation: Simulation) -> None:
    rated = ~np.isnan(simulation.rating)

    assert np.abs(simulation.liking[rated]).mean() > np.abs(simulation.liking[~rated]).mean()
    assert simulation.liking[simulation.rating == 1].mean() > simulation.liking[simulation.rating == 0].mean()


def test_plays_follow_one_another_within_their_session(simulation: Simulation) -> None:
    schedule = simulation.schedule
    inside = schedule.position > 0

    assert (np.diff(simulation.played_at)[inside[1:]] > 0).all()
    np.testing.assert_allclose(simulation.played_at[~inside], schedule.started_at)
    assert (simulation.ended_at > schedule.started_at).all()


def test_progress_counts_every_play() -> None:
    told: list[int] = []
    size = sized_like_paper(10, 120)

    simulate(PlatformParameters(), size, 0, told.append)

    assert sum(told) == size.play_count


def test_another_runs_songs_can_be_played_to_listeners_of_ones_own() -> None:
    first = simulated_log(simulate(PlatformParameters(), sized_like_paper(20, 150), 1))
    fresh = simulated_log(simulate(PlatformParameters(), sized_like_paper(30, 150), 2, catalogue_seed=1))

    assert fresh.songs.equals(first.songs)
    assert all(np.array_equal(fresh.embeddings[space], first.embeddings[space]) for space in first.embeddings)
    assert not fresh.plays.head(50).equals(first.plays.head(50))


def test_the_truth_of_borrowed_songs_is_recovered_too() -> None:
    log = simulated_log(simulate(PlatformParameters(), sized_like_paper(20, 150), 2, catalogue_seed=1))

    assert recover_truth(log).simulation.catalogue_seed == 1
