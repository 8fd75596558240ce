"""Whatever dies under load, no acknowledged write is lost, none counted twice; what listeners saw is stated.

Each fault comes in a short form here, on the topology of docker-compose.yml as local processes; `make prove`
brings all of them in random order for as long as `AMRS_TEST_PROVE_SECONDS` says (600).
"""

import os
import random
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from time import monotonic, sleep
from uuid import uuid4

import httpx
import numpy as np
import pytest
from pydantic import SecretStr

from models.repository import Repository
from tests.processes import listeners
from tests.processes.clock import ProcessClock, needs_faketime
from tests.processes.disk import SmallDisk, needed
from tests.processes.listeners import Ledger, until
from tests.processes.postgresql import needs_postgresql
from tests.processes.process import free_port
from tests.processes.proxy import needs_haproxy
from tests.processes.replica import replica
from tests.service.server import Listener
from tests.system.topology import Topology

pytestmark = [needs_haproxy, needs_postgresql, pytest.mark.timeout(240)]

WORKER_FAULTS = frozenset({"broken", "502", "503"})
"""What an app may see while one of two replicas dies: a broken answer; and where it dies twice, none to be had."""


@contextmanager
def under_load(
    running: Topology, name: str, *, count: int = 4, address: str | None = None, key: str | None = None
) -> Iterator[list[Ledger]]:
    """Let listeners go round the topology, or one replica of it."""
    where = address or running.address
    with listeners.under_load(where, running.database_url, name=name, count=count, key=key) as ledgers:
        yield ledgers


def test_redis_killed_and_back_empty_is_not_noticed(running: Topology):
    with under_load(running, "redis-killed") as ledgers:
        running.redis.kill()
        sleep(1.0)
        running.redis.start()

    assert not any(ledger.seen for ledger in ledgers)


def test_redis_that_hangs_makes_songs_later_and_nothing_else(running: Topology):
    """Connections stay open and nothing comes: each replica waits its quarter of a second once a second."""
    with under_load(running, "redis-frozen") as ledgers:
        running.redis.freeze()
        try:
            sleep(2.0)
        finally:
            running.redis.thaw()

    assert not any(ledger.seen for ledger in ledgers)
    assert sum(replica.numbers()['amrs_degraded_total{dependency="redis"}'] for replica in running.replicas) > 0


def test_postgresql_killed_and_recovered_loses_nothing(running: Topology):
    """Writes are refused with 503 meanwhile; the server recovers from its log on the same folder."""
    with under_load(running, "sql-killed") as ledgers:
        running.postgresql.kill()
        sleep(1.0)
        running.postgresql.start()
        running.await_replicas(2)

    assert all(ledger.seen.keys() <= {"503", "504", "broken"} for ledger in ledgers)
    assert any(ledger.seen["503"] for ledger in ledgers)


def test_postgresql_that_hangs_is_refused_in_bounded_time(running: Topology):
    with under_load(running, "sql-frozen") as ledgers:
        running.postgresql.freeze()
        try:
            running.await_replicas(0)
        finally:
            running.postgresql.thaw()
        running.await_replicas(2)

    assert all(ledger.seen.keys() <= {"503", "504", "broken"} for ledger in ledgers)


def test_a_full_disk_refuses_writes_until_there_is_room(running: Topology, disk: SmallDisk | None):
    """Nobody mends anything but the disk: the service, and PostgreSQL, go on by themselves."""
    with under_load(running, "disk-full") as ledgers, needed(disk).full():
        until(lambda: all(ledger.seen["503"] for ledger in ledgers))

    assert all(ledger.seen.keys() <= {"503"} for ledger in ledgers)


def test_a_slow_redis_costs_no_answer_more_than_its_timeout(running: Topology):
    """Each answer of Redis takes a second; requests wait a quarter of one, once a second, and go on without it."""
    with under_load(running, "redis-slow") as ledgers:
        before = [len(ledger.seconds) for ledger in ledgers]
        with running.redis_wire.slow(1.0):
            sleep(3.0)
            slow = [each for n, ledger in zip(before, ledgers, strict=True) for each in ledger.seconds[n:]]
        until(lambda: _redis_is_up(running))
        told = [ledger.degraded.total() for ledger in ledgers]

    assert not any(ledger.seen for ledger in ledgers)
    assert all(told)
    assert np.quantile(slow, 0.99) < running.settings.redis_timeout_seconds + 0.5


def test_a_redis_half_open_is_done_without(running: Topology):
    """Its connections stay open and say nothing, for ever; new ones pass again after a while."""
    with under_load(running, "redis-half-open") as ledgers:
        with running.redis_wire.silent():
            until(lambda: all(ledger.degraded["redis"] for ledger in ledgers))
        until(lambda: _redis_is_up(running))

    assert not any(ledger.seen for ledger in ledgers)


def test_a_postgresql_half_open_is_refused_in_bounded_time(running: Topology):
    """The connections there were never say anything again: the service must let go of them by itself."""
    with under_load(running, "sql-half-open") as ledgers:
        with running.database_wire.silent():
            running.await_replicas(0)
        running.await_replicas(2)

    assert all(ledger.seen.keys() <= {"503", "504", "broken"} for ledger in ledgers)
    assert any(ledger.seen["503"] for ledger in ledgers)


@needs_faketime
def test_a_clock_put_back_ends_no_session_and_keeps_the_order(running: Topology, tmp_path: Path):
    """One replica's clock falls two hours behind, more than a session may be idle; the other's stays right."""
    clock, key = ProcessClock(tmp_path / "clock"), "a key of the clock's test"
    clock.set(0)
    odd_settings = running.settings.model_copy(
        update={"home": tmp_path / "odd", "port": free_port(), "api_keys": (SecretStr(key),)}
    )
    shutil.copytree(running.settings.home, odd_settings.home, symlinks=True)
    with (
        replica(odd_settings, environment=clock.environment) as odd,
        under_load(running, "clock", count=2, address=f"http://{odd.address}", key=key) as ledgers,
        odd.client() as odd_client,
        running.replicas[0].client() as right_client,
    ):
        here = Listener(odd_client, "stepped", "s")
        there = replace(here, client=right_client)
        began = datetime.fromisoformat(here.start().json()["started_at"])
        here.cycle()
        (unanswered,) = here.ask().json()["recommendations"]

        clock.set(-7200)
        until(lambda: _started_at(odd_client) < began)
        told = here.tell(unanswered["recommendation_id"])
        songs = [each.cycle()["position"] for each in (here, there, here, there)]
        again = here.ask()
        history = here.client.get(f"{here.path}/history").json()
        clock.set(0)
        until(lambda: _started_at(odd_client) > began)
        ended = here.end()

    assert told.status_code == 200, told.text
    assert songs == [2, 3, 4, 5]
    assert 0 <= int(again.headers["ratelimit-reset"]) <= 3
    assert [play["position"] for play in history["plays"]] == [5, 4, 3, 2, 1, 0]
    assert ended.status_code == 200, ended.text
    assert datetime.fromisoformat(ended.json()["ended_at"]) >= began
    assert not any(ledger.seen for ledger in ledgers)


def _started_at(client: httpx.Client) -> datetime:
    """Return what time a replica has: when it says that a session began."""
    return datetime.fromisoformat(Listener(client, f"asks-{uuid4()}").start().json()["started_at"])


def _redis_is_up(running: Topology) -> bool:
    return all(replica.numbers()['amrs_up{part="redis"}'] == 1 for replica in running.replicas)


def test_a_replica_killed_twice_over_loses_nothing(running: Topology):
    with under_load(running, "worker-killed") as ledgers:
        for replica in running.replicas:
            replica.process.kill()
            running.await_replicas(1)
            replica.process.start()
            running.await_replicas(2)

    assert all(ledger.seen.keys() <= WORKER_FAULTS for ledger in ledgers)


def test_a_bundle_altered_on_disk_is_refused_and_the_live_one_goes_on(running: Topology, repository: Repository):
    """A replica that comes back finds its bundle damaged and serves nothing; the other one holds it in memory."""
    live = repository.versions()[-1]
    graph = Path(repository.root / live / "policy.onnx")
    kept = graph.read_bytes()
    replica = running.replicas[0]

    with under_load(running, "bundle-altered"):
        graph.chmod(0o644)
        graph.write_bytes(kept[:-1] + bytes([kept[-1] ^ 1]))
        try:
            replica.process.kill()
            replica.process.start(wait=False)
            running.await_replicas(1)
            until(lambda: "bundle not taken up" in replica.process.said())
        finally:
            graph.write_bytes(kept)
        replica.process.kill()
        replica.process.start()
        running.await_replicas(2)


@pytest.mark.prove
@pytest.mark.timeout(0)
def test_all_of_it_in_random_order(running: Topology):
    """One fault after another, at random, under load all the time; then the ledgers are reconciled."""
    until = monotonic() + float(os.environ.get("AMRS_TEST_PROVE_SECONDS", "600"))
    chance = random.Random(0)
    victims = [running.redis, running.postgresql, *(replica.process for replica in running.replicas)]

    with under_load(running, "all", count=8):
        while monotonic() < until:
            victim = chance.choice(victims)
            if chance.random() < 0.3:
                victim.freeze()
                sleep(chance.uniform(0.5, 6))
                victim.thaw()
            else:
                victim.kill()
                sleep(chance.uniform(0, 2))
                victim.start()
            sleep(chance.uniform(0, 5))
        running.await_replicas(2, seconds=60)
