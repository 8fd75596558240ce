"""The truth tells what a policy gained, what its model only promised, and how much of an oracle's gain that is."""

import numpy as np
import pytest

from models.errors import DataError
from models.listening import Mode, Population
from tests.training.judges.invented import level, rollouts
from training.judges.truth import distance_from_regions, judge_by_truth, share_of, true_distance

WHO = np.repeat(np.arange(4), 2)


def judged(**policies):
    return judge_by_truth(policies, WHO, reference="copycat", oracle=None, seed=0)


def test_what_is_promised_beyond_what_is_felt_is_the_gap():
    """Copycat .5, both ways; DPO truly .55 and predicted .6: 10% felt, 20% promised."""
    (engagement, *_) = [
        each
        for each in judged(copycat=rollouts(level(0.5, 8)), dpo=rollouts(level(0.55, 8), level(0.60, 8)))
        if each.group == "all"
    ]

    assert engagement.policy == "dpo"
    assert engagement.predicted == pytest.approx(0.6)
    assert engagement.true_gain.mean == pytest.approx(0.1)
    assert engagement.predicted_gain.mean == pytest.approx(0.2)
    assert engagement.gap.mean == pytest.approx(0.1)


def test_every_signal_is_judged_in_every_group():
    mode = np.tile([Mode.CALM, Mode.FOCUS], 4)
    population = np.repeat([Population.CONSUMER, Population.CLINICAL], 4)
    found = judged(
        copycat=rollouts(level(0.5, 8), mode=mode, population=population),
        dpo=rollouts(level(0.6, 8), mode=mode, population=population),
    )

    assert {(each.group, each.signal) for each in found} == {
        (group, signal)
        for group in ("all", "mode focus", "mode calm", "population consumer", "population clinical")
        for signal in ("engagement", "rating", "valence", "arousal")
    }
    assert {each.listener_count for each in found if each.group.startswith("population")} == {2}


def test_a_policy_with_half_of_the_oracles_gain_has_a_share_of_one_half():
    found = judge_by_truth(
        {"copycat": rollouts(level(0.5, 8)), "dpo": rollouts(level(0.55, 8)), "oracle": rollouts(level(0.6, 8))},
        WHO,
        reference="copycat",
        oracle="oracle",
        seed=0,
    )

    shares = {each.policy: each.oracle_share.mean for each in found if each.group == "all"}
    assert shares == {"dpo": pytest.approx(0.5), "oracle": pytest.approx(1.0)}


def test_nobody_has_a_share_of_what_the_oracle_may_not_gain():
    rng = np.random.default_rng(0)
    base = rng.uniform(0.4, 0.6, 8)

    assert share_of(base + 0.1, base, base + rng.normal(0, 0.1, 8), WHO, seed=0) is None


def test_calm_is_reached_from_above_its_arousal_and_below_its_valence():
    """Calm wants valence from .55 and arousal from .2 to .4: at (.5, .5) the way is .05 + .1."""
    assert true_distance(rollouts(level(0.5, 3))) == pytest.approx(np.full(3, 0.15))


def test_the_distance_from_the_region_is_compared_in_each_mode():
    mode = np.tile([Mode.CALM, Mode.ENERGIZE], 4)
    (energize, calm) = distance_from_regions(
        {"copycat": rollouts(level(0.5, 8), mode=mode), "dpo": rollouts(level(0.6, 8), mode=mode)},
        WHO,
        reference="copycat",
        seed=0,
    )

    assert (energize.mode, energize.reference, energize.true) == (
        "energize",
        pytest.approx(0.15),
        pytest.approx(0.0),
    )
    assert calm.change is not None
    assert calm.change.mean == pytest.approx(0.2 - 0.15)


def test_without_a_truth_there_is_no_judgement():
    blind = rollouts(np.full((8, 2, 4), np.nan), level(0.5, 8))

    with pytest.raises(DataError, match="rollouts of copycat have no truth"):
        judged(copycat=blind, dpo=blind)


def test_a_missing_reference_is_named():
    with pytest.raises(DataError, match="expected the rollouts of copycat; got those of dpo"):
        judged(dpo=rollouts(level(0.5, 8)))
