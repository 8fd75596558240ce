"""Blocks over HTTP: what a listener must not be given, by song, by artist or by tag."""

from typing import Annotated

from fastapi import APIRouter, Path, Response

from service.access.caller import Scope
from service.api.dependencies import ListenerDep, PartsDep, needs
from service.api.fields import Name
from service.api.strict import StrictRoute
from service.journal.blocks import BlockKind, SetBlock

router = APIRouter(
    prefix="/v1/listeners/{listener_id}/blocks",
    tags=["blocks"],
    route_class=StrictRoute,
    dependencies=[needs(Scope.APP)],
)

Kind = Annotated[BlockKind, Path()]
Value = Annotated[Name, Path()]


@router.put("/{kind}/{value:path}", status_code=204)
async def block(kind: Kind, value: Value, listener: ListenerDep, parts: PartsDep) -> Response:
    """Never give the listener this song, artist or tag again; saying so twice is saying it once."""
    await parts.record(SetBlock(listener=listener, at=parts.clock(), kind=kind, value=value, blocked=True))
    return Response(status_code=204)


@router.delete("/{kind}/{value:path}", status_code=204)
async def unblock(kind: Kind, value: Value, listener: ListenerDep, parts: PartsDep) -> Response:
    """Allow the song, artist or tag again."""
    await parts.record(SetBlock(listener=listener, at=parts.clock(), kind=kind, value=value, blocked=False))
    return Response(status_code=204)
