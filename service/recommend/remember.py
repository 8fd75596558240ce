"""Remember: a listener's state, as it was kept, becomes what the road reads. R songs were offered lately."""

import numpy as np
from jaxtyping import Int
from numpy import ndarray

from models.context import ContextSchema
from models.known_safe import known_safe_songs
from models.listening import Mode
from service.clock import SECOND
from service.memory.listening import to_listening
from service.memory.state import ListenerState, OpenSession
from service.recommend.view import NO_SONGS, Offered, View


def view_of(
    state: ListenerState,
    opened: OpenSession,
    schema: ContextSchema,
    known_safe: Int[ndarray, " n"] = NO_SONGS,
) -> View:
    """Return the listener as the road sees them, in their open session.

    Args:
        state: as memory has it.
        opened: the session.
        schema: of the bundle's context.
        known_safe: the known-safe songs by the whole history. Where memory does not hold all of it, it cannot tell
            which songs are: without this none is.
    """
    listening = to_listening(state, schema)
    return View(
        listening=listening,
        mode=Mode(opened.mode),
        offered=_offered(state),
        blocks=state.blocks,
        waiting=_waiting(state, opened),
        known_safe=lambda: known_safe_songs(listening, 0) if state.is_whole else known_safe,
    )


def _waiting(state: ListenerState, opened: OpenSession) -> int:
    """Return how many songs were offered in the open session after the last one whose feedback came."""
    answered = [
        play.position
        for session in state.sessions
        if session.session_number == opened.session_number
        for play in session.plays
    ]
    return opened.next_position - 1 - max(answered, default=-1)


def _offered(state: ListenerState) -> Offered:
    latest_first = state.offers[::-1]
    return Offered(
        song=np.array([offer.song for offer in latest_first], np.int64),
        artist=np.array([offer.artist for offer in latest_first], np.int64),
        at=np.array([offer.offered_at for offer in latest_first], np.float64) / SECOND,
    )
