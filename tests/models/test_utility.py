"""Utility is eq. 3 of AMRS, or the distance from a mode's target region: never lower is always better."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from models.affect import Affect
from models.listening import Mode
from models.utility import (
    MODE_REGIONS,
    PAPER_UTILITY,
    LinearUtility,
    TargetRegion,
    Utility,
    mode_aware_utility,
)

SERVING = mode_aware_utility(weights=(0.2, 0.1, 0.5, 0.4), scales=(1.0, 1.0, 0.5, 0.1))


def value(utility: Utility, *predicted: float, mode: Mode = Mode.CALM) -> float:
    return float(utility.value(np.array([predicted]), np.array([mode]))[0])


def test_the_papers_utility_is_half_valence_and_half_arousal():
    """0·.9 + 0·.8 + .5·.6 + .5·.2 = .4: AMRS eq. 3 with λ_v = λ_a = .5."""
    assert value(PAPER_UTILITY, 0.9, 0.8, 0.6, 0.2) == pytest.approx(0.4)


def test_a_negative_weight_prefers_less():
    calming = LinearUtility(weights=(0.0, 0.0, 0.0, -1.0))

    assert value(calming, 0, 0, 0, 0.2) > value(calming, 0, 0, 0, 0.8)


def test_a_scale_says_what_one_unit_is_worth():
    assert value(LinearUtility(weights=(1, 0, 0, 0), scales=(0.5, 1, 1, 1)), 0.25, 0, 0, 0) == pytest.approx(0.5)


def test_worked_by_hand_outside_the_region_of_calm():
    """.2·.5 + .1·1 − .5/.5·(.55 − .45) − .4/.1·(.5 − .4) = .2 − .1 − .4 = −.3."""
    assert value(SERVING, 0.5, 1.0, 0.45, 0.5) == pytest.approx(-0.3)


@settings(max_examples=50)
@given(st.sampled_from(list(Mode)), st.floats(0, 1), st.floats(0, 1))
def test_inside_the_region_affect_costs_nothing_and_outside_it_does(mode: Mode, valence: float, arousal: float):
    inside = MODE_REGIONS[mode].holds(Affect(valence, arousal))

    cost = -value(SERVING, 0.0, 0.0, valence, arousal, mode=mode)

    assert cost >= 0
    assert (cost == 0) == inside


def test_a_calm_patient_is_not_pushed_ever_lower():
    assert value(SERVING, 0, 0, 0.6, 0.3) > value(SERVING, 0, 0, 0.6, 0.05)


def test_modes_are_judged_each_by_its_own_region():
    predicted = np.array([[0, 0, 0.7, 0.1], [0, 0, 0.7, 0.1]])

    sleep, energize = SERVING.value(predicted, np.array([Mode.SLEEP, Mode.ENERGIZE]))

    assert sleep > energize


@pytest.mark.parametrize("utility", [PAPER_UTILITY, SERVING])
def test_a_utility_survives_json(utility: Utility):
    adapter = TypeAdapter(Utility)

    assert adapter.validate_json(adapter.dump_json(utility)) == utility


@pytest.mark.parametrize(
    "broken",
    [
        {"kind": "linear", "weights": (0, 0, 0, 1.1)},
        {"kind": "linear", "weights": (0, 0, 1)},
        {"kind": "linear", "weights": (0, 0, 0, float("nan"))},
        {"kind": "linear", "weights": (0, 0, 0, 1), "scales": (1, 1, 1, 0)},
        {"kind": "cubic", "weights": (0, 0, 0, 1)},
    ],
)
def test_contradictory_settings_are_refused(broken):
    with pytest.raises(ValidationError):
        TypeAdapter(Utility).validate_python(broken)


def test_a_region_runs_from_low_to_high():
    with pytest.raises(ValidationError, match="valence must run from low to high"):
        TargetRegion(valence=(0.6, 0.5), arousal=(0, 1))
