"""Policies are compared on the rollouts that both played, listener by listener, and never with a silent NaN."""

import numpy as np
import pytest

from models.errors import DataError
from models.listening import NO_SONG, Mode, Population
from tests.training.judges.invented import level, rollouts
from training.judges.paired import began_alike, difference_of_gains, gain_over, groups_of, rollout_means


def test_a_rollout_counts_with_the_songs_it_played():
    signals = np.array([[[0.2] * 4, [0.4] * 4], [[0.6] * 4, [np.nan] * 4], [[np.nan] * 4, [np.nan] * 4]])
    played = rollouts(signals, song=[[1, 2], [3, NO_SONG], [NO_SONG, NO_SONG]])

    means = rollout_means(played.true_signals, played)

    np.testing.assert_allclose(means[:2, 0], [0.3, 0.6])
    assert np.isnan(means[2]).all()


def test_groups_are_those_that_occur():
    mixed = rollouts(level(0.5, 3), mode=[Mode.CALM, Mode.SLEEP, Mode.CALM], population=Population.CLINICAL)

    groups = groups_of(mixed)

    assert list(groups) == ["all", "mode calm", "mode sleep", "population clinical"]
    assert groups["mode calm"].tolist() == [True, False, True]


def test_a_gain_is_a_share_of_the_reference():
    """0.55 against 0.50: ten percent, whichever listeners are drawn."""
    gain = gain_over(np.full(6, 0.55), np.full(6, 0.5), np.repeat(np.arange(3), 2), seed=0)

    assert (gain.value, gain.reference, gain.reason) == (pytest.approx(0.55), pytest.approx(0.5), "")
    assert gain.gain is not None
    assert (gain.gain.low, gain.gain.mean, gain.gain.high) == pytest.approx((0.1, 0.1, 0.1))


def test_the_interval_draws_listeners_and_not_rollouts(rng):
    """A hundred copies of each listener's rollout make nobody surer."""
    one, base, who = rng.uniform(0.4, 0.6, 12), rng.uniform(0.4, 0.6, 12), np.arange(12)

    single = gain_over(one, base, who, seed=0).gain
    copied = gain_over(np.repeat(one, 100), np.repeat(base, 100), np.repeat(who, 100), seed=0).gain

    assert single is not None
    assert copied is not None
    assert (copied.low, copied.high) == pytest.approx((single.low, single.high))


def test_what_one_side_did_not_play_counts_on_neither():
    gain = gain_over(np.array([0.5, np.nan, 0.7]), np.array([0.4, 0.9, 0.6]), np.arange(3), seed=0)

    assert (gain.value, gain.reference) == (pytest.approx(0.6), pytest.approx(0.5))


@pytest.mark.parametrize(
    ("values", "reference", "reason"),
    [
        ([np.nan, 0.5], [0.5, np.nan], "no rollout has a number under both policies"),
        ([0.5, 0.5], [0.0, 0.0], "the reference's mean is 0: a share of it means nothing"),
    ],
)
def test_a_gain_that_is_none_says_why(values, reference, reason):
    gain = gain_over(np.array(values), np.array(reference), np.arange(2), seed=0)

    assert gain.gain is None
    assert gain.reason == reason


def test_one_listener_has_a_mean_and_no_interval():
    gain = gain_over(np.full(3, 0.6), np.full(3, 0.5), np.zeros(3, np.int64), seed=0)

    assert gain.gain is None
    assert gain.value == pytest.approx(0.6)
    assert gain.reason == "1 listener: nothing to resample"


def test_a_gap_is_one_gain_less_the_other():
    """Predicted 0.6 over 0.5, true 0.55 over 0.5: promised 20%, felt 10%."""
    gap = difference_of_gains(
        (np.full(4, 0.6), np.full(4, 0.5)), (np.full(4, 0.55), np.full(4, 0.5)), np.arange(4), seed=0
    )

    assert gap is not None
    assert gap.mean == pytest.approx(0.1)


def test_rollouts_that_began_otherwise_are_refused():
    calm, sleepy = rollouts(level(0.5, 2)), rollouts(level(0.5, 2), mode=Mode.SLEEP)

    with pytest.raises(DataError, match="rollouts of one and two did not begin alike"):
        began_alike({"one": calm, "two": sleepy}, np.arange(2))
    with pytest.raises(DataError, match="each of 2 rollouts needs its listener; got 3"):
        began_alike({"one": calm}, np.arange(3))
