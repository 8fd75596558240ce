"""The decoders that training offers: how a bundle orders its policy's songs, given what they are worth.

A decoder's numbers are chosen on validation listeners, or on other worlds: docs/decisions/bundle.md. Which decoder
a preset has by default stands here and not in the preset: results of studies are found by the preset, and none of
their numbers hangs on it.
"""

from collections.abc import Callable

from models.decoder import POLICY_ORDER, Decoder, Rerank
from models.utility import LinearUtility, TargetUtility
from training.presets import PAPER, Preset

DecoderRecipe = Callable[[LinearUtility | TargetUtility], Decoder]
"""Gives the order in which the policy's songs come before the guardrails, by what they are worth."""


def policy_order(utility: LinearUtility | TargetUtility) -> Decoder:
    """Return the decoder that leaves the policy's order as it is."""
    del utility
    return POLICY_ORDER


def pessimistic_rerank(utility: LinearUtility | TargetUtility) -> Decoder:
    """Return the decoder that orders the policy's first songs by a pessimistic utility, rare ones earlier."""
    return Rerank(utility=utility, depth=20, caution=2.0, rarity=1.5)


def decoder_of(preset: Preset) -> DecoderRecipe:
    """Return the decoder of a bundle that is trained on a preset, unless it is asked for another one."""
    return pessimistic_rerank if preset.name == PAPER.name else policy_order
