"""What a route asks for: the service's parts, the caller's right to be here, the listener it is about."""

from typing import Annotated

from fastapi import Depends, Path, Request

from service.api.fields import Id
from service.listener import DEFAULT_APP, ListenerKey
from service.parts import Parts


async def _parts(request: Request) -> Parts:
    parts: Parts = request.state.parts
    return parts


PartsDep = Annotated[Parts, Depends(_parts)]


async def admit(request: Request) -> None:
    """Let the caller in, or not."""
    request.state.parts.door.check(request.headers)


async def _listener(listener_id: Annotated[Id, Path()]) -> ListenerKey:
    return ListenerKey(DEFAULT_APP, listener_id)


ListenerDep = Annotated[ListenerKey, Depends(_listener)]
"""The listener in the path; until keys name apps, every caller is the same app."""
