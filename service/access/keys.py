"""Access keys: whoever presents one may call; without any configured, only this machine may (see settings)."""

from collections.abc import Mapping
from hashlib import sha256
from hmac import compare_digest

from models.errors import AmrsError
from service.settings import Settings

BEARER = "bearer "


class Unauthorized(AmrsError):
    """The caller presented no key, or one that opens nothing."""


class Door:
    """Lets callers in by key; keeps digests only, and compares them in constant time."""

    def __init__(self, settings: Settings) -> None:
        self._digests = tuple(_digest(key.get_secret_value()) for key in settings.api_keys)

    def check(self, headers: Mapping[str, str]) -> None:
        """Let the caller in, or not.

        Raises:
            Unauthorized: keys are configured, and the request's `Authorization: Bearer` names none of them.
        """
        if not self._digests:
            return
        presented = headers.get("authorization", "")
        if not presented.lower().startswith(BEARER):
            raise Unauthorized("expected a header Authorization: Bearer <key>")
        digest = _digest(presented[len(BEARER) :].strip())
        known = [compare_digest(digest, other) for other in self._digests]  # each, whichever fits
        if not any(known):
            raise Unauthorized("expected a key that opens this service; the one presented does not")


def _digest(key: str) -> bytes:
    return sha256(key.encode()).digest()
