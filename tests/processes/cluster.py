"""A Redis Cluster of the test's own: three nodes that share the slots between them, with nothing on disk."""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from service.memory.embedded import redis_executable
from tests.processes.process import Process, free_port, listens

NODES = 3

needs_redis_cli = pytest.mark.skipif(
    shutil.which("redis-cli") is None, reason="there is no redis-cli on this machine: apt install redis-tools"
)


@contextmanager
def own_cluster(folder: Path) -> Iterator[tuple[list[Process], str]]:
    """Give the running nodes and the cluster's URL."""
    with ExitStack() as stack:
        nodes, addresses = [], []
        for place in range(NODES):
            node, address = _node(folder / f"node-{place}")
            stack.callback(node.stop)
            nodes.append(node.start())
            addresses.append(address)
        made = subprocess.run(
            ["redis-cli", "--cluster", "create", *addresses, "--cluster-yes"],
            capture_output=True,
            text=True,
            check=False,
        )
        assert made.returncode == 0, made.stdout + made.stderr
        yield nodes, f"redis+cluster://{','.join(addresses)}"


def _node(folder: Path) -> tuple[Process, str]:
    folder.mkdir()
    port = free_port()
    settings = {
        "port": port,
        "bind": "127.0.0.1",
        "cluster-enabled": "yes",
        "cluster-port": free_port(),  # ten thousand above the port may be no port at all
        "cluster-node-timeout": 2000,
        "cluster-require-full-coverage": "no",
        "save": "",
        "appendonly": "no",
        "dir": folder,
        "loglevel": "warning",
    }
    given = [part for name, value in settings.items() for part in (f"--{name}", str(value))]
    node = Process(
        name=folder.name,
        command=[redis_executable(), *given],
        answers=lambda: listens(port),
        log=folder / "log",
    )
    return node, f"127.0.0.1:{port}"
