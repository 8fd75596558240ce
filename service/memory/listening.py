"""A state as the models read it: the columns of one listener's listening.

Context is kept as it came over the wire and read by the bundle's own schema, so that histories outlive
bundles: what a schema does not declare, or can no longer read, is absent.

Legend: C context fields
"""

from collections.abc import Mapping
from typing import Final

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from models.context import ContextSchema
from models.errors import DataError
from models.listening import Listening
from service.clock import SECOND
from service.journal.events import Report
from service.memory.state import ListenerState

_UNREPORTED: Final = (np.nan, np.nan)


def to_listening(state: ListenerState, schema: ContextSchema) -> Listening:
    """Return the state's history as a batch of one."""
    sessions = state.sessions
    plays = [play for session in sessions for play in session.plays]
    context = np.full((len(sessions), schema.field_count), np.nan, np.float32)
    if schema.field_count:
        for row, session in enumerate(sessions):
            context[row] = _raw_context(schema, session.context)
    return Listening(
        population=np.array([state.population], np.int64),
        session_start=np.array([0, len(sessions)], np.int64),
        mode=np.array([session.mode for session in sessions], np.int64),
        started_at=np.array([session.started_at for session in sessions], np.float64) / SECOND,
        before=_reports([session.before for session in sessions]),
        after=_reports([session.after for session in sessions]),
        context=context,
        play_start=np.array([0, *np.cumsum([len(session.plays) for session in sessions], dtype=np.int64)]),
        song=np.array([play.song for play in plays], np.int64),
        engagement=np.array([play.engagement for play in plays], np.float32),
        rating=np.array([play.rating for play in plays], np.float32),
        report=np.full((len(plays), 2), np.nan, np.float32),
        play_mode=np.array([play.mode for play in plays], np.int64),
        played_at=np.array([play.played_at for play in plays], np.float64) / SECOND,
    )


def _reports(reports: list[Report | None]) -> Float[ndarray, "S 2"]:
    return np.array([report or _UNREPORTED for report in reports], np.float32).reshape(-1, 2)


def _raw_context(schema: ContextSchema, context: Mapping[str, str | float]) -> list[float]:
    """Return one raw value per field of the schema; NaN where the session said nothing the schema can read."""
    raw = []
    for field in schema.fields:
        try:
            raw.append(field.parse(context[field.name]))
        except (KeyError, DataError):
            raw.append(np.nan)
    return raw
