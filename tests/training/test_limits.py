"""Limits are quantiles of what Copycat's candidates need: strict enough to forbid, too wide to starve."""

import numpy as np
import pytest

from models.guardrails import Standing, Steps
from models.listening import Mode, Population
from tests.training import small_run
from training.limits import (
    ProposedSteps,
    approved_songs,
    derive_limits,
    leave_one_out_distances,
    limit_for,
    mean_reports,
    nearest_distances,
)


def test_a_limit_allows_the_share_it_is_meant_to(rng: np.random.Generator):
    needed = rng.normal(size=(400, 100))
    limit = limit_for(needed, share_allowed=0.9, share_starved=0.05)

    assert np.mean(needed <= limit) == pytest.approx(0.9, abs=0.01)


def test_a_limit_rather_widens_than_starves(rng: np.random.Generator):
    """Where candidates of one situation are all alike, the quantile of all would leave a tenth of them nothing."""
    needed = np.repeat(rng.normal(size=(1000, 1)), 20, axis=1)
    limit = limit_for(needed, share_allowed=0.9, share_starved=0.02)

    assert np.mean((needed <= limit).any(axis=1)) >= 0.979


def test_clinical_limits_are_never_wider_than_a_consumers():
    limits = small_run.setting().table.limits

    for mode in Mode:
        clinical, consumer = (limits[who.label][mode.label] for who in (Population.CLINICAL, Population.CONSUMER))
        for name in ("arousal_rise", "arousal_fall", "arousal_band", "valence_fall", "support_distance"):
            assert getattr(clinical, name) <= getattr(consumer, name)


def test_an_unspecified_population_has_clinical_limits():
    limits = small_run.setting().table.limits

    assert limits["unspecified"] == limits["clinical"]


def test_distances_match_the_values_worked_by_hand():
    """On a line at 0, 3 and 7, the nearest others lie 3, 3 and 4 away; a point at 1 lies 1 from the first."""
    support = np.array([[0.0], [3.0], [7.0]], np.float32)

    assert leave_one_out_distances(support).tolist() == [3.0, 3.0, 4.0]
    assert nearest_distances(np.array([[1.0]], np.float32), support).tolist() == [1.0]


def test_priors_are_the_mean_reports_of_each_population():
    listening = small_run.material().listening
    clinical = listening.population[listening.listener_of_session] == Population.CLINICAL

    expected = np.nanmean(listening.before[clinical], axis=0)
    assert mean_reports(listening)["clinical"] == pytest.approx(expected.tolist(), abs=1e-4)


def test_a_population_that_said_nothing_takes_the_mean_of_all():
    listening = small_run.material().listening

    assert mean_reports(listening)["unspecified"] == pytest.approx(
        np.nanmean(listening.before, axis=0).tolist(), abs=1e-4
    )


def test_an_approved_song_was_liked_and_never_disliked():
    made = small_run.material()
    listening, ids = made.listening, made.log.songs["song_id"].to_list()
    rows = made.catalogue.rows(listening.song)
    approved = approved_songs(listening, rows, ids, np.linspace(0, 1, len(ids)))

    disliked = {ids[row] for row in rows[listening.rating == 0]}
    liked = {ids[row] for row in rows[listening.rating == 1]}
    for songs in approved.values():
        assert songs
        assert set(songs) <= liked - disliked
    assert {int(each.rsplit("-", 1)[1]) for each in approved["sleep"]} <= set(range(len(ids) // 3 + 1))


def test_songs_without_a_tag_are_not_approved_for_quiet_modes():
    made = small_run.material()
    rows = made.catalogue.rows(made.listening.song)
    ids = made.log.songs["song_id"].to_list()
    approved = approved_songs(made.listening, rows, ids, np.full(len(ids), np.nan))

    assert approved["sleep"] == approved["calm"] == ()
    assert approved["focus"]


def test_no_limit_leaves_more_situations_without_a_song_than_it_may(rng: np.random.Generator):
    """Eight of 400 situations need twice what the others do, whatever is played: too few to be starved."""
    needs = np.where(np.arange(400) < 8, 0.4, 0.2)[:, None]
    step = np.zeros((400, 30, 2))
    step[..., 1] = needs + rng.uniform(0, 0.001, (400, 30))
    proposed = ProposedSteps(
        steps=Steps(estimate=np.full(step.shape, 0.5), step=step, spread=np.zeros(step.shape)),
        standing=Standing(
            estimate=np.zeros((400, 1, 2)),
            anchor=np.full((400, 2), 0.5),
            reported=np.ones(400, bool),
            recent_song=np.zeros((400, 0), np.int64),
            recent_artist=np.zeros((400, 0), np.int64),
            recent_hours=np.zeros((400, 0)),
        ),
        first_count=10,
    )
    made = {
        "support": rng.normal(size=(9, 2)),
        "priors": dict.fromkeys(("unspecified", "clinical", "consumer"), (0.5, 0.5)),
    }
    generous = derive_limits(proposed, share_emptied=0.05, approved={}, **made)
    careful = derive_limits(proposed, share_emptied=0.01, approved={}, **made)

    for mode in ("calm", "focus"):
        assert generous.limits["clinical"][mode].arousal_rise < 0.25
        assert np.mean(step[..., 1].min(axis=1) > careful.limits["clinical"][mode].arousal_rise) <= 0.0125
