"""A scale is found by its name, and paper scale repeats as often as the paper."""

from dataclasses import replace

import pytest

from models.errors import ConfigError
from training.studies.scales import PAPER, SMALL, scale_named


def test_a_scale_is_found_by_its_name():
    assert scale_named("small") is SMALL


def test_paper_scale_repeats_as_often_as_the_paper():
    assert (PAPER.splits, PAPER.seeds) == (10, 5)


def test_an_unknown_scale_lists_the_known_ones():
    with pytest.raises(ConfigError, match="small, paper; got 'huge'"):
        scale_named("huge")


def test_nothing_cannot_be_repeated():
    with pytest.raises(ConfigError, match="got 0"):
        replace(SMALL, splits=0)
