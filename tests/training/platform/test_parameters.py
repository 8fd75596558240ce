"""A platform is fixed by its parameters and size, and contradictory sizes are refused at birth."""

from dataclasses import replace

import pytest

from models.errors import ConfigError
from training.platform.parameters import PAPER, SIZES, PlatformParameters


def test_the_digest_changes_with_any_constant() -> None:
    parameters = PlatformParameters()
    other = replace(parameters, feedback=replace(parameters.feedback, liking_lift=0.0081))

    assert parameters.digest == PlatformParameters().digest
    assert parameters.digest != other.digest


def test_the_paper_scale_is_table_one() -> None:
    assert SIZES["paper"] == PAPER
    assert (PAPER.listener_count, PAPER.session_count, PAPER.play_count) == (939, 8_784, 57_822)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("listener_count", 0, "at least one session per listener"),
        ("session_count", 900, "at least one session per listener"),
        ("play_count", 8_783, "one play per session"),
        ("positive_rating_count", 57_822, "more ratings than plays"),
        ("end_report_count", 8_785, "more end reports than sessions"),
        ("song_count", 99, "at least 100 songs; got 99"),
    ],
)
def test_a_contradictory_size_is_refused(field: str, value: int, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        replace(PAPER, **{field: value})
