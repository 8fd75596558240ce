"""A listener's rights over HTTP: consent to training, everything held to be read, and to be erased."""

import tempfile
from collections.abc import Iterator
from typing import IO, Annotated, Final

import msgspec
import orjson
from fastapi import APIRouter, Response
from fastapi.responses import StreamingResponse
from pydantic import Field

from service.access.caller import Scope
from service.api.dependencies import CallerDep, ListenerDep, PartsDep, needs
from service.api.document import CONFLICTS
from service.api.fields import Id, Incoming, Outgoing
from service.api.strict import StrictRoute
from service.journal.consent import SetConsent
from service.journal.held import NoteExport, write_held
from service.memory.state import ListenerState

router = APIRouter(prefix="/v1/listeners/{listener_id}", tags=["privacy"], route_class=StrictRoute)

IN_MEMORY_BYTES: Final = 1 << 18
"""An export longer than this waits on disk, in a file without a name, until it has been sent."""
_PIECE_BYTES: Final = 1 << 16


class ConsentBody(Incoming):
    """Whether the listener consents to training on what is held of them."""

    event_id: Id
    consent: Annotated[bool, Field(strict=True)]


class ConsentView(Outgoing):
    """What is on record now."""

    event_id: str
    consent: bool
    duplicate: bool


@router.put("/consent", responses=CONFLICTS, dependencies=[needs(Scope.APP)])
async def set_consent(body: ConsentBody, listener: ListenerDep, caller: CallerDep, parts: PartsDep) -> ConsentView:
    """Put consent on record, or its withdrawal; without it nothing of the listener reaches training."""
    written = await parts.record(
        SetConsent(
            listener=listener,
            at=parts.clock(),
            event_id=body.event_id,
            consent=body.consent,
            actor=caller.name,
        )
    )
    return ConsentView(event_id=body.event_id, consent=written.answer.consent, duplicate=written.duplicate)


@router.delete("", status_code=204, dependencies=[needs(Scope.APP)])
async def erase(listener: ListenerDep, caller: CallerDep, parts: PartsDep) -> Response:
    """Erase the listener; afterwards nothing is held, whoever asked before. Saying so twice is saying it once."""
    await parts.listeners.erase(listener, at=parts.clock(), actor=caller.name)
    return Response(status_code=204)


@router.get(
    "/export",
    dependencies=[needs(Scope.OPERATOR, Scope.AUDITOR)],
    responses={200: {"content": {"application/json": {"schema": {"type": "object"}}}}},
    response_class=StreamingResponse,
)
async def export(listener: ListenerDep, caller: CallerDep, parts: PartsDep) -> StreamingResponse:
    """Return everything held of the listener, table by table, and what memory has; the read is on record."""
    await parts.journal.administer(NoteExport(listener=listener, at=parts.clock(), actor=caller.name))
    remembered = await parts.listeners.cache.recall(listener)
    whole = tempfile.SpooledTemporaryFile(IN_MEMORY_BYTES, dir=str(parts.settings.home))  # noqa: SIM115  closed when sent
    try:
        whole.write(b'{"listener_id":' + orjson.dumps(listener.listener_id) + b',"sql":{')
        await parts.journal.read(lambda sql: write_held(sql, listener, whole))
        whole.write(b'},"memory":' + orjson.dumps(_memory(remembered)) + b"}")
        whole.seek(0)
    except BaseException:
        whole.close()
        raise
    return StreamingResponse(_pieces(whole), media_type="application/json")


def _memory(state: ListenerState | None) -> object:
    return None if state is None else msgspec.to_builtins(state)


def _pieces(whole: IO[bytes]) -> Iterator[bytes]:
    with whole:
        while piece := whole.read(_PIECE_BYTES):
            yield piece
