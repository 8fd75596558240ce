"""The parts of a running service, opened together and closed in reverse; what every route may reach for."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final, Never, TypeVar

from models.errors import ConfigError
from models.repository import Repository, repository_in
from service.access.keyring import Keyring, open_keyring
from service.access.rate_limits import Rate, RateLimits, open_rate_limits
from service.background import repeating
from service.clock import Clock
from service.journal.command import Command, Written
from service.journal.journal import Journal, JournalConfig, open_journal
from service.journal.returns import ReturnBounds
from service.journal.settle import Outcome
from service.listener import ListenerKey
from service.live.bundles import BundleFollower
from service.live.canary import open_canary_roster
from service.live.drift import DriftWatch, watching_drift
from service.live.follow import open_live
from service.live.live import Live
from service.live.load import Loader
from service.live.signature import public_keys_of
from service.live.watch import open_watch
from service.memory.listeners import Listeners
from service.memory.redis_cache import RedisCacheConfig, open_redis_cache
from service.readiness import Readiness
from service.recommend.answering import Answering
from service.recommend.choosing import open_choosing
from service.recommend.exposures import open_exposures
from service.recommend.road import Road
from service.recommend.shadow import open_shadow
from service.recommend.trial import try_out
from service.recommendation_id import TokenSigner
from service.settings import Settings, derived_key, signing_key
from service.staging import Staging
from service.telemetry.metrics import Metrics
from service.telemetry.spans import Spans
from service.telemetry.storage import CacheNumbers, JournalNumbers
from service.telemetry.vitals import Vitals, open_vitals

RATE_LIMITS: Final = "rate_limits"
"""Says that workers could not settle what keys asked for: each counts alone."""
IDLE_LOOK_SECONDS: Final = 60.0
"""How often idle sessions are written down as ended."""

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """One worker's parts."""

    settings: Settings
    clock: Clock
    metrics: Metrics
    keyring: Keyring
    rate_limits: RateLimits
    signer: TokenSigner
    journal: Journal
    listeners: Listeners
    repository: Repository
    live: Live
    bundles: BundleFollower
    staging: Staging
    road: Road
    readiness: Readiness

    async def record(self, command: Command[Answer]) -> Written[Answer]:
        """Commit a listener's write; memory follows."""
        return await self.listeners.write(command)

    async def record_all(self, listener: ListenerKey, commands: Sequence[Command[Any]]) -> list[Outcome]:
        """Commit one listener's writes in one transaction; each has its own outcome."""
        return await self.listeners.write_all(listener, commands) if commands else []


@asynccontextmanager
async def open_parts(
    settings: Settings, *, clock: Clock, metrics: Metrics, spans: Spans | None = None
) -> AsyncIterator[Parts]:
    """Open everything one worker holds.

    Raises:
        ConfigError: the database has another schema, or settings contradict each other.
        Unavailable: the database does not answer.
    """
    async with AsyncExitStack() as stack:
        signer = TokenSigner(signing_key(settings))
        config = JournalConfig(write_timeout_seconds=settings.write_timeout_seconds)
        journal = await stack.enter_async_context(
            open_journal(settings.database_url, config=config, watch=JournalNumbers(metrics))
        )
        keyring = await stack.enter_async_context(open_keyring(settings, journal))
        cache = await stack.enter_async_context(
            open_redis_cache(
                settings.redis_url or _no_redis(),
                RedisCacheConfig(
                    prefix=settings.redis_prefix,
                    timeout_seconds=settings.redis_timeout_seconds,
                    secret=derived_key(signer.key, "names of listeners in Redis"),
                ),
                watch=CacheNumbers(metrics),
            )
        )
        rate_limits = await stack.enter_async_context(
            open_rate_limits(
                settings.redis_url or _no_redis(),
                prefix=settings.redis_prefix,
                rate=Rate(per_second=settings.rate_limit_per_second, burst=settings.rate_limit_burst),
                timeout_seconds=settings.redis_timeout_seconds,
                on_error=metrics.done_without[RATE_LIMITS].inc,
            )
        )
        listeners = Listeners(journal, cache)
        repository = repository_in(settings.home)
        keys = public_keys_of(settings)
        loader = Loader(
            repository=repository,
            try_out=try_out,
            metrics=metrics.models,
            public_keys=keys,
            on_run=lambda graph, seconds: metrics.onnx_seconds[graph].observe(seconds),
        )
        live, bundles = await stack.enter_async_context(open_live(loader, journal, metrics, clock))
        roster = await stack.enter_async_context(open_canary_roster(journal, live))
        tally = await stack.enter_async_context(
            open_watch(journal, return_bounds(settings), metrics.models, clock, bundles.wake)
        )
        await stack.enter_async_context(_ending_idle_sessions(listeners, clock, settings.idle_limit_seconds))
        exposures = await stack.enter_async_context(open_exposures(journal, live, metrics))
        drift = DriftWatch(journal, live, repository, metrics.models, clock, bundles.replica)
        await stack.enter_async_context(watching_drift(drift))
        shadow = await stack.enter_async_context(open_shadow(live, tally, metrics.models))
        answering = Answering(live=live, roster=roster, tally=tally, metrics=metrics.models)
        choosing = await stack.enter_async_context(open_choosing(answering, metrics))
        road = Road(
            listeners=listeners,
            choosing=choosing,
            answering=answering,
            shadow=shadow,
            exposures=exposures,
            signer=signer,
            metrics=metrics,
            clock=clock,
            idle_limit_seconds=settings.idle_limit_seconds,
            spans=spans,
        )
        readiness = Readiness(journal=journal, cache=cache, live=live, choosing=choosing)
        vitals = Vitals(metrics, journal=journal, cache=cache, readiness=readiness, home=settings.home)
        await stack.enter_async_context(open_vitals(vitals))
        yield Parts(
            settings=settings,
            clock=clock,
            metrics=metrics,
            keyring=keyring,
            rate_limits=rate_limits,
            signer=signer,
            journal=journal,
            listeners=listeners,
            repository=repository,
            live=live,
            bundles=bundles,
            staging=Staging(journal=journal, repository=repository, public_keys=keys),
            road=road,
            readiness=readiness,
        )


def _ending_idle_sessions(
    listeners: Listeners, clock: Clock, idle_limit_seconds: float
) -> AbstractAsyncContextManager[None]:
    """Write down in the background which sessions have ended of idleness; answers do not wait for it."""

    async def end() -> None:
        await listeners.end_idle_sessions(at=clock(), idle_limit_seconds=idle_limit_seconds)

    return repeating("end idle sessions", end, seconds=IDLE_LOOK_SECONDS)


def return_bounds(settings: Settings) -> ReturnBounds:
    """Return when this deployment returns from a bundle by itself."""
    return ReturnBounds(
        error_share=settings.return_error_share,
        fallback_share=settings.return_fallback_share,
        minimum_count=settings.return_minimum_count,
        window_seconds=settings.return_window_seconds,
    )


def _no_redis() -> Never:
    raise ConfigError("redis_url must name a Redis here; `amrs serve` starts a private one where none is named")
