"""A preset says by default in which order the policy's songs come, and is found by studies without it."""

from dataclasses import fields

import pytest

from models.decoder import POLICY_ORDER, Decoder, Rerank
from models.utility import PAPER_UTILITY
from training.decoding import decoder_of
from training.presets import PAPER, QUICK, Preset

RERANKED = Rerank(utility=PAPER_UTILITY, depth=20, caution=2.0, rarity=1.5)


@pytest.mark.parametrize(("preset", "decoder"), [(PAPER, RERANKED), (QUICK, POLICY_ORDER)])
def test_the_paper_preset_reorders_by_what_songs_are_worth_and_the_quick_one_does_not(
    preset: Preset, decoder: Decoder
):
    assert decoder_of(preset)(PAPER_UTILITY) == decoder


def test_no_preset_holds_its_decoder_so_that_results_of_studies_are_still_found():
    assert "decoder" not in {part.name for part in fields(Preset)}
