"""The decoders that training offers: how a bundle orders its policy's songs, given what they are worth.

A decoder's numbers are chosen on validation listeners, or on other worlds: docs/decisions/bundle.md.
"""

from models.decoder import POLICY_ORDER, Decoder, Rerank
from models.utility import LinearUtility, TargetUtility


def policy_order(utility: LinearUtility | TargetUtility) -> Decoder:
    """Return the decoder that leaves the policy's order as it is."""
    del utility
    return POLICY_ORDER


def pessimistic_rerank(utility: LinearUtility | TargetUtility) -> Decoder:
    """Return the decoder that orders the policy's first songs by a pessimistic utility, rare ones earlier."""
    return Rerank(utility=utility, depth=20, caution=2.0, rarity=1.5)
