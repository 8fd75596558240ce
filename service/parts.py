"""The parts of a running service, opened together and closed in reverse; what every route may reach for."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final, Never, TypeVar

from models.errors import ConfigError, Unavailable
from models.repository import Repository
from service.access.keyring import Keyring, open_keyring
from service.access.limits import Limits, Rate, open_limits
from service.background import repeating
from service.clock import Clock
from service.journal.command import Command, Written
from service.journal.journal import Journal, JournalConfig, open_journal
from service.journal.settle import Outcome
from service.listener import ListenerKey
from service.live.follow import open_live
from service.live.live import Live
from service.memory.listeners import Listeners
from service.memory.redis_cache import RedisCacheConfig, open_redis_cache
from service.recommend.exposures import open_exposures
from service.recommend.road import REDIS, Road
from service.recommendation_id import TokenSigner
from service.settings import Settings, derived_key, signing_key
from service.telemetry.metrics import Metrics

RATE_LIMITS: Final = "rate_limits"
"""Says that workers could not settle what keys asked for: each counts alone."""
IDLE_LOOK_SECONDS: Final = 60.0
"""How often idle sessions are written down as ended."""

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """Whether the service can serve."""

    bundle: str | None
    degraded: tuple[str, ...]
    missing: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """One worker's parts."""

    settings: Settings
    clock: Clock
    metrics: Metrics
    keyring: Keyring
    limits: Limits
    signer: TokenSigner
    journal: Journal
    listeners: Listeners
    repository: Repository
    live: Live
    road: Road

    async def record(self, command: Command[Answer]) -> Written[Answer]:
        """Commit a listener's write; memory follows."""
        return await self.listeners.write(command)

    async def record_all(self, listener: ListenerKey, commands: Sequence[Command[Any]]) -> list[Outcome]:
        """Commit one listener's writes in one transaction; each has its own outcome."""
        return await self.listeners.write_all(listener, commands) if commands else []

    async def health(self) -> Health:
        """Say whether the service can serve."""
        current = self.live.loaded.current
        version = None if current is None else current.bundle.version
        missing = [] if version else ["bundle"]
        try:
            await self.journal.read(lambda sql: sql.exec_driver_sql("SELECT 1").scalar())
        except Unavailable:
            missing.append("journal")
        degraded = (REDIS,) if self.listeners.cache.is_degraded else ()
        return Health(bundle=version, degraded=degraded, missing=tuple(missing))


@asynccontextmanager
async def open_parts(settings: Settings, *, clock: Clock, metrics: Metrics) -> AsyncIterator[Parts]:
    """Open everything one worker holds.

    Raises:
        ConfigError: the database has another schema, or settings contradict each other.
        Unavailable: the database does not answer.
    """
    async with AsyncExitStack() as stack:
        signer = TokenSigner(signing_key(settings))
        config = JournalConfig(write_timeout_seconds=settings.write_timeout_seconds)
        journal = await stack.enter_async_context(open_journal(settings.database_url, config=config))
        keyring = await stack.enter_async_context(open_keyring(settings, journal))
        cache = await stack.enter_async_context(
            open_redis_cache(
                settings.redis_url or _no_redis(),
                RedisCacheConfig(
                    prefix=settings.redis_prefix,
                    timeout_seconds=settings.redis_timeout_seconds,
                    secret=derived_key(signer.key, "names of listeners in Redis"),
                ),
                on_error=lambda _: metrics.degraded.labels(REDIS).inc(),
            )
        )
        limits = await stack.enter_async_context(
            open_limits(
                settings.redis_url or _no_redis(),
                prefix=settings.redis_prefix,
                rate=Rate(per_second=settings.rate_limit_per_second, burst=settings.rate_limit_burst),
                timeout_seconds=settings.redis_timeout_seconds,
                on_error=metrics.degraded.labels(RATE_LIMITS).inc,
            )
        )
        listeners = Listeners(journal, cache)
        repository = Repository(settings.home / "bundles")
        live = await stack.enter_async_context(open_live(repository, journal, metrics))
        await stack.enter_async_context(_ending_idle_sessions(listeners, clock, settings.idle_limit_seconds))
        exposures = await stack.enter_async_context(open_exposures(journal, live, metrics))
        road = Road(
            listeners=listeners,
            live=live,
            exposures=exposures,
            signer=signer,
            metrics=metrics,
            clock=clock,
            idle_limit_seconds=settings.idle_limit_seconds,
        )
        yield Parts(
            settings=settings,
            clock=clock,
            metrics=metrics,
            keyring=keyring,
            limits=limits,
            signer=signer,
            journal=journal,
            listeners=listeners,
            repository=repository,
            live=live,
            road=road,
        )


def _ending_idle_sessions(
    listeners: Listeners, clock: Clock, idle_limit_seconds: float
) -> AbstractAsyncContextManager[None]:
    """Write down in the background which sessions have ended of idleness; answers do not wait for it."""

    async def end() -> None:
        await listeners.end_idle_sessions(at=clock(), idle_limit_seconds=idle_limit_seconds)

    return repeating("end idle sessions", end, seconds=IDLE_LOOK_SECONDS)


def _no_redis() -> Never:
    raise ConfigError("redis_url must name a Redis here; `amrs serve` starts a private one where none is named")
