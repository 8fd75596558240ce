"""Readiness asks the live engine for a song, in bounded time, once a second at most; degraded is still ready."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from threading import Event

import numpy as np
import pytest

from service.journal.journal import open_journal
from service.live.engine import Engine, open_engine
from service.live.live import Live, Loaded
from service.memory.cache import NoCache
from service.readiness import GOOD_FOR_SECONDS, Health, Readiness
from service.recommend.choosing import open_choosing
from service.telemetry.metrics import Metrics
from tests.bundles import make_catalogue
from tests.service.recommend.test_answering import answering_with


class Resting(NoCache):
    """A memory that is out of reach."""

    async def answers(self) -> bool:
        return False


class Holder(Live):
    """Holds the engine a test gives it, and counts how often it is looked at."""

    def __init__(self, engine: Engine | None) -> None:
        super().__init__()
        self._loaded = Loaded(engine)
        self.looks = 0

    @property
    def loaded(self) -> Loaded:
        self.looks += 1
        return super().loaded


pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def engine(tiny_bundle) -> Engine:
    return open_engine(tiny_bundle, make_catalogue())


@pytest.fixture
def asked(sqlite_copy):
    """Ask for the health of a worker that holds an engine."""

    @asynccontextmanager
    async def opened(live: Live, **given) -> AsyncIterator[Readiness]:
        async with (
            open_journal(sqlite_copy("asked")) as journal,
            open_choosing(answering_with(None), Metrics()) as choosing,
        ):
            yield Readiness(journal=journal, live=live, choosing=choosing, **({"cache": NoCache()} | given))

    return opened


def blinded(engine: Engine) -> Engine:
    """The engine with song vectors that are not numbers, as a damaged catalogue would give."""
    rows = replace(engine.vectors, head_hidden=np.full_like(engine.vectors.head_hidden, np.nan))
    return replace(engine, _vectors=replace(engine._vectors, rows=rows))


async def test_a_bundle_that_computes_is_ready(asked, engine):
    async with asked(Holder(engine)) as readiness:
        health = await readiness.look()

    assert health == Health(bundle=engine.bundle.version, degraded=(), missing=())
    assert health.ready


async def test_memory_out_of_reach_is_told_and_leaves_it_ready(asked, engine):
    async with asked(Holder(engine), cache=Resting()) as readiness:
        health = await readiness.look()

    assert (health.ready, health.degraded) == (True, ("redis",))


async def test_a_bundle_that_predicts_no_numbers_is_not_ready(asked, engine):
    async with asked(Holder(blinded(engine))) as readiness:
        health = await readiness.look()

    assert (health.ready, health.missing) == (False, ("models",))
    assert not readiness.has_started


async def test_an_empty_catalogue_is_not_ready(asked, tiny_bundle):
    catalogue = replace(make_catalogue(), withdrawn=np.ones(60, bool))

    async with asked(Holder(open_engine(tiny_bundle, catalogue))) as readiness:
        health = await readiness.look()

    assert health.missing == ("models",)


async def test_without_a_bundle_it_has_started_and_is_not_ready(asked):
    """A fresh deployment must come up, or nobody could promote its first bundle."""
    async with asked(Holder(None)) as readiness:
        health = await readiness.look()

    assert health.missing == ("bundle",)
    assert readiness.has_started


async def test_questions_share_a_look_and_a_look_is_good_for_a_second(asked, engine):
    live, now = Holder(engine), [0.0]

    async with asked(live, now=lambda: now[0]) as readiness:
        together = await asyncio.gather(*(readiness.look() for _ in range(50)))
        once = live.looks
        await readiness.look()
        within = live.looks
        now[0] += GOOD_FOR_SECONDS
        await readiness.look()

    assert len({id(health) for health in together}) == 1
    assert within == once
    assert live.looks == 2 * once


async def test_a_journal_that_does_not_answer_is_missing_in_bounded_time(asked, engine):
    """A database that has stopped says nothing, not even no: here every thread that reads waits for one."""
    released = Event()

    async with asked(Holder(engine), patience_seconds=0.1) as readiness:
        taken = [asyncio.create_task(readiness._journal.read(lambda _: released.wait(5))) for _ in range(4)]
        await asyncio.sleep(0.05)
        health = await readiness.look()
        released.set()
        await asyncio.gather(*taken)

    assert health.missing == ("journal",)


async def test_a_thread_that_died_is_missing_though_its_part_answers(asked, engine):
    async with asked(Holder(engine)) as readiness:
        readiness._choosing.close()
        readiness._journal._writer.close()
        health = await readiness.look()

    assert health.missing == ("choosing", "writer")
