"""Canary listeners over HTTP: an operator enrols them one by one, by name, and releases them."""

from typing import Annotated

from fastapi import APIRouter, Path

from service.access.caller import Scope
from service.api.dependencies import CallerDep, PartsDep, needs
from service.api.document import CONFLICTS
from service.api.fields import Id, Incoming, Outgoing, Time
from service.api.strict import StrictRoute
from service.journal.canary import EnrolListener, Enrolment, ReleaseListener, read_enrolments
from service.listener import ListenerKey

router = APIRouter(
    prefix="/v1/models/canary/listeners",
    tags=["models"],
    route_class=StrictRoute,
    dependencies=[needs(Scope.OPERATOR)],
)

ListenerId = Annotated[Id, Path()]


class EnrolBody(Incoming):
    """A listener is to be answered by the bundle in canary."""

    clinical: bool
    """Whether the operator knows them to be clinical; refused for a clinical listener without it."""


class EnrolmentView(Outgoing):
    """A listener enrolled for canary bundles."""

    listener_id: str
    clinical: bool
    enrolled_at: Time
    enrolled_by: str


class EnrolmentsView(Outgoing):
    """The enrolled listeners of the caller's app, by id."""

    listeners: list[EnrolmentView]


class ReleasedView(Outgoing):
    """A listener who is answered by the live bundle."""

    listener_id: str
    released: bool
    """Whether they were enrolled until now."""


@router.get("")
async def enrolled(caller: CallerDep, parts: PartsDep) -> EnrolmentsView:
    """Return the caller's app's listeners enrolled for canary bundles."""
    found = await parts.journal.read(read_enrolments)
    return EnrolmentsView(listeners=[_view(each) for each in found if each.listener.app_id == caller.app_id])


@router.put("/{listener_id}", responses=CONFLICTS)
async def enrol(listener_id: ListenerId, body: EnrolBody, caller: CallerDep, parts: PartsDep) -> EnrolmentView:
    """Let the canary bundle answer a listener; workers follow within seconds."""
    listener = ListenerKey(caller.app_id, listener_id)
    act = EnrolListener(listener=listener, clinical=body.clinical, at=parts.clock(), actor=caller.name)
    return _view(await parts.journal.administer(act))


@router.delete("/{listener_id}")
async def release(listener_id: ListenerId, caller: CallerDep, parts: PartsDep) -> ReleasedView:
    """Let the live bundle answer a listener again; workers follow within seconds."""
    act = ReleaseListener(listener=ListenerKey(caller.app_id, listener_id), at=parts.clock(), actor=caller.name)
    released = await parts.journal.administer(act)
    return ReleasedView(listener_id=listener_id, released=released)


def _view(enrolment: Enrolment) -> EnrolmentView:
    return EnrolmentView(
        listener_id=enrolment.listener.listener_id,
        clinical=enrolment.clinical,
        enrolled_at=enrolment.enrolled_at,
        enrolled_by=enrolment.enrolled_by,
    )
