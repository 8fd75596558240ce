"""Whether a worker can serve, found out by doing what a request does, in bounded time and once a second at most.

A load balancer may ask as often as it likes: questions that come together share one look, and a look is good for a
second, so that readiness cannot be made a load. What a worker can do without (memory) is told and leaves it ready.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic
from typing import Final

import structlog

from models.errors import AmrsError, Unavailable
from service.journal.journal import Journal
from service.live.live import Live
from service.memory.cache import Cache
from service.recommend.choosing import Choosing
from service.recommend.road import REDIS
from service.recommend.trial import ask_once

PATIENCE_SECONDS: Final = 2.0
"""How long the database, and the models, may each take."""
GOOD_FOR_SECONDS: Final = 1.0

_log = structlog.get_logger("amrs.readiness")


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """Whether the service can serve."""

    bundle: str | None
    degraded: tuple[str, ...]
    """What it does without just now."""
    missing: tuple[str, ...]
    """What it needs and does not have: `bundle`, `models` (the bundle does not compute), `journal`, or one of its
    two threads: `choosing`, `writer` (to the journal)."""

    @property
    def ready(self) -> bool:
        """Whether nothing is missing."""
        return not self.missing


class Readiness:
    """One worker's looks at itself."""

    def __init__(
        self,
        *,
        journal: Journal,
        cache: Cache,
        live: Live,
        choosing: Choosing,
        now: Callable[[], float] = monotonic,
        patience_seconds: float = PATIENCE_SECONDS,
    ) -> None:
        self._journal, self._cache, self._live, self._choosing = journal, cache, live, choosing
        self._now, self._patience = now, patience_seconds
        self._health: Health | None = None
        self._good_until = -1.0
        self._looking: asyncio.Task[Health] | None = None
        self._has_started = False

    @property
    def has_started(self) -> bool:
        """Whether this worker could serve once, or has found that no bundle is live yet; never false again."""
        return self._has_started

    async def look(self) -> Health:
        """Return how the worker is: at most a second old."""
        if self._health is not None and self._now() < self._good_until:
            return self._health
        if self._looking is None:
            self._looking = asyncio.create_task(self._look(), name="readiness")
        return await asyncio.shield(self._looking)

    async def _look(self) -> Health:
        try:
            missing = [name for name in (await self._bundle(), await self._journalled()) if name]
            missing += self._dead_threads()
            current = self._live.loaded.current
            self._health = Health(
                bundle=None if current is None else current.bundle.version,
                degraded=() if await self._cache.answers() else (REDIS,),
                missing=tuple(missing),
            )
            self._has_started |= not set(missing) - {"bundle"}
            self._good_until = self._now() + GOOD_FOR_SECONDS
            return self._health
        finally:
            self._looking = None

    async def _bundle(self) -> str | None:
        engine = self._live.loaded.current
        if engine is None:
            return "bundle"
        try:
            async with asyncio.timeout(self._patience):
                await asyncio.to_thread(ask_once, engine)
        except (AmrsError, TimeoutError) as problem:
            _log.error(
                "the live bundle does not compute a song",
                reason=str(problem) or f"no answer within {self._patience:g} s",
            )
            return "models"
        except Exception:  # noqa: BLE001  whatever it was, a request would have met it
            _log.exception("the live bundle does not compute a song")
            return "models"
        return None

    def _dead_threads(self) -> list[str]:
        """Return which threads of the worker have died; no other look would miss them."""
        alive = {"choosing": self._choosing.is_alive, "writer": self._journal.is_writing}
        return [name for name, is_alive in alive.items() if not is_alive]

    async def _journalled(self) -> str | None:
        try:
            async with asyncio.timeout(self._patience):
                await self._journal.read(lambda sql: sql.exec_driver_sql("SELECT 1").scalar())
        except (Unavailable, TimeoutError):
            return "journal"
        return None
