"""Inputs say what is left to be seen; what a signal weighs is never among what they hide."""

import pytest

from models.errors import ConfigError
from tests.training.invented import NAMES
from training.networks.inputs import EVERYTHING, Inputs


def kept(inputs: Inputs) -> set[str]:
    return {name for name, shown in zip(NAMES, inputs.kept_features(len(NAMES)).tolist(), strict=True) if shown}


def test_everything_hides_nothing():
    assert kept(EVERYTHING) == set(NAMES)
    assert (EVERYTHING.window(64), EVERYTHING.past(64), EVERYTHING.stride) == (64, 64, None)


def test_without_feedback_no_signal_no_report_and_no_bit_of_either_is_left():
    hidden = set(NAMES) - kept(Inputs(feedback=False))

    assert hidden == {
        *("engagement", "rating", "valence", "arousal"),
        *("has_engagement", "has_rating", "has_valence", "has_arousal"),
        *("carried_valence", "carried_arousal", "carried_present"),
    }


def test_without_extras_the_papers_token_is_left():
    assert kept(Inputs(extras=False)) == {
        *("engagement", "rating", "valence", "arousal"),
        *("has_engagement", "has_rating", "has_valence", "has_arousal"),
        "boundary",
    }


def test_a_lookback_counts_the_tokens_before_the_one_predicted():
    """Ten tokens before it make a window of eleven; none make a window of the candidate alone."""
    assert (Inputs(lookback=10).window(64), Inputs(lookback=10).past(64)) == (11, 10)
    assert (Inputs(lookback=0).window(64), Inputs(lookback=0).past(64)) == (1, 0)
    assert (Inputs(lookback=100).window(64), Inputs(lookback=100).past(64)) == (64, 64)


def test_a_negative_lookback_is_refused():
    with pytest.raises(ConfigError, match="got -1"):
        Inputs(lookback=-1)
