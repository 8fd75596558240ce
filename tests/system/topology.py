"""The composed topology as local processes: PostgreSQL, Redis, two replicas over the same bundles, a proxy.

The replicas reach PostgreSQL and Redis by wires that a test may make slow or cut; the test itself does not.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, sleep

from models.repository import Repository
from service.operations import upgrade_database
from service.settings import Settings
from tests.processes.postgresql import own_postgresql
from tests.processes.process import Process, free_port
from tests.processes.proxy import proxy, servers_up
from tests.processes.redis import own_redis
from tests.processes.relay import Relay, relayed
from tests.processes.replica import Replica, replica
from tests.service.homes import furnish, home_settings


@dataclass
class Topology:
    """Everything that runs."""

    postgresql: Process
    database_url: str
    database_wire: Relay
    redis: Process
    redis_wire: Relay
    replicas: list[Replica]
    address: str
    """Where apps knock."""
    numbers_address: str
    """Where the proxy tells its own numbers."""
    settings: Settings
    """What an operator's command needs to know."""

    def await_replicas(self, count: int, *, seconds: float = 20.0) -> None:
        """Wait until the proxy takes so many replicas for ready."""
        until = monotonic() + seconds
        while (up := servers_up(self.numbers_address)) != count:
            assert monotonic() < until, f"the proxy sees {up} replicas, not {count}"
            sleep(0.05)


@contextmanager
def topology(folder: Path, repository: Repository, *, disk: Path | None = None) -> Iterator[Topology]:
    """Give the running topology with the tiny songs imported and the newest bundle live.

    Args:
        folder: for homes and logs.
        repository: the bundles that both replicas read.
        disk: where PostgreSQL's data goes; None: with everything else.
    """
    with ExitStack() as stack:
        postgresql, database_url = stack.enter_context(own_postgresql(folder=disk))
        redis, redis_url = stack.enter_context(own_redis(folder))
        database_wire, wired_database_url = stack.enter_context(relayed(database_url))
        redis_wire, wired_redis_url = stack.enter_context(relayed(redis_url))
        shared = {
            "database_url": wired_database_url,
            "redis_url": wired_redis_url,
            "write_timeout_seconds": 5.0,
        }
        homes = [
            home_settings(folder / name, repository, port=free_port(), **shared)
            for name in ("replica-a", "replica-b")
        ]
        upgrade_database(homes[0])
        furnish(homes[0], repository)
        replicas = [stack.enter_context(replica(home, wait=False)) for home in homes]
        for each in replicas:
            each.process.await_start()
        addresses = [each.address for each in replicas]
        address, numbers_address = stack.enter_context(proxy(folder, addresses))
        running = Topology(
            postgresql=postgresql,
            database_url=database_url,
            database_wire=database_wire,
            redis=redis,
            redis_wire=redis_wire,
            replicas=replicas,
            address=address,
            numbers_address=numbers_address,
            settings=homes[0],
        )
        running.await_replicas(2)
        yield running
