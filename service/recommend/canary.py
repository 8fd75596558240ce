"""The canary: a listener who does not exist asks the live engine for a song, and the whole road computes one.

What it gives is thrown away; what counts is that it could be computed here and now, by these graphs over this
catalogue. That the guardrails leave such a listener without a song is an answer too.
"""

from typing import Final

import numpy as np

from models.errors import AmrsError
from models.exposure import empty_snapshot
from models.listening import Mode
from service.clock import SECOND, Instant
from service.journal.events import Play
from service.live.engine import Engine
from service.memory.state import ListenerState, OpenSession, Session
from service.recommend.recommend import recommend
from service.recommend.remember import view_of

PLAYS: Final = 3
_SECONDS_APART: Final = 240


class CanaryDied(AmrsError):
    """The live engine does not compute what a request asks of it."""


def ask_canary(engine: Engine, *, at: Instant) -> None:
    """Have the live engine choose a song for a synthetic listener.

    Raises:
        CanaryDied: there is no song to consider, or a prediction is not a number.
    """
    state, opened = synthetic_listener(engine, at=at)
    view = view_of(state, opened, engine.bundle.manifest.context)
    recommended = recommend(engine, view, empty_snapshot(len(engine.index)), now=at / SECOND)
    outcome = recommended.refusal or recommended.songs[0]
    judged = outcome.decision.trials[0].candidates.predicted
    if not outcome.considered:
        raise CanaryDied(f"{engine.bundle.version} has no song to consider among {len(engine.index)}")
    if not np.isfinite(judged).all():
        raise CanaryDied(f"{engine.bundle.version} predicts what is not a number")


def synthetic_listener(engine: Engine, *, at: Instant) -> tuple[ListenerState, OpenSession]:
    """Return a listener who said they are well and heard the catalogue's first songs."""
    keys = engine.catalogue.keys[:PLAYS]
    began = at - _SECONDS_APART * SECOND * (len(keys) + 1)
    mode = int(Mode.UNSPECIFIED)
    plays = tuple(
        Play(place, int(key), mode, 0.8, 1, began + _SECONDS_APART * SECOND * place)
        for place, key in enumerate(keys)
    )
    session = Session(1, mode, began, (0.5, 0.5), None, {}, plays)
    opened = OpenSession(1, "canary", mode, len(plays))
    return ListenerState(sequence=1, active_at=at, sessions=(session,), open=opened), opened
