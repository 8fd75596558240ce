"""What a route asks for: a caller of some scope, the service's parts, and the listener.

Every router, or route, declares who may call it: `dependencies=[needs(Scope.APP)]`. One that declares nothing gets
no parts and answers 500, and a test finds it before that.
"""

from typing import Annotated, Any, Final

from fastapi import Depends, Path, Request
from fastapi.openapi.models import HTTPBearer
from fastapi.security.base import SecurityBase
from starlette.exceptions import HTTPException

from service.access.caller import Caller, Scope
from service.access.headers import QUOTA_KEY
from service.api.fields import Id
from service.errors import Forbidden, TooManyRequests
from service.listener import ListenerKey
from service.parts import Parts

_OPERATORS: Final = frozenset({Scope.OPERATOR, Scope.AUDITOR})


class Needs(SecurityBase):
    """Lets in a caller whose key has one of the scopes, within the key's rate limit.

    Where operators have a port of their own, a route is to be found on the port of those it is for: app routes
    on the public one, the others on the operators'; anywhere else it is as unknown as any other path.
    """

    def __init__(self, *scopes: Scope) -> None:
        self.scopes = frozenset(scopes)
        self.model = HTTPBearer(description="A key made by `amrs keys create`.")
        self.scheme_name = "key"

    async def __call__(self, request: Request) -> None:
        """Let the caller in, or not.

        Raises:
            Unauthorized, Forbidden, TooManyRequests: the caller may not do this, or not now.
            Unavailable: the keys cannot be confirmed.
        """
        parts: Parts = request.state.parts
        if not self._is_found_at(parts.settings.operator_port, request.scope["server"]):
            raise HTTPException(404)
        caller = parts.keyring.caller(request.headers.get("authorization", ""))
        if not caller.scopes & self.scopes:
            needed = " or ".join(sorted(self.scopes))
            raise Forbidden(f"expected a key of scope {needed}; this one has {', '.join(sorted(caller.scopes))}")
        request.state.caller = caller
        quota = parts.rate_limits.take(caller)
        setattr(request.state, QUOTA_KEY, quota)
        if quota is not None and quota.retry_after_seconds:
            raise TooManyRequests(quota.retry_after_seconds)

    def _is_found_at(self, operator_port: int | None, server: tuple[str, int | None] | None) -> bool:
        if operator_port is None:
            return True
        is_operators = server is not None and server[1] == operator_port
        return bool(self.scopes & _OPERATORS) if is_operators else Scope.APP in self.scopes


def needs(*scopes: Scope) -> Any:
    """Return the dependency of routes that are open to each of these scopes, and to no other caller."""
    return Depends(Needs(*scopes))


async def _anybodys_parts(request: Request) -> Parts:
    parts: Parts = request.state.parts
    return parts


async def _caller(request: Request) -> Caller:
    caller: Caller = request.state.caller  # fails where the route declares no scope
    return caller


CallerDep = Annotated[Caller, Depends(_caller)]
"""Who was let in."""


async def _callers_parts(request: Request) -> Parts:
    parts: Parts = request.state.parts
    _ = request.state.caller  # fails where the route declares no scope
    return parts


OpenPartsDep = Annotated[Parts, Depends(_anybodys_parts)]
"""The service's parts, for whoever asks."""

PartsDep = Annotated[Parts, Depends(_callers_parts)]
"""The service's parts, for a caller who was let in; every route but health's asks for them this way."""


async def _listener(listener_id: Annotated[Id, Path()], request: Request) -> ListenerKey:
    caller: Caller = request.state.caller  # not by a dependency: each costs a request a tenth of a millisecond
    return ListenerKey(caller.app_id, listener_id)


ListenerDep = Annotated[ListenerKey, Depends(_listener)]
"""The listener in the path: the caller's app's own; another app's is as unknown as nobody."""
