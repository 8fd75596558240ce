"""Whoever waits is answered together; one who gave up, or whose models failed, harms no other."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from models.bundle import Bundle
from models.catalogue import Catalogue
from models.errors import Unavailable
from service.live.engine import Engine, open_engine
from service.recommend.choosing import BATCH_LIMIT, Choosing, open_choosing
from service.telemetry.metrics import Metrics
from tests.service.recommend.test_answering import answering_with, inquiry_of


@pytest.fixture(scope="module")
def engine(tiny_bundle: Bundle, tiny_catalogue: Catalogue) -> Engine:
    return open_engine(tiny_bundle, tiny_catalogue)


def with_choosing(engine: Engine | None, use: Callable[[Choosing, Metrics], Awaitable[None]]) -> None:
    async def run() -> None:
        metrics = Metrics()
        async with open_choosing(answering_with(engine), metrics) as choosing:
            await use(choosing, metrics)

    asyncio.run(run())


def test_everybody_gets_their_own_answer(engine: Engine) -> None:
    async def use(choosing: Choosing, metrics: Metrics) -> None:
        heard = [number % 7 for number in range(3 * BATCH_LIMIT)]
        answers = await asyncio.gather(*(choosing.choose(inquiry_of(engine, heard=each)) for each in heard))

        assert [answer.songs[0].decision.history_length for _, answer in answers] == [
            each + 1 if each else 0 for each in heard
        ]
        text = metrics.expose().decode()
        assert f"amrs_choosing_size_sum {float(len(heard))}" in text
        counted = next(line for line in text.splitlines() if line.startswith("amrs_choosing_size_count"))
        assert float(counted.split()[1]) < len(heard)

    with_choosing(engine, use)


def test_one_who_gives_up_harms_no_other(engine: Engine) -> None:
    async def use(choosing: Choosing, _: Metrics) -> None:
        given_up = asyncio.ensure_future(choosing.choose(inquiry_of(engine)))
        other = asyncio.ensure_future(choosing.choose(inquiry_of(engine)))
        await asyncio.sleep(0)
        given_up.cancel()

        assert (await other)[0] is engine
        assert choosing.is_alive

    with_choosing(engine, use)


def test_a_failure_is_raised_to_those_who_wait(engine: Engine) -> None:
    async def use(choosing: Choosing, _: Metrics) -> None:
        with pytest.raises(Unavailable, match="no bundle is live"):
            await choosing.choose(inquiry_of(engine))
        assert choosing.is_alive

    with_choosing(None, use)


def test_once_the_thread_has_died_nobody_waits_for_it(engine: Engine) -> None:
    async def use(choosing: Choosing, _: Metrics) -> None:
        choosing.close()

        with pytest.raises(Unavailable, match="has died"):
            await choosing.choose(inquiry_of(engine))

    with_choosing(engine, use)
