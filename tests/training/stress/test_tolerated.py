"""The truth tightens limits until true steps are tolerable, never widens them, and stops before all falls back."""

from dataclasses import replace

import numpy as np
import pytest

from models.guardrails import affect_steps, limit_columns, vetoes
from models.listening import Mode, Population
from tests.training import small_run
from tests.training.stress import small_subject
from training.policies.plain import Learned
from training.rollout import proposals
from training.stress.tolerated import TIGHTENINGS, TrueMoments, factor_needed, scaled, tightened_table


@pytest.fixture(scope="module")
def moments() -> TrueMoments:
    """What the small run's policy proposes to its test listeners."""
    start = small_run.start()
    candidates, standing = proposals(
        Learned(small_run.reference()),
        start,
        small_run.setting(),
        np.random.default_rng(0),
    )
    count = len(candidates.song)
    return TrueMoments(
        candidates=candidates,
        standing=standing,
        mode=np.arange(count) % len(Mode),
        population=1 + np.arange(count) // len(Mode) % 2,
        effect=np.zeros((*candidates.song.shape, 2)),
    )


def test_a_candidate_is_allowed_from_the_factor_it_needs_on(moments: TrueMoments):
    base = small_run.setting().table.limits_for(Population.CONSUMER, Mode.FOCUS)
    needed = factor_needed(moments.candidates, moments.standing, base)
    steps = affect_steps(moments.candidates, moments.standing)

    for factor in TIGHTENINGS:
        columns = limit_columns([scaled(base, factor)] * len(needed))
        allowed = vetoes(moments.candidates, steps, moments.standing, columns) == 0
        undecided = np.abs(needed - factor) < 1e-2  # limits are rounded to four digits
        assert ((needed <= factor) == allowed)[~undecided].all()


def test_what_is_tolerated_is_left_as_it_was(moments: TrueMoments):
    table = small_run.setting().table
    same, found = tightened_table(table, moments, small_subject.CONFIG)

    assert {each.factor for each in found} == {1.0}
    assert all(each.tolerated for each in found)
    assert same.limits["consumer"] == table.limits["consumer"]


def test_limits_that_true_steps_pass_are_tightened_but_not_until_all_falls_back(moments: TrueMoments):
    """Candidates that need more than half the limits are said to move arousal by half the scale."""
    table = small_run.setting().table
    base = table.limits_for(Population.CLINICAL, Mode.CALM)
    bold = factor_needed(moments.candidates, moments.standing, base) > 0.5
    effect = np.where(bold[..., None], [0.0, 0.5], 0.0)
    generous = replace(small_subject.CONFIG, most_fallback=1.0)
    strict = replace(small_subject.CONFIG, most_fallback=0.0)
    harmful = replace(moments, effect=effect)

    tight, _ = tightened_table(table, harmful, generous)
    held, found = tightened_table(table, harmful, strict)
    calm = ("clinical", "calm")
    assert tight.limits[calm[0]][calm[1]].arousal_rise < base.arousal_rise
    assert held.limits[calm[0]][calm[1]].arousal_rise >= tight.limits[calm[0]][calm[1]].arousal_rise
    assert all(each.fallback == 0.0 or each.factor == 1.0 for each in found)


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_the_truth_never_widens_and_clinical_limits_are_never_wider(moments: TrueMoments, share: float):
    table = small_run.setting().table
    drawn = np.random.default_rng(1).random((*moments.candidates.song.shape, 1)) < share
    tight, _ = tightened_table(table, replace(moments, effect=drawn * [0.0, 1.0]), small_subject.CONFIG)

    for population in Population:
        for mode in Mode:
            new, old = (each.limits_for(population, mode) for each in (tight, table))
            consumer = tight.limits_for(Population.CONSUMER, mode)
            for name in ("arousal_rise", "arousal_fall", "valence_fall", "arousal_band"):
                assert getattr(new, name) <= getattr(old, name)
                assert population is Population.CONSUMER or getattr(new, name) <= getattr(consumer, name)
    assert tight.limits["unspecified"] == tight.limits["clinical"]
