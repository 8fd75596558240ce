"""Remember: a listener's state, as it was kept, becomes the columns the models read.

A session keeps the situation it began in as it came over the wire; another bundle may declare other facts, so what
this one does not know, or would not accept, is absent to it.

Legend: S sessions · P plays · C context fields · R songs offered lately
"""

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from models.context import ContextSchema
from models.errors import DataError
from models.known_safe import known_safe_songs
from models.listening import Listening, Mode
from service.clock import SECOND
from service.journal.events import Report
from service.memory.state import ListenerState, OpenSession, Session
from service.recommend.view import Blocks, Offered, View

_SILENT: Report = (np.nan, np.nan)


def view_of(state: ListenerState, opened: OpenSession, schema: ContextSchema) -> View:
    """Return the listener as the road sees them, in their open session."""
    listening = listening_of(state, schema)
    return View(
        listening=listening,
        mode=Mode(opened.mode),
        offered=_offered(state),
        blocks=Blocks(songs=state.blocks.song_ids, artists=state.blocks.artists, tags=state.blocks.tags),
        known_safe=lambda: known_safe_songs(listening, 0),
    )


def listening_of(state: ListenerState, schema: ContextSchema) -> Listening:
    """Return what is kept of the listener's history, as a batch of one."""
    sessions = state.sessions
    plays = [play for session in sessions for play in session.plays]
    return Listening(
        population=np.array([state.population]),
        session_start=np.array([0, len(sessions)]),
        mode=np.array([session.mode for session in sessions], np.int64),
        started_at=np.array([session.started_at for session in sessions], np.float64) / SECOND,
        before=_reports([session.before for session in sessions]),
        after=_reports([session.after for session in sessions]),
        context=_contexts(sessions, schema),
        play_start=np.cumsum([0, *(len(session.plays) for session in sessions)]),
        song=np.array([play.song for play in plays], np.int64),
        engagement=np.array([play.engagement for play in plays], np.float32),  # None becomes NaN
        rating=np.array([play.rating for play in plays], np.float32),
        report=np.full((len(plays), 2), np.nan, np.float32),
        play_mode=np.array([play.mode for play in plays], np.int64),
        played_at=np.array([play.played_at for play in plays], np.float64) / SECOND,
    )


def _reports(reports: list[Report | None]) -> Float[ndarray, "S 2"]:
    return np.array([report or _SILENT for report in reports], np.float32).reshape(-1, 2)


def _contexts(sessions: tuple[Session, ...], schema: ContextSchema) -> Float[ndarray, "S C"]:
    raw = np.full((len(sessions), schema.field_count), np.nan, np.float32)
    for row, session in enumerate(sessions):
        for column, field in enumerate(schema.fields):
            if field.name in session.context:
                try:
                    raw[row, column] = field.parse(session.context[field.name])
                except DataError:
                    continue  # another bundle's fact under the same name
    return raw


def _offered(state: ListenerState) -> Offered:
    latest_first = state.offers[::-1]
    return Offered(
        song=np.array([offer.song for offer in latest_first], np.int64),
        artist=np.array([offer.artist for offer in latest_first], np.int64),
        at=np.array([offer.offered_at for offer in latest_first], np.float64) / SECOND,
    )
