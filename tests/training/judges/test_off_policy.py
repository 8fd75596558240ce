"""Random draws tell what another policy would be worth, unless too few of them speak for it."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from models.affect import Signal
from models.errors import DataError
from tests.training import small_run
from training.judges.off_policy import (
    Choices,
    Drawn,
    certain,
    choices_of,
    difference_of_worth,
    drawn_plays,
    effective_draws,
    softmax_over,
    worth_of,
)

SONGS, DRAWS = 8, 4_000


@pytest.fixture
def drawn(rng) -> Drawn:
    """Uniform draws among the first six of eight songs, for forty listeners."""
    eligible = np.zeros((DRAWS, SONGS), bool)
    eligible[:, :6] = True
    return Drawn(
        play=np.arange(DRAWS),
        listener=np.arange(DRAWS) % 40,
        song=rng.integers(6, size=DRAWS),
        propensity=np.full(DRAWS, 1 / 6),
        eligible=eligible,
    )


def liked(drawn: Drawn, rng) -> np.ndarray:
    """Song k is worth k/10, and a little noise."""
    return drawn.song / 10 + rng.normal(0, 0.05, DRAWS)


def test_a_softmax_policy_chooses_among_eligible_songs_alone(drawn, rng):
    chance = softmax_over(rng.normal(size=(DRAWS, SONGS)), drawn.eligible, temperature=0.5)

    np.testing.assert_allclose(chance.sum(axis=1), 1)
    assert not chance[:, 6:].any()


def test_the_uniform_policy_is_worth_the_mean_outcome(drawn, rng):
    outcome = liked(drawn, rng)
    chance = softmax_over(np.zeros((DRAWS, SONGS)), drawn.eligible, temperature=1.0)

    worth = worth_of(
        choices_of(chance, drawn, np.zeros((DRAWS, SONGS, 4))), Signal.VALENCE, outcome, drawn.listener, seed=0
    )

    assert worth.weighted.mean == pytest.approx(outcome.mean())
    assert worth.effective == pytest.approx(DRAWS)


@pytest.mark.parametrize("quality", [0.0, 0.5, 1.0])
def test_a_policy_is_worth_the_same_whatever_the_model_believes(drawn, rng, quality):
    """π doubles its chance with every song: Σ π(k) k/10 = 0.4095. The model knows that share of each worth."""
    chance = softmax_over(
        np.broadcast_to(np.arange(SONGS) * np.log(2), (DRAWS, SONGS)), drawn.eligible, temperature=1.0
    )
    predicted = np.broadcast_to((quality * np.arange(SONGS) / 10)[None, :, None], (DRAWS, SONGS, 4))

    worth = worth_of(
        choices_of(chance, drawn, predicted), Signal.VALENCE, liked(drawn, rng), drawn.listener, seed=0
    )

    assert worth.direct.mean == pytest.approx(0.4095 * quality, abs=1e-4)
    assert worth.weighted.mean == pytest.approx(0.4095, abs=0.01)
    assert worth.doubly_robust.mean == pytest.approx(0.4095, abs=0.01)


def test_a_good_model_makes_the_doubly_robust_estimate_surer(drawn, rng):
    chance = softmax_over(
        np.broadcast_to(np.arange(SONGS) * np.log(2), (DRAWS, SONGS)), drawn.eligible, temperature=1.0
    )
    predicted = np.broadcast_to((np.arange(SONGS) / 10)[None, :, None], (DRAWS, SONGS, 4))
    worth = worth_of(
        choices_of(chance, drawn, predicted), Signal.VALENCE, liked(drawn, rng), drawn.listener, seed=0
    )

    width = {kind: getattr(worth, kind).high - getattr(worth, kind).low for kind in ("weighted", "doubly_robust")}
    assert width["doubly_robust"] < width["weighted"]


def test_effective_draws_are_all_or_one_or_none():
    assert effective_draws(np.ones(7)) == pytest.approx(7)
    assert effective_draws(np.array([3.0, 0.0, 0.0])) == pytest.approx(1)
    assert effective_draws(np.zeros(3)) == 0


def test_a_policy_that_hardly_any_draw_speaks_for_has_no_estimate(drawn, rng):
    few = drawn.take(np.arange(60))
    chance = certain(np.broadcast_to(-np.arange(float(SONGS)), (60, SONGS)), few.eligible)

    worth = worth_of(
        choices_of(chance, few, np.zeros((60, SONGS, 4))),
        Signal.RATING,
        liked(drawn, rng)[:60],
        few.listener,
        seed=0,
    )

    matched = int((few.song == 0).sum())
    assert worth.weighted is None
    assert worth.doubly_robust is None
    assert worth.direct is not None
    assert worth.reason == f"{matched}.0 effective draws of 60; at least 30 are needed"


def test_draws_without_an_outcome_do_not_count():
    choices = Choices(weight=np.ones(3), direct=np.full((3, 4), 0.5), predicted=np.full((3, 4), 0.5))

    some = worth_of(
        choices, Signal.RATING, np.array([0.2, np.nan, 0.4]), np.arange(3), seed=0, least_effective=1.0
    )
    none = worth_of(choices, Signal.RATING, np.full(3, np.nan), np.arange(3), seed=0)

    assert some.draw_count == 2
    assert some.weighted.mean == pytest.approx(0.3)
    assert (none.draw_count, none.direct, none.reason) == (0, None, "no draw has an outcome")


def test_the_difference_of_a_policy_from_itself_is_nothing(drawn, rng):
    chance = softmax_over(rng.normal(size=(DRAWS, SONGS)), drawn.eligible, temperature=1.0)
    choices = choices_of(chance, drawn, rng.uniform(size=(DRAWS, SONGS, 4)))

    same = difference_of_worth(choices, choices, Signal.VALENCE, liked(drawn, rng), drawn.listener, seed=0)

    assert (same.low, same.mean, same.high) == (0, 0, 0)


def test_a_simulated_log_has_no_propensities_and_says_so():
    with pytest.raises(DataError, match="tells the propensity of none of its"):
        drawn_plays(small_run.material().log)


def test_what_a_listener_had_heard_could_not_be_drawn():
    """The second play of each listener is declared to be drawn: the first song is out, all others are in.

    One of the 60 listeners has a single play.
    """
    log = small_run.material().log
    owned = log.plays.join(
        log.sessions.select("session_id", "listener_id"), on="session_id", maintain_order="left"
    )
    number = owned.select(pl.int_range(pl.len()).over("listener_id")).to_series()
    chance = pl.when(number == 1).then(pl.lit(1 / 199, pl.Float32)).alias("propensity")
    told = replace(log, plays=log.plays.with_columns(chance))

    drawn = drawn_plays(told)

    assert len(drawn.play) == 59
    assert drawn.propensity == pytest.approx(np.full(59, 1 / 199))
    np.testing.assert_array_equal(drawn.eligible.sum(axis=1), 199)
    assert len(np.unique(drawn.listener)) == 59


def test_a_repeated_song_cannot_have_been_drawn_from_new_ones():
    log = small_run.material().log
    again = pl.when(pl.int_range(pl.len()) == 1).then(pl.first("song_id")).otherwise("song_id").alias("song_id")
    chance = pl.when(pl.int_range(pl.len()) == 1).then(pl.lit(0.5, pl.Float32)).alias("propensity")

    with pytest.raises(DataError, match="had been heard before"):
        drawn_plays(replace(log, plays=log.plays.with_columns(again, chance)))
