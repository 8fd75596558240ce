"""Hot swaps under load: every answer is whole, from one bundle, and none fails; memory does not grow.

The service runs as a process of its own; three bundles take turns, so that each swap loads one from disk. What a
listener without a history is given depends on the bundle alone, and was asked of each bundle in quiet beforehand.
"""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from threading import Event
from time import monotonic, sleep
from typing import Any

import httpx
import pytest

from models.repository import Repository
from tests.bundles import WIDE, seal_bundle
from tests.service.homes import furnish, home_settings
from tests.service.server import Listener
from tests.service.test_serve import free_port, process

PATIENCE_SECONDS = 30.0
ASKING = 2
"""Clients that ask at the same time, all the time."""
MEGABYTE = 2**20


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """Three bundles that give different songs."""
    repository = Repository(tmp_path_factory.mktemp("swaps"))
    for seed in (1, 2, 3):
        limits = WIDE.model_copy(update={"arousal_band": 0.8 + seed / 100})
        seal_bundle(repository, seed=seed, limits=limits)
    return repository


@contextmanager
def service(tmp_path: Path, repository: Repository) -> Iterator[tuple[int, httpx.Client]]:
    """A server process and a client."""
    settings = home_settings(tmp_path, repository, port=free_port())
    from service.operations import upgrade_database

    upgrade_database(settings)
    furnish(settings, repository, repository.versions()[0])
    with process(settings) as (server, client):
        yield server.pid, client


def swap(client: httpx.Client, version: str) -> None:
    assert client.post(f"/v1/models/{version}/stage", json={"stage": "live"}).status_code == 200
    until = monotonic() + PATIENCE_SECONDS
    while client.get("/readyz").json()["bundle"] != version:
        assert monotonic() < until, f"{version} did not come to answer"
        sleep(0.01)


def told(client: httpx.Client, number: int) -> tuple[str, Any]:
    """Return which bundle answered somebody new, and all that it said but for ids."""
    listener = Listener(client, f"l-{number}", f"s-{number}")
    assert listener.start(mode="calm").status_code == 201
    answer = listener.ask(count=3)
    assert answer.status_code == 200, answer.text
    body = answer.json()
    songs = [{**song, "recommendation_id": ""} for song in body["recommendations"]]
    return body["bundle"], songs


def megabytes(pid: int) -> float:
    """Return the memory that a process holds itself."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / MEGABYTE


def swapping_under_load(
    pid: int, client: httpx.Client, versions: list[str], swaps: int
) -> tuple[int, list[float]]:
    """Swap so often; return how many answers were compared, and the memory after each swap."""
    numbers = count()
    alone = {}
    for version in versions:
        swap(client, version)
        alone[version] = told(client, next(numbers))[1]
    assert len({str(songs) for songs in alone.values()}) == len(versions)
    memory, done = [], Event()

    def ask() -> list[tuple[str, Any]]:
        with httpx.Client(base_url=client.base_url, timeout=30) as another:
            answers = []
            while not done.is_set():
                answers.append(told(another, next(numbers)))
            return answers

    with ThreadPoolExecutor(ASKING) as pool:
        asking = [pool.submit(ask) for _ in range(ASKING)]
        try:
            for turn in range(swaps):
                swap(client, versions[turn % len(versions)])
                memory.append(megabytes(pid))
        finally:
            done.set()
        answers = [answer for future in asking for answer in future.result()]
    assert [bundle for bundle, songs in answers if songs != alone[bundle]] == []
    assert {bundle for bundle, _ in answers} == set(versions)
    return len(answers), memory


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory is read from /proc")
def test_five_swaps_under_load_fail_nobody_and_mix_nothing(tmp_path: Path, repository: Repository) -> None:
    with service(tmp_path, repository) as (pid, client):
        answered, _ = swapping_under_load(pid, client, repository.versions(), swaps=5)
        metrics = client.get("/metrics").text

    assert answered > 5
    assert "amrs_bundle_swaps_total 7.0" in metrics
    assert 'amrs_bundle_load_seconds_count{step="trial"} 8.0' in metrics
    failures = [line for line in metrics.splitlines() if line.startswith("amrs_bundle_load_failures_total{")]
    assert {line.rpartition(" ")[2] for line in failures} == {"0.0"}


@pytest.mark.prove
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory is read from /proc")
def test_a_hundred_swaps_under_load_leave_memory_as_it_was(tmp_path: Path, repository: Repository) -> None:
    with service(tmp_path, repository) as (pid, client):
        answered, memory = swapping_under_load(pid, client, repository.versions(), swaps=110)

    growth = max(memory[-10:]) - max(memory[:10])
    print(
        f"{answered} answers over 110 swaps; memory {memory[9]:.0f} MB after ten, {memory[-1]:.0f} MB at the end"
    )
    assert answered > 200
    assert growth < 50
