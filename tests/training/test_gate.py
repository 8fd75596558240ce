"""A gate reads numbers and never passes on one that is missing, not a number, or beyond its bound."""

from dataclasses import replace

import pytest

from training.gate import Measured, Violations, judge_bundle

SOUND = Measured(
    model_error=(0.02, 0.03),
    persistence_error=(0.03, 0.05),
    listener_mean_error=(0.04, 0.04),
    song_order=(0.6, 0.7),
    violations=Violations(guarded=0.01, copycat=0.02),
    true_violations=Violations(guarded=0.0, copycat=0.0),
    difference=0.4,
    fallback=0.01,
    silence=0.0,
    rollout_count=400,
)


def test_a_sound_bundle_passes():
    report = judge_bundle(SOUND)

    assert report.passed
    assert len(report.gates) == 9


@pytest.mark.parametrize(
    ("changed", "gate"),
    [
        ({"model_error": (0.031, 0.03)}, "beats persistence and listener mean on valence"),
        ({"model_error": (0.02, 0.041)}, "beats persistence and listener mean on arousal"),
        ({"model_error": (float("nan"), 0.03)}, "valence"),
        ({"song_order": (0.5, 0.7)}, "true effect on valence"),
        ({"song_order": (0.6, float("nan"))}, "true effect on arousal"),
        ({"violations": Violations(guarded=0.06, copycat=0.02)}, "predicted steps"),
        ({"violations": Violations(guarded=float("nan"), copycat=0.02)}, "predicted steps"),
        ({"true_violations": Violations(guarded=0.05, copycat=0.0)}, "true steps"),
        ({"difference": 0.05}, "differs from Copycat"),
        ({"fallback": 0.2}, "ladder"),
        ({"silence": 0.02}, "nearly always a song"),
    ],
)
def test_one_failing_check_fails_the_bundle_and_is_named(changed: dict, gate: str):
    report = judge_bundle(replace(SOUND, **changed))

    assert not report.passed
    assert len(report.failures) == 1
    assert gate in report.failures[0]


def test_a_few_rollouts_may_fall_back_more_often_by_chance():
    """.05 + 2·√(.05·.95/15) = 0.1625."""
    assert judge_bundle(replace(SOUND, fallback=0.16, rollout_count=15)).passed
    assert not judge_bundle(replace(SOUND, fallback=0.17, rollout_count=15)).passed


def test_without_a_truth_neither_song_order_nor_true_steps_are_asked():
    report = judge_bundle(replace(SOUND, song_order=None, true_violations=None))

    assert report.passed
    assert len(report.gates) == 6


def test_what_chance_allows_is_worked_by_hand():
    """Shares .03 and .01 of 400: pooled .02, so .01 + 2·√(2·.02·.98/400) = .01 + 2·.0098995 = 0.0297990."""
    assert Violations(guarded=0.03, copycat=0.01).allowed(400) == pytest.approx(0.0297990, abs=1e-6)
