"""Canary listeners over HTTP: an operator enrols them one by one, by name, and releases them."""

from typing import Annotated

from fastapi import APIRouter, Path, Query

from service.api.bundles import ACTOR
from service.api.dependencies import PartsDep
from service.api.fields import Id, Incoming, Outgoing, Time
from service.api.strict import StrictRoute
from service.journal.canary import EnrolListener, Enrolment, ReleaseListener, read_enrolments
from service.listener import DEFAULT_APP, ListenerKey

router = APIRouter(prefix="/v1/models/canary/listeners", tags=["models"], route_class=StrictRoute)

ListenerId = Annotated[Id, Path()]
App = Annotated[Id, Query()]


class EnrolBody(Incoming):
    """A listener is to be answered by the bundle in canary."""

    clinical: bool
    """Whether the operator knows them to be clinical; refused for a clinical listener without it."""


class EnrolmentView(Outgoing):
    """A listener enrolled for canary bundles."""

    app: str
    listener_id: str
    clinical: bool
    enrolled_at: Time
    enrolled_by: str


class EnrolmentsView(Outgoing):
    """Every enrolled listener, by app and id."""

    listeners: list[EnrolmentView]


class ReleasedView(Outgoing):
    """A listener who is answered by the live bundle."""

    app: str
    listener_id: str
    released: bool
    """Whether they were enrolled until now."""


@router.get("")
async def enrolled(parts: PartsDep) -> EnrolmentsView:
    """Return the listeners enrolled for canary bundles."""
    return EnrolmentsView(listeners=[_view(each) for each in await parts.journal.read(read_enrolments)])


@router.put("/{listener_id}")
async def enrol(
    listener_id: ListenerId, body: EnrolBody, parts: PartsDep, app: App = DEFAULT_APP
) -> EnrolmentView:
    """Let the canary bundle answer a listener; workers follow within seconds."""
    listener = ListenerKey(app, listener_id)
    act = EnrolListener(listener=listener, clinical=body.clinical, at=parts.clock(), actor=ACTOR)
    return _view(await parts.journal.administer(act))


@router.delete("/{listener_id}")
async def release(listener_id: ListenerId, parts: PartsDep, app: App = DEFAULT_APP) -> ReleasedView:
    """Let the live bundle answer a listener again; workers follow within seconds."""
    act = ReleaseListener(listener=ListenerKey(app, listener_id), at=parts.clock(), actor=ACTOR)
    released = await parts.journal.administer(act)
    return ReleasedView(app=app, listener_id=listener_id, released=released)


def _view(enrolment: Enrolment) -> EnrolmentView:
    return EnrolmentView(
        app=enrolment.listener.app_id,
        listener_id=enrolment.listener.listener_id,
        clinical=enrolment.clinical,
        enrolled_at=enrolment.enrolled_at,
        enrolled_by=enrolment.enrolled_by,
    )
