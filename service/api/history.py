"""History over HTTP: what a listener was played, page by page, the latest first."""

from typing import Annotated

from fastapi import APIRouter, Query

from service.access.caller import Scope
from service.api.bodies import HistoryView, PlayView, ReportView, SessionView
from service.api.dependencies import ListenerDep, PartsDep, needs
from service.journal.events import Report
from service.journal.history import CURSOR_PATTERN, HistoryPlay, HistorySession, read_history
from service.journal.recommendations import play_state

router = APIRouter(prefix="/v1/listeners/{listener_id}/history", tags=["history"], dependencies=[needs(Scope.APP)])


@router.get("")
async def history(
    listener: ListenerDep,
    parts: PartsDep,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    before: Annotated[str | None, Query(pattern=CURSOR_PATTERN)] = None,
) -> HistoryView:
    """Return a page of the listener's plays; `before` of one page asks for the next."""
    page = await parts.journal.read(lambda sql: read_history(sql, listener, limit=limit, before=before))
    sessions = {play.session.session_id: play.session for play in page.plays}
    return HistoryView(
        listener_id=listener.listener_id,
        plays=[_play(play) for play in page.plays],
        sessions=[_session(session) for session in sessions.values()],
        before=page.before,
    )


def _play(play: HistoryPlay) -> PlayView:
    return PlayView(
        session_id=play.session.session_id,
        position=play.position,
        song_id=play.song_id,
        title=play.title,
        artist=play.artist,
        mode=play.mode,
        bundle=play.bundle,
        state="skipped" if play_state(play.engagement) == "skipped" else "played",
        offered_at=play.offered_at,
        played_at=play.played_at,
        engagement=play.engagement,
        rating=play.rating,
    )


def _session(session: HistorySession) -> SessionView:
    return SessionView(
        session_id=session.session_id,
        mode=session.mode,
        started_at=session.started_at,
        ended_at=session.ended_at,
        before=_report(session.before),
        after=_report(session.after),
    )


def _report(report: Report | None) -> ReportView | None:
    return None if report is None else ReportView(valence=report[0], arousal=report[1])
