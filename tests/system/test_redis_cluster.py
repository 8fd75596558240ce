"""A replica whose memory is a Redis Cluster of three nodes: each listener's key on one of them."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from pydantic import SecretStr
from redis import Redis

from models.repository import Repository
from tests.processes.cluster import needs_redis_cli, own_cluster
from tests.processes.listeners import Ledger, listening, reconcile, until
from tests.processes.process import Process, free_port
from tests.processes.replica import Replica, replica
from tests.service.conftest import furnished_sqlite, sqlite_template  # noqa: F401
from tests.service.homes import home_settings

# ruff: noqa: F811  a fixture is asked for by its name

pytestmark = [needs_redis_cli, pytest.mark.timeout(180)]

KEY = "a key of the cluster's test"
LISTENERS = 8


@dataclass
class Clustered:
    """A replica and its cluster."""

    nodes: list[Process]
    urls: list[str]
    replica: Replica


@pytest.fixture(scope="module")
def running(tmp_path_factory, tiny_repository: Repository, furnished_sqlite: Path) -> Iterator[Clustered]:
    folder = tmp_path_factory.mktemp("cluster")
    with own_cluster(folder) as (nodes, url):
        home = folder / "home"
        home.mkdir()
        (home / "amrs.sqlite3").write_bytes(furnished_sqlite.read_bytes())
        settings = home_settings(
            home,
            tiny_repository,
            port=free_port(),
            redis_url=url,
            api_keys=(SecretStr(KEY),),
            redis_timeout_seconds=2.0,
        )
        with replica(settings) as served:
            urls = [f"redis://{host}" for host in url.partition("://")[2].split(",")]
            yield Clustered(nodes, urls, served)


def keys_on(url: str) -> set[str]:
    """Return the keys that one node holds."""
    with Redis.from_url(url) as redis:
        return {key.decode() for key in redis.scan_iter(count=1000)}


def went_on(ledgers: list[Ledger]) -> bool:
    return all(len(ledger.told) >= 2 for ledger in ledgers)


def test_the_nodes_share_the_listeners_and_the_limits(running: Clustered):
    """Every key names one hash tag, so that no call ever needs two nodes."""
    address = f"http://{running.replica.address}"
    with listening(address, count=LISTENERS, name="shared", key=KEY) as ledgers:
        until(lambda: went_on(ledgers))
    reconcile(ledgers, running.replica.settings.database_url)

    held = [keys_on(url) for url in running.urls]
    states = [key for keys in held for key in keys if ":state:" in key]
    assert not any(ledger.seen or ledger.degraded for ledger in ledgers)
    assert len(states) == LISTENERS
    assert sum(any(":state:" in key for key in keys) for keys in held) > 1
    assert all(key.count("{") == key.count("}") == 1 for keys in held for key in keys)
    assert sum(":rate:" in key for keys in held for key in keys) == 1
    assert running.replica.numbers()['amrs_up{part="redis"}'] == 1


def test_a_node_that_dies_and_comes_back_is_not_noticed(running: Clustered):
    """Its listeners' songs come from SQL meanwhile; nothing is lost, and memory fills again."""
    address = f"http://{running.replica.address}"
    with listening(address, count=LISTENERS, name="killed", key=KEY) as ledgers:
        until(lambda: went_on(ledgers))
        running.nodes[0].kill()
        until(lambda: any(ledger.degraded["redis"] for ledger in ledgers))
        running.nodes[0].start()
        until(lambda: running.replica.numbers()['amrs_up{part="redis"}'] == 1)
        told = [len(ledger.told) for ledger in ledgers]
        until(lambda: all(len(ledger.told) > n for n, ledger in zip(told, ledgers, strict=True)))
    reconcile(ledgers, running.replica.settings.database_url)

    assert not any(ledger.seen for ledger in ledgers)
