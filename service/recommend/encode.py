"""Encode: histories become the policy's queries and the world models' states, many listeners at a time.

Legend: B listeners · M members · D width · Q width of a query
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from models.catalogue import gather
from models.listening import NO_SONG, Listening, concatenate
from models.tokens import tokenise
from service.live.engine import Engine


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Encoded:
    """What the networks make of histories."""

    listening: Listening
    """The histories, side by side."""
    query: Float[ndarray, "B Q"]
    state: Float[ndarray, "B M D"]
    """After everything that happened."""
    previous_state: Float[ndarray, "B M D"]
    """Before the last play."""
    last_row: Int[ndarray, " B"]
    """The catalogue row of the last play's song; `NO_SONG` if that song is unknown or nothing was played yet."""


def encode(engine: Engine, histories: Sequence[Listening]) -> Encoded:
    """Return the bundle's reading of one listener's history each."""
    manifest = engine.bundle.manifest
    together = histories[0] if len(histories) == 1 else concatenate(list(histories))
    tokens = tokenise(together, manifest.context).latest(manifest.lookback)
    rows = engine.catalogue.rows(tokens.song)  # (B, L)
    state, previous_state = engine.graphs.world(gather(engine.vectors.world_token, rows), tokens)
    query = engine.graphs.policy(gather(engine.vectors.policy_token, rows), tokens)
    if rows.size:
        last_row = rows[np.arange(len(rows)), np.maximum(tokens.length - 1, 0)]
    else:
        last_row = np.full(len(rows), NO_SONG)
    return Encoded(listening=together, query=query, state=state, previous_state=previous_state, last_row=last_row)
