"""Reaching Redis: one server, or a cluster where the URL says so (`redis+cluster://host:port,host:port`).

Every key of the service holds one hash tag, and every call names one key: a cluster needs nothing else. Which
nodes it has is learnt in the background, because that takes longer than a request may wait for Redis, and is
learnt again after one was lost.
"""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from typing import Any, Final
from urllib.parse import urlsplit

import structlog
from redis.asyncio import Redis
from redis.asyncio.cluster import ClusterNode, RedisCluster
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.observability.attributes import DB_CLIENT_CONNECTION_STATE

from service.background import repeating

CLUSTER: Final = "+cluster"
"""What ends the scheme of a cluster's URL."""
LEARN_SECONDS: Final = 1.0
_DEFAULT_PORT: Final = 6379

AnyRedis = Redis | RedisCluster

NO_ANSWER: Final = (RedisError, OSError, TimeoutError, RuntimeError, AttributeError)
"""What a call raises that gets no answer. A RuntimeError is uvloop's: the connection was lost under the writer. An
AttributeError is redis-py's: a cluster's connection was dropped by another task, and its writer is gone."""

_log = structlog.get_logger("amrs.redis")


@asynccontextmanager
async def open_redis(url: str, *, timeout_seconds: float) -> AsyncIterator[AnyRedis]:
    """Give a client; nobody need answer yet, nor always.

    Args:
        url: `redis://`, `rediss://` or `unix://`; or `redis+cluster://` or `rediss+cluster://` and one or more
            of a cluster's nodes, by commas.
        timeout_seconds: how long a connection, and an answer, may take.
    """
    options: dict[str, Any] = {
        "socket_timeout": timeout_seconds,
        "socket_connect_timeout": timeout_seconds,
        "retry": Retry(NoBackoff(), 1),  # a connection that Redis closed while it lay idle
    }
    async with AsyncExitStack() as stack:
        parts = urlsplit(url)
        if not parts.scheme.endswith(CLUSTER):
            yield await stack.enter_async_context(aclosing(Redis.from_url(url, **options)))
            return
        credentials, separator, hosts = parts.netloc.rpartition("@")
        first, *others = hosts.split(",")
        alone = parts._replace(scheme=parts.scheme.removesuffix(CLUSTER), netloc=credentials + separator + first)
        cluster = RedisCluster.from_url(
            alone.geturl(),
            startup_nodes=[_node(host) for host in others],
            require_full_coverage=False,  # what the nodes that are left hold is worth having
            **options,
        )
        await stack.enter_async_context(aclosing(cluster))

        async def learn() -> None:
            try:
                await cluster.initialize()
            except NO_ANSWER as problem:
                _log.warning("no node of the cluster answers", reason=type(problem).__name__)

        await learn()
        await stack.enter_async_context(repeating("learn Redis's nodes", learn, seconds=LEARN_SECONDS))
        yield cluster


def connections_of(redis: AnyRedis) -> dict[str, int]:
    """Return how many connections a client holds: `idle` and `used`."""
    if isinstance(redis, RedisCluster):
        nodes = redis.get_nodes()
        idle = sum(len(node._free) for node in nodes)
        return {"idle": idle, "used": sum(len(node._connections) for node in nodes) - idle}
    return {
        told[DB_CLIENT_CONNECTION_STATE]: count for count, told in redis.connection_pool.get_connection_count()
    }


def _node(host: str) -> ClusterNode:
    name, _, port = host.rpartition(":")
    return ClusterNode(name, int(port)) if name else ClusterNode(port, _DEFAULT_PORT)
