"""The keyring: who a presented key speaks for, answered from memory, without a query.

Keys live in SQL, made and revoked by command; each worker looks at their revision once a second and keeps a
snapshot, so that a revoked key opens nothing anywhere within two seconds. Fails closed: a snapshot that could not
be confirmed for `STALE_SECONDS` opens nothing more (503, not 401: the key may be good). The keys of the
environment need no SQL: they are there to begin with, and for whoever reads the metrics in an outage.
"""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from hmac import compare_digest
from time import monotonic
from typing import Final

from models.errors import Unavailable
from service.access.caller import EVERY_SCOPE, Caller
from service.access.secrets import digest_of, parse
from service.background import repeating
from service.errors import Unauthorized
from service.journal.journal import Journal
from service.journal.keys import KeyRecord, read_keys, read_keys_revision
from service.listener import DEFAULT_APP
from service.settings import Settings, is_loopback

LOOK_SECONDS: Final = 0.75
STALE_SECONDS: Final = 15.0
"""How long keys are believed that SQL could not confirm."""
_BEARER: Final = "bearer "
_NOBODYS: Final = bytes(32)
"""Compared where there is no such key, so that the answer takes as long."""

ANYBODY: Final = Caller(app_id=DEFAULT_APP, scopes=EVERY_SCOPE, name="anybody on this machine", is_limited=False)


class Keyring:
    """Every key that opens this service, as one worker knows them."""

    def __init__(self, settings: Settings, *, now: Callable[[], float] = monotonic) -> None:
        self._bootstrap = tuple(
            (
                digest_of(key.get_secret_value()),
                Caller(app_id=DEFAULT_APP, scopes=EVERY_SCOPE, name=f"bootstrap key {number}"),
            )
            for number, key in enumerate(settings.api_keys, 1)
        )
        self._is_open_house = not self._bootstrap and is_loopback(settings.host)
        self._now = now
        self._revision = -1
        self._confirmed_at = float("-inf")
        self._keys: Mapping[str, tuple[bytes, Caller]] = {}

    async def look(self, journal: Journal) -> None:
        """Take over what has changed since the last look.

        Raises:
            Unavailable: SQL does not answer; the keys are believed a while longer.
        """
        begun = self._now()
        revision = await journal.read(read_keys_revision)
        if revision != self._revision:
            found = await journal.read(read_keys)
            if found.records:
                self._is_open_house = False
            self._keys = {
                record.key_id: (record.digest, _caller(record))
                for record in found.records
                if record.revoked_at is None
            }
            self._revision = found.revision
        self._confirmed_at = begun

    def caller(self, authorization: str) -> Caller:
        """Return whom a request's `Authorization` header speaks for.

        Raises:
            Unauthorized: it names no key that opens anything.
            Unavailable: it may be a good key, but SQL has not confirmed the keys for too long.
        """
        if self._is_open_house:
            return ANYBODY
        if authorization[: len(_BEARER)].lower() != _BEARER:
            raise Unauthorized("expected a header Authorization: Bearer <key>")
        text = authorization[len(_BEARER) :].strip()
        presented = parse(text)
        whole = digest_of(text)
        for bootstrap, caller in self._bootstrap:
            if compare_digest(whole, bootstrap):
                return caller
        if presented is None:
            raise _refused()
        digest, known = self._keys.get(presented.key_id, (_NOBODYS, None))
        fits = compare_digest(digest_of(presented.secret), digest)
        if self._now() - self._confirmed_at > STALE_SECONDS:
            raise Unavailable("access keys cannot be confirmed now")
        if known is None or not fits:
            raise _refused()
        return known


def _caller(record: KeyRecord) -> Caller:
    return Caller(app_id=record.app_id, scopes=record.scopes, name=f"key {record.key_id}")


def _refused() -> Unauthorized:
    return Unauthorized("expected a key that opens this service; the one presented does not")


@asynccontextmanager
async def open_keyring(settings: Settings, journal: Journal) -> AsyncIterator[Keyring]:
    """Give the keyring, looked up first and kept up to date in the background.

    Raises:
        Unavailable: SQL does not answer.
    """
    keyring = Keyring(settings)

    async def look() -> None:
        await keyring.look(journal)

    await look()
    async with repeating("follow the keys", look, seconds=LOOK_SECONDS):
        yield keyring
