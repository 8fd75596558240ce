"""The audit over HTTP, to be read: who did what, the latest first."""

from typing import Annotated, Any

from fastapi import APIRouter, Query

from service.access.caller import Scope
from service.api.dependencies import CallerDep, PartsDep, needs
from service.api.fields import Id, Outgoing, PageSize, Time
from service.journal.audit import Act, read_acts, subject_of
from service.journal.held import number_of
from service.listener import ListenerKey

router = APIRouter(prefix="/v1/audit", tags=["audit"], dependencies=[needs(Scope.OPERATOR, Scope.AUDITOR)])


class ActView(Outgoing):
    """One act on record."""

    audit_number: int
    at: Time
    actor: str
    act: str
    subject: str
    detail: dict[str, Any]


class AuditView(Outgoing):
    """A page of acts; `before` leads to the earlier ones, if there are any."""

    acts: list[ActView]
    before: int | None


@router.get("")
async def acts(
    caller: CallerDep,
    parts: PartsDep,
    limit: Annotated[PageSize, Query()] = 100,
    before: Annotated[int | None, Query(ge=1, le=2**62)] = None,
    listener_id: Annotated[Id | None, Query()] = None,
) -> AuditView:
    """Return acts on what all apps share and on the caller's app's listeners; of one listener if one is named.

    Erased listeners are named by a number that leads to nobody.
    """

    def ask(sql: Any) -> list[Act]:
        subject = None
        if listener_id is not None:
            subject = subject_of(number_of(sql, ListenerKey(caller.app_id, listener_id)))
        return read_acts(sql, app_id=caller.app_id, limit=limit + 1, before=before, subject=subject)

    found = await parts.journal.read(ask)
    page = [ActView(**{name: getattr(act, name) for name in ActView.model_fields}) for act in found[:limit]]
    return AuditView(acts=page, before=page[-1].audit_number if len(found) > limit else None)
