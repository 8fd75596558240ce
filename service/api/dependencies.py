"""What a route asks for: the service's parts, to which only a caller with a key has the way, and the listener."""

from typing import Annotated

from fastapi import Depends, Path, Request

from service.api.fields import Id
from service.listener import DEFAULT_APP, ListenerKey
from service.parts import Parts


async def _anybodys_parts(request: Request) -> Parts:
    parts: Parts = request.state.parts
    return parts


async def _callers_parts(request: Request) -> Parts:
    parts: Parts = request.state.parts
    parts.door.check(request.headers)
    return parts


OpenPartsDep = Annotated[Parts, Depends(_anybodys_parts)]
"""The service's parts, for whoever asks."""

PartsDep = Annotated[Parts, Depends(_callers_parts)]
"""The service's parts, for a caller who may be here; every route but health's asks for them this way."""


async def _listener(listener_id: Annotated[Id, Path()]) -> ListenerKey:
    return ListenerKey(DEFAULT_APP, listener_id)


ListenerDep = Annotated[ListenerKey, Depends(_listener)]
"""The listener in the path; until keys name apps, every caller is the same app."""
