"""Events over HTTP: what an app that was offline has to tell, in one body and one transaction."""

from typing import Any

from fastapi import APIRouter

from models.errors import AmrsError
from service.access.caller import Scope
from service.api.bodies import EndEvent, EventResultView, EventsBody, EventsView, FeedbackEvent, ModeEvent
from service.api.dependencies import ListenerDep, PartsDep, needs
from service.api.problems import problem_for
from service.api.recommendations import feedback_command
from service.api.sessions import end_command, mode_command
from service.api.strict import LargeBodyRoute
from service.journal.command import Command, Written
from service.listener import ListenerKey
from service.parts import Parts

router = APIRouter(
    prefix="/v1/listeners/{listener_id}/events",
    tags=["events"],
    route_class=LargeBodyRoute,
    dependencies=[needs(Scope.APP)],
)


@router.post("")
async def take_events(body: EventsBody, listener: ListenerDep, parts: PartsDep) -> EventsView:
    """Write down each event as if it had come by itself; one that is refused does not harm the others."""
    prepared = [_command(event, listener, parts) for event in body.events]
    commands = [each for each in prepared if isinstance(each, Command)]
    recorded = iter(await parts.record_all(listener, commands))
    outcomes = [next(recorded) if isinstance(each, Command) else each for each in prepared]
    results = [_result(event.event_id, outcome) for event, outcome in zip(body.events, outcomes, strict=True)]
    return EventsView(results=results)


def _command(
    event: FeedbackEvent | ModeEvent | EndEvent, listener: ListenerKey, parts: Parts
) -> Command[Any] | AmrsError:
    """Return the write an event asks for, or why there can be none."""
    try:
        match event:
            case FeedbackEvent():
                return feedback_command(event, event.recommendation_id, listener, parts)
            case ModeEvent():
                return mode_command(event, event.session_id, listener, parts)
            case EndEvent():
                return end_command(event, event.session_id, listener, parts)
    except AmrsError as refusal:
        return refusal


def _result(event_id: str, outcome: Written[Any] | AmrsError) -> EventResultView:
    if isinstance(outcome, AmrsError):
        return EventResultView(
            event_id=event_id, status=problem_for(outcome).status, duplicate=False, detail=str(outcome)
        )
    return EventResultView(event_id=event_id, status=200, duplicate=outcome.duplicate)
