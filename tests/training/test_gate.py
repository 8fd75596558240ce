"""A gate reads numbers and never passes on one that is missing, not a number, or beyond its bound."""

from dataclasses import replace

import pytest

from training.gate import Measured, judge_bundle

SOUND = Measured(
    model_error=(0.02, 0.03),
    persistence_error=(0.03, 0.05),
    listener_mean_error=(0.04, 0.04),
    song_order=(0.6, 0.7),
    violations=0.01,
    copycat_violations=0.02,
    violations_are_true=True,
    difference=0.4,
    fallback=0.01,
    silence=0.0,
)


def test_a_sound_bundle_passes():
    report = judge_bundle(SOUND)

    assert report.passed
    assert len(report.gates) == 8


@pytest.mark.parametrize(
    ("changed", "gate"),
    [
        ({"model_error": (0.031, 0.03)}, "beats persistence and listener mean on valence"),
        ({"model_error": (0.02, 0.041)}, "beats persistence and listener mean on arousal"),
        ({"model_error": (float("nan"), 0.03)}, "valence"),
        ({"song_order": (0.5, 0.7)}, "true effect on valence"),
        ({"song_order": (0.6, float("nan"))}, "true effect on arousal"),
        ({"violations": 0.021}, "within limits"),
        ({"violations": float("nan")}, "within limits"),
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


def test_without_a_truth_the_song_order_is_not_asked_and_violations_are_predicted():
    report = judge_bundle(replace(SOUND, song_order=None, violations_are_true=False))

    assert report.passed
    assert len(report.gates) == 6
    assert any("by predicted steps" in gate.required for gate in report.gates)
