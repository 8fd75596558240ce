"""Sessions that have ended, as the drift watch reads them: what was predicted of each play, and what came of it.

They are read once, in the order of their ends. A session whose end becomes known more than `SETTLE_SECONDS` after
it (an app that was offline) is not read any more: drift is about the many.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, bindparam, func, select, tuple_

from service.clock import SECOND, Instant
from service.journal.duties import advance_duty
from service.journal.measurements import Measured, Subject, add_measurements
from service.journal.outcomes import with_outcomes
from service.journal.tables import decisions, feedback, plays, recommendations, sessions

DUTY: Final = "drift"
SETTLE_SECONDS: Final = 600.0
"""How long after its end a session is read: feedback and ends that come later are not waited for."""
BATCH: Final = 100
"""Sessions read at a time."""


class EndedPlay(NamedTuple):
    """A song that was offered in a session, and what came of it."""

    position: int
    bundle: str
    mode: str
    song_key: int
    step: int
    """1 plus the songs before it whose feedback was not known when it was chosen."""
    engagement: float | None
    rating: int | None
    was_played: bool
    decision: bytes | None


class EndedSession(NamedTuple):
    """A session that has ended."""

    ended_at: Instant
    report: tuple[float, float] | None
    """After listening: valence and arousal."""
    plays: tuple[EndedPlay, ...]
    """By position; of the last one, the prediction is what the report is held against."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AddDrift:
    """Add what a batch of sessions showed, and put down that they were read.

    Raises, when called: Conflict where another worker has read them meanwhile.
    """

    measured: Mapping[Subject, Measured]
    begun: Instant
    done_to: Instant
    at: Instant

    def __call__(self, sql: Connection) -> None:
        advance_duty(sql, DUTY, begun=self.begun, done_to=self.done_to)
        add_measurements(sql, self.measured, at=self.at)


def ended_sessions(sql: Connection, *, after: Instant, at: Instant) -> tuple[list[EndedSession], Instant]:
    """Return the next sessions that ended after a time and have settled by `at`, and up to when that is all.

    Of sessions that end in the same microsecond, a full batch may leave some out.
    """
    until = at - round(SETTLE_SECONDS * SECOND)
    rows = sql.execute(_SESSIONS, {"after": after, "until": until, "most": BATCH}).all()
    done_to = rows[-1].ended_at if len(rows) == BATCH else max(until, after)
    if not rows:
        return [], done_to
    keys = [(row.listener_number, row.session_number) for row in rows]
    offered = sql.execute(_PLAYS, {"keys": keys}).all()
    answered = _first_answers(sql, keys)
    plays_of = {
        key: tuple(_plays(list(group), answered))
        for key, group in groupby(offered, key=lambda row: tuple(row[:2]))
    }
    return [
        EndedSession(
            row.ended_at,
            None if row.after_valence is None else (row.after_valence, row.after_arousal),
            plays_of.get(key, ()),
        )
        for key, row in zip(keys, rows, strict=True)
    ], done_to


def _plays(rows: list[Any], answered: Mapping[tuple[int, int, int], int]) -> list[EndedPlay]:
    found = []
    for row in rows:
        known = [
            other.position
            for other in rows
            if other.position < row.position
            and answered.get((row.listener_number, row.session_number, other.position), row.sequence)
            < row.sequence
        ]
        found.append(
            EndedPlay(
                row.position,
                row.bundle,
                row.mode,
                row.song_key,
                row.position - max(known, default=-1),
                row.engagement,
                row.rating,
                row.played_at is not None,
                row.body,
            )
        )
    return found


def _first_answers(sql: Connection, keys: list[tuple[int, int]]) -> dict[tuple[int, int, int], int]:
    """Return the number of the write that brought each song's first feedback."""
    return {tuple(row[:3]): row[3] for row in sql.execute(_ANSWERS, {"keys": keys})}


_SESSIONS: Final = (
    select(
        sessions.c.listener_number,
        sessions.c.session_number,
        sessions.c.ended_at,
        sessions.c.after_valence,
        sessions.c.after_arousal,
    )
    .where(sessions.c.ended_at > bindparam("after"), sessions.c.ended_at <= bindparam("until"))
    .order_by(sessions.c.ended_at)
    .limit(bindparam("most"))
)
_PLAYS: Final = (
    with_outcomes(
        select(
            recommendations.c.listener_number,
            recommendations.c.session_number,
            recommendations.c.position,
            recommendations.c.sequence,
            recommendations.c.song_key,
            recommendations.c.mode,
            recommendations.c.bundle,
            plays.c.engagement,
            plays.c.rating,
            plays.c.played_at,
            decisions.c.body,
        )
    )
    .where(
        tuple_(recommendations.c.listener_number, recommendations.c.session_number).in_(
            bindparam("keys", expanding=True)
        )
    )
    .order_by(recommendations.c.listener_number, recommendations.c.session_number, recommendations.c.position)
)
_ANSWERS: Final = (
    select(
        feedback.c.listener_number,
        feedback.c.session_number,
        feedback.c.position,
        func.min(feedback.c.sequence),
    )
    .where(tuple_(feedback.c.listener_number, feedback.c.session_number).in_(bindparam("keys", expanding=True)))
    .group_by(feedback.c.listener_number, feedback.c.session_number, feedback.c.position)
)
