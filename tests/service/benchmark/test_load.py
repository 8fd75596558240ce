"""The benchmark measures what it says: whole cycles, committed, on a service over as many songs as asked for."""

import asyncio
from contextlib import AsyncExitStack

import pytest

from service.benchmark.home import benchmark_home
from service.benchmark.load import Listener, Measured, closed_loop, connected, grow, paced
from service.benchmark.serve import BenchmarkConfig, Round, benchmark
from tests.service.homes import home_settings
from tests.service.server import serving


@pytest.fixture(scope="module")
def deployment(tmp_path_factory, tiny_repository, furnished_sqlite, redis_server):
    """A deployment with the tiny bundle live."""
    home = tmp_path_factory.mktemp("deployment")
    return home_settings(
        home, tiny_repository, database_url=f"sqlite:///{furnished_sqlite}", redis_url=redis_server
    )


def test_measures_by_worked_numbers():
    measured = Measured(seconds=2.0, latencies=[0.001, 0.002, 0.003, 0.004, 0.010], silences=1)

    assert measured.cycles_per_second == 2.0
    assert measured.percentile(0.5) == 0.003
    assert measured.percentile(1.0) == 0.010


def test_every_cycle_ends_in_the_history(deployment, redis_server):
    with benchmark_home(deployment, song_count=150, database_url=None) as home:
        served = home.model_copy(update={"redis_url": redis_server})
        with serving(served) as client:

            async def load() -> list[Measured]:
                async with AsyncExitStack() as stack:
                    listeners = [
                        Listener(
                            await stack.enter_async_context(connected("127.0.0.1", client.base_url.port)),
                            name,
                            name,
                        )
                        for name in ("a", "b")
                    ]
                    for listener in listeners:
                        await listener.start()
                    return [
                        await grow(listeners, cycles=3),
                        await closed_loop(listeners, seconds=0.2),
                        await paced(listeners, cycles_per_second=20, seconds=0.3),
                    ]

            grown, closed, steady = asyncio.run(load())
            played = sum(len(client.get(f"/v1/listeners/{name}/history").json()["plays"]) for name in ("a", "b"))
            songs = client.get("/v1/songs", params={"limit": 1000}).json()["songs"]

    assert len(songs) == 150
    assert len(grown.latencies) == 6
    assert len(steady.latencies) == 6
    assert grown.refusals == closed.refusals == steady.refusals == 0
    assert played == sum(len(each.latencies) - each.silences for each in (grown, closed, steady))


def test_measures_the_service_beside_the_reference(deployment):
    config = BenchmarkConfig(song_count=100, event_count=2, listener_count=2, round_count=1, round_seconds=0.3)
    told: list[str] = []

    with benchmark_home(deployment, song_count=100, database_url=None) as home:
        (measured,) = benchmark(home, config, tell=told.append)

    assert isinstance(measured, Round)
    assert measured.reference.cycles_per_second > 0
    assert measured.ratio > 0
    assert told[-1].startswith("round 1:")
