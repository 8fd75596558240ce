"""Encode: a history becomes the policy's query and the world models' states.

Legend: M members · D width · Q width of a query
"""

from dataclasses import dataclass

from jaxtyping import Float
from numpy import ndarray

from models.catalogue import gather
from models.listening import NO_SONG, Listening
from models.tokens import tokenise
from service.live.engine import Engine


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Encoded:
    """What the networks make of one history."""

    query: Float[ndarray, " Q"]
    state: Float[ndarray, "1 M D"]
    """After everything that happened."""
    previous_state: Float[ndarray, "1 M D"]
    """Before the last play."""
    last_row: int
    """The catalogue row of the last play's song; `NO_SONG` if that song is unknown or nothing was played yet."""


def encode(engine: Engine, listening: Listening) -> Encoded:
    """Return the bundle's reading of one listener's history."""
    manifest = engine.bundle.manifest
    tokens = tokenise(listening, manifest.context).latest(manifest.lookback)
    rows = engine.catalogue.rows(tokens.song)  # (1, L)
    state, previous_state = engine.graphs.world(gather(engine.vectors.world_token, rows), tokens)
    query = engine.graphs.policy(gather(engine.vectors.policy_token, rows), tokens)
    return Encoded(
        query=query[0],
        state=state,
        previous_state=previous_state,
        last_row=int(rows[0, -1]) if rows.size else NO_SONG,
    )
