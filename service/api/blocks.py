"""Blocks over HTTP: what a listener must not be given, by song, by artist or by tag.

A song goes by its id, so that a mistyped one is refused and never passes for a block; artists and tags go by
any name, slashes and all.
"""

from typing import Annotated, Literal

from fastapi import APIRouter, Path, Response

from service.access.caller import Scope
from service.api.dependencies import ListenerDep, PartsDep, needs
from service.api.fields import Id, Name, expected
from service.api.strict import StrictRoute
from service.journal.blocks import BlockKind, SetBlock
from service.listener import ListenerKey
from service.parts import Parts

router = APIRouter(
    prefix="/v1/listeners/{listener_id}/blocks",
    tags=["blocks"],
    route_class=StrictRoute,
    dependencies=[needs(Scope.APP, Scope.OPERATOR)],
)

SongId = Annotated[Id, Path()]
Kind = Annotated[Literal["artist", "tag"], Path(), expected("artist or tag; a song goes by its id alone")]
Value = Annotated[Name, Path()]


@router.put("/song/{song_id}", status_code=204)
async def block_song(song_id: SongId, listener: ListenerDep, parts: PartsDep) -> Response:
    """Never give the listener this song again; saying so twice is saying it once."""
    return await _set(listener, parts, "song", song_id, blocked=True)


@router.delete("/song/{song_id}", status_code=204)
async def unblock_song(song_id: SongId, listener: ListenerDep, parts: PartsDep) -> Response:
    """Allow the song again."""
    return await _set(listener, parts, "song", song_id, blocked=False)


@router.put("/{kind}/{value:path}", status_code=204)
async def block(kind: Kind, value: Value, listener: ListenerDep, parts: PartsDep) -> Response:
    """Never give the listener this artist's songs, or any with this tag, again."""
    return await _set(listener, parts, kind, value, blocked=True)


@router.delete("/{kind}/{value:path}", status_code=204)
async def unblock(kind: Kind, value: Value, listener: ListenerDep, parts: PartsDep) -> Response:
    """Allow the artist or tag again."""
    return await _set(listener, parts, kind, value, blocked=False)


async def _set(listener: ListenerKey, parts: Parts, kind: BlockKind, value: str, *, blocked: bool) -> Response:
    await parts.record(SetBlock(listener=listener, at=parts.clock(), kind=kind, value=value, blocked=blocked))
    return Response(status_code=204)
