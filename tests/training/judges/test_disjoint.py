"""A judge of other listeners hears exactly the songs that were played, and shares nobody with the tuned model."""

import numpy as np
import pytest

from models.errors import DataError
from models.listening import NO_SONG
from tests.training import small_run
from tests.training.judges.invented import level, rollouts
from training.judges.disjoint import halve, replay, side_by_side, train_judge
from training.policies.plain import Learned, Random
from training.rollout import roll_out
from training.splits import Split


def test_the_halves_share_the_test_listeners_and_nobody_else(rng):
    split = Split(train=np.arange(10), validation=np.arange(10, 15), test=np.arange(15, 18))

    halves = halve(split, rng)

    for part in ("train", "validation"):
        both = np.concatenate([getattr(halves.tuning, part), getattr(halves.judging, part)])
        np.testing.assert_array_equal(np.sort(both), getattr(split, part))
    assert len(halves.tuning.train) == len(halves.judging.train) == 5
    np.testing.assert_array_equal(halves.judging.test, split.test)


def test_too_few_to_halve_are_refused(rng):
    with pytest.raises(DataError, match="at least 2 training and 2 validation listeners; got 10 and 1"):
        halve(Split(train=np.arange(10), validation=np.arange(1), test=np.arange(3)), rng)


@pytest.mark.parametrize("guarded", [False, True])
def test_the_model_that_planned_hears_again_what_it_predicted(guarded):
    """Replaying a policy's songs under its own world model gives its own predictions back."""
    start, setting = small_run.start(), small_run.setting()
    played = roll_out(
        Learned(small_run.reference()), start, setting, guarded=guarded, rng=np.random.default_rng(0)
    )

    again = replay(played, start, setting, small_run.world())

    np.testing.assert_allclose(again, played.predicted, atol=1e-6)


def test_another_model_has_another_opinion_and_keeps_to_the_songs():
    material, start, setting = small_run.material(), small_run.start(), small_run.setting()
    halves = halve(material.split, np.random.default_rng(0))
    judge = train_judge(material, halves.judging, small_run.PRESET.world, seed=9)
    played = roll_out(Random(len(material.catalogue)), start, setting, guarded=False, rng=np.random.default_rng(0))

    heard = replay(played, start, setting, judge)

    assert np.isfinite(heard).all()
    assert ((heard >= 0) & (heard <= 1)).all()
    assert not np.allclose(heard, played.predicted, atol=1e-3)


def test_the_three_opinions_stand_side_by_side():
    """The model promises 20%, the judge sees 10%, and nothing is true of it; silence counts nowhere."""
    copycat, dpo = rollouts(level(0.5, 4)), rollouts(level(0.5, 4), level(0.6, 4))
    dpo.song[0] = NO_SONG

    engagement, *_ = side_by_side(
        {"copycat": copycat, "dpo": dpo},
        {"copycat": level(0.5, 4), "dpo": level(0.55, 4)},
        np.arange(4),
        reference="copycat",
        seed=0,
    )

    assert (engagement.policy, engagement.signal) == ("dpo", "engagement")
    assert engagement.own.mean == pytest.approx(0.2)
    assert engagement.disjoint.mean == pytest.approx(0.1)
    assert engagement.true.mean == pytest.approx(0.0)


def test_real_listeners_have_no_third_opinion():
    blind = rollouts(np.full((4, 2, 4), np.nan), level(0.5, 4))
    heard = {"copycat": level(0.5, 4), "dpo": level(0.5, 4)}

    first, *_ = side_by_side({"copycat": blind, "dpo": blind}, heard, np.arange(4), reference="copycat", seed=0)

    assert first.true is None
    assert first.own is not None
