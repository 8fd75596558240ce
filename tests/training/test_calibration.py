"""A conformal interval holds a stranger's label as often as it says, at every step; no listener counts twice."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.affect import Signal
from models.errors import DataError
from models.listening import NO_SONG
from tests.training import small_run
from tests.training.invented import invent_histories
from training.calibration import (
    HORIZON,
    calibrate,
    calibrate_world,
    conformal_width,
    coverage_by_listener,
    error_growth,
    songs_since_observed,
)
from training.imagining import Imagined
from training.windows import Histories
from training.world_model import ensemble_bootstraps


def errors_of(listener_count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return the errors of listeners who differ in how well they are understood and in how much they say."""
    labels = rng.integers(1, 30, listener_count)
    owner = np.repeat(np.arange(listener_count), labels)
    return np.abs(rng.normal(size=len(owner))) * rng.lognormal(0, 0.5, listener_count)[owner], owner


def test_strangers_are_covered_at_the_stated_level():
    """Over 400 draws of 40 exchangeable listeners and 200 strangers, between 90% and 90% + 1/41 and noise."""
    rng, covered = np.random.default_rng(1), []
    for _ in range(400):
        errors, owner = errors_of(40, rng)
        width = conformal_width(errors, owner, level=0.9)
        strange, stranger = errors_of(200, rng)
        _, first = np.unique(stranger, return_index=True)
        covered.append(np.mean(strange[first] <= width))

    assert 0.895 <= np.mean(covered) <= 0.93


def test_matches_the_width_worked_by_hand():
    """Three listeners: votes 1/4 each; b's two labels have 1/8 each. .1 → 1/4, .2 → 3/8, .3 → 5/8, .9 → 3/4."""
    errors, owner = np.array([0.1, 0.2, 0.9, 0.3]), np.array([0, 1, 1, 2])

    assert conformal_width(errors, owner, level=0.5) == 0.3
    assert conformal_width(errors, owner, level=0.75) == 0.9


@given(st.integers(1, 8))
def test_too_few_listeners_can_promise_nothing(listener_count: int):
    errors, owner = errors_of(listener_count, np.random.default_rng(0))

    assert conformal_width(errors, owner, level=0.9) == float("inf")


@given(st.integers(1, 50))
def test_saying_the_same_more_often_changes_nothing(times: int):
    errors, owner = np.linspace(0.01, 0.2, 20), np.arange(20)
    repeated = np.concatenate([errors, np.repeat(errors[:1], times)])

    assert conformal_width(repeated, np.concatenate([owner, np.repeat(owner[:1], times)]), level=0.8) == (
        conformal_width(errors, owner, level=0.8)
    )


def imagined_by(listener_count: int, rng: np.random.Generator, *, growth: float = 0.05) -> Imagined:
    """Rolls of 1 to 20 songs by listeners who differ; the variance of errors grows with the step."""
    listener, token, step = [], [], []
    for roll, length in enumerate(rng.integers(1, HORIZON + 1, 5 * listener_count)):
        listener.append(np.full(length, roll // 5))
        token.append(HORIZON * roll + np.arange(length))
        step.append(np.arange(1, length + 1))
    owner, at = np.concatenate(listener), np.concatenate(step)
    spread = 0.1 * rng.lognormal(0, 0.3, listener_count)[owner] * np.sqrt(1 + growth * (at - 1))
    label = 0.5 + spread[:, None] * rng.normal(size=(len(at), 4))
    return Imagined(
        listener=owner,
        token=np.concatenate(token),
        step=at,
        predicted=np.full(label.shape, 0.5, np.float32),
        label=label.astype(np.float32),
    )


FLAT = np.zeros(4)


def test_strangers_are_covered_at_every_step_where_the_growth_is_known():
    """Means over 30 calibrations on 60 listeners each; the level within 3 points everywhere."""
    rng, covered = np.random.default_rng(2), []
    for _ in range(30):
        calibration = calibrate(imagined_by(60, rng, growth=0.1), np.full(4, 0.1))
        found = coverage_by_listener(imagined_by(200, rng, growth=0.1), calibration)
        covered.append([found[name] for name in ("engagement", "valence", "arousal")])

    assert np.abs(np.mean(covered, axis=0) - 0.9).max() < 0.03


def test_the_square_of_a_width_grows_by_the_same_share_with_every_step():
    """A growth of 8 a step: at step 2 three times as wide as at step 1, unless the scale ends first."""
    widths = calibrate(imagined_by(60, np.random.default_rng(3)), np.full(4, 8.0)).widths["valence"]

    assert len(widths) == HORIZON
    assert widths[1] == pytest.approx(3 * widths[0])
    assert widths[-1] == 1.0


def test_widths_never_fall_even_if_errors_seem_to():
    widths = calibrate(imagined_by(60, np.random.default_rng(3)), np.full(4, -0.1)).widths["arousal"]

    assert len(set(widths)) == 1


def test_counts_say_on_how_much_each_step_rests():
    imagined = imagined_by(12, np.random.default_rng(4))
    calibration = calibrate(imagined, FLAT)

    assert calibration.listener_count == 12
    assert calibration.label_counts["engagement"][0] == np.count_nonzero(imagined.step == 1) == 60
    assert calibration.listener_counts["engagement"][0] == 12


def test_too_few_listeners_get_the_whole_scale():
    calibration = calibrate(imagined_by(8, np.random.default_rng(5)), FLAT)

    assert set(calibration.widths["valence"]) == {1.0}


def test_a_step_nobody_has_a_label_at_has_no_coverage():
    imagined = imagined_by(30, np.random.default_rng(6))
    short = replace(imagined, label=np.where(imagined.step[:, None] <= 2, imagined.label, np.float32(np.nan)))

    found = coverage_by_listener(short, calibrate(imagined, FLAT))

    assert found["engagement"][0] is not None
    assert found["engagement"][2] is None


def test_listeners_without_labels_cannot_calibrate():
    nothing, rows = np.full((4, 4), np.nan, np.float32), np.arange(4)
    imagined = Imagined(
        listener=rows, token=rows, step=np.ones(4, np.int64), predicted=nothing + 0.5, label=nothing
    )

    with pytest.raises(DataError, match="calibrating engagement needs a label of one of 4 listeners"):
        calibrate(imagined, FLAT)


def test_reports_age_song_by_song_from_a_sessions_beginning():
    histories = invent_histories(200)

    age = songs_since_observed(histories, Signal.VALENCE)

    boundary = np.flatnonzero(histories.song_row == NO_SONG)
    assert (age[boundary] == 0).all()
    for begin, end in zip(boundary, [*boundary[1:], len(age)], strict=True):
        assert age[begin:end].tolist() == list(range(end - begin))


def test_what_is_observed_at_every_song_is_one_song_old():
    histories = invent_histories(200)

    assert set(songs_since_observed(histories, Signal.ENGAGEMENT)) == {0, 1}


def never_imagined() -> Imagined:
    nothing, none = np.zeros((0, 4), np.float32), np.zeros(0, np.int64)
    return Imagined(listener=none, token=none, step=none, predicted=nothing, label=nothing)


def growing(histories: Histories, by: float) -> np.ndarray:
    """Predictions whose squared errors are .04, and `by` more for every song since the report."""
    age = songs_since_observed(histories, Signal.VALENCE)
    return (histories.targets + np.sqrt(0.04 + by * age)[:, None]).astype(np.float32)


def test_growth_is_what_a_song_more_since_the_report_adds_to_the_squared_error():
    histories, everybody = invent_histories(200), np.arange(200)
    predicted = growing(histories, 0.01)
    labelled = ~np.isnan(histories.targets[:, Signal.VALENCE])
    mean = np.mean((predicted - histories.targets)[labelled, Signal.VALENCE] ** 2)

    growth = error_growth(histories, predicted, everybody, never_imagined())

    np.testing.assert_allclose(growth[[2, 3]], 0.01 / mean, rtol=1e-3)
    assert growth[0] == growth[1] == 0  # engagement is never older than one song; ratings have no interval


def test_growth_is_taken_at_the_upper_end_of_what_the_labels_allow():
    """Errors drawn 100 times with the same growing spread: the growth lies above the true one 19 times in 20."""
    histories, everybody, rng = invent_histories(300), np.arange(300), np.random.default_rng(0)
    spread = growing(histories, 0.01) - histories.targets
    labelled = ~np.isnan(spread[:, Signal.VALENCE])
    true = 0.01 / np.mean(spread[labelled, Signal.VALENCE] ** 2)

    found = [
        error_growth(histories, histories.targets + spread * drawn, everybody, never_imagined())[Signal.VALENCE]
        for drawn in rng.normal(size=(100, *spread.shape)).astype(np.float32)
    ]

    assert 0.88 < np.mean(np.array(found) > true) <= 1


def test_growth_is_also_what_the_same_label_loses_when_songs_before_it_are_imagined():
    """Squared error .04 at step 1, .05 with one song imagined and .06 with two: a quarter of .04 each."""
    error = np.sqrt(np.array([0.04, 0.05, 0.06]))[:, None].astype(np.float32) * np.ones((3, 4), np.float32)
    imagined = Imagined(
        listener=np.zeros(3, np.int64),
        token=np.full(3, 7),
        step=np.array([1, 2, 3]),
        predicted=error,
        label=np.zeros((3, 4), np.float32),
    )
    histories = invent_histories(200)

    growth = error_growth(histories, histories.targets, np.arange(200), imagined)

    np.testing.assert_allclose(growth[[0, 2, 3]], 0.01 / np.mean([0.04, 0.04, 0.04]), atol=1e-5)


def test_an_ensemble_is_calibrated_on_everybody_who_is_a_stranger_to_some_of_it():
    made = small_run.material()
    bootstraps = ensemble_bootstraps(made.split, seed=0, member_count=small_run.PRESET.world.member_count)

    calibration = calibrate_world(
        made.histories, small_run.world(), made.split, bootstraps, lookback=small_run.PRESET.lookback
    )

    left_out = set(np.concatenate([each.strangers for each in bootstraps]))
    assert calibration.listener_count == len(left_out) + len(made.split.validation)
    assert calibration.horizon == HORIZON
