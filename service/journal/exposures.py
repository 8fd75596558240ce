"""Exposures: how often each song was offered lately under a mode, over all listeners."""

from typing import Final

import numpy as np
from sqlalchemy import Connection, bindparam, func, select

from models.exposure import ExposureSnapshot
from models.listening import Mode
from service.journal.tables import recommendations


def read_exposure(sql: Connection, *, mode: Mode, last: int, catalogue_size: int) -> ExposureSnapshot:
    """Return how often each song stands among the last offers of one mode, over all listeners."""
    rows = sql.execute(_COUNTS, {"asked": mode.label, "last": last}).all()
    return ExposureSnapshot(
        keys=np.array([key for key, _ in rows], np.int64),
        counts=np.array([count for _, count in rows], np.int64),
        catalogue_size=catalogue_size,
    )


_LATEST: Final = (
    select(recommendations.c.song_key)
    .where(recommendations.c.mode == bindparam("asked"))
    .order_by(recommendations.c.offered_at.desc())
    .limit(bindparam("last"))
    .subquery()
)
_COUNTS: Final = select(_LATEST.c.song_key, func.count()).group_by(_LATEST.c.song_key).order_by(_LATEST.c.song_key)
