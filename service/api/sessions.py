"""Sessions over HTTP: they begin, change their mode, and end."""

from typing import Annotated

from fastapi import APIRouter, Path

from models.listening import Mode, Population
from service.access.caller import Scope
from service.api.bodies import EndedView, EndSessionBody, ModeBody, ModeView, StartedView, StartSessionBody
from service.api.dependencies import ListenerDep, PartsDep, needs
from service.api.document import CONFLICTS
from service.api.fields import Id, to_affect
from service.api.strict import StrictRoute
from service.journal.sessions import ChangeMode, EndSession, StartSession

router = APIRouter(
    prefix="/v1/listeners/{listener_id}/sessions",
    tags=["sessions"],
    route_class=StrictRoute,
    dependencies=[needs(Scope.APP)],
)

SessionId = Annotated[Id, Path()]


@router.post("", status_code=201, responses=CONFLICTS)
async def start_session(body: StartSessionBody, listener: ListenerDep, parts: PartsDep) -> StartedView:
    """Begin a session; one still open ends first, without a report."""
    context = {name: value for name, value in body.context.items() if value is not None}
    written = await parts.record(
        StartSession(
            listener=listener,
            at=parts.clock(),
            session_id=body.session_id,
            mode=Mode[body.mode.upper()],
            report=to_affect(body.report),
            population=Population[body.population.upper()] if body.population else None,
            context=context,
            check_context=lambda: parts.live.engine.bundle.manifest.context.parse(body.context),
            idle_limit_seconds=parts.settings.idle_limit_seconds,
        )
    )
    answer = written.answer
    return StartedView(
        session_id=answer.session_id,
        listener_id=listener.listener_id,
        mode=answer.mode,
        started_at=answer.started_at,
        duplicate=written.duplicate,
    )


@router.post("/{session_id}/mode", responses=CONFLICTS)
async def change_mode(session_id: SessionId, body: ModeBody, listener: ListenerDep, parts: PartsDep) -> ModeView:
    """Ask for another mode from here on."""
    written = await parts.record(mode_command(body, session_id, listener, parts))
    return ModeView(
        event_id=body.event_id,
        session_id=session_id,
        mode=written.answer.mode,
        duplicate=written.duplicate,
    )


@router.post("/{session_id}/end", responses=CONFLICTS)
async def end_session(
    session_id: SessionId, body: EndSessionBody, listener: ListenerDep, parts: PartsDep
) -> EndedView:
    """End the session, with the listener's report if there is one."""
    written = await parts.record(end_command(body, session_id, listener, parts))
    return EndedView(session_id=session_id, ended_at=written.answer.ended_at, duplicate=written.duplicate)


def mode_command(body: ModeBody, session_id: str, listener: ListenerDep, parts: PartsDep) -> ChangeMode:
    """Return the write that a change of mode asks for."""
    return ChangeMode(
        listener=listener,
        at=parts.clock(),
        session_id=session_id,
        event_id=body.event_id,
        mode=Mode[body.mode.upper()],
        occurred_at=body.occurred_at,
        idle_limit_seconds=parts.settings.idle_limit_seconds,
    )


def end_command(body: EndSessionBody, session_id: str, listener: ListenerDep, parts: PartsDep) -> EndSession:
    """Return the write that a session's end asks for."""
    return EndSession(
        listener=listener,
        at=parts.clock(),
        session_id=session_id,
        event_id=body.event_id,
        report=to_affect(body.report),
        occurred_at=body.occurred_at,
        idle_limit_seconds=parts.settings.idle_limit_seconds,
    )
