"""The proxy with the repository's own configuration, before replicas on local ports."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.processes.process import Process, free_port, listens

CONFIGURATION = Path(__file__).parents[2] / "docker" / "proxy" / "haproxy.cfg"

needs_haproxy = pytest.mark.skipif(
    shutil.which("haproxy") is None, reason="there is no haproxy on this machine: apt install haproxy"
)


@contextmanager
def proxy(folder: Path, replicas: list[str]) -> Iterator[tuple[str, str]]:
    """Give the address where apps knock and the one of the proxy's own numbers, once it takes connections."""
    port, metrics_port = free_port(), free_port()
    server = Process(
        name="haproxy",
        command=[str(shutil.which("haproxy")), "-db", "-f", str(CONFIGURATION)],
        answers=lambda: listens(port),
        log=folder / "haproxy.log",
        environment={
            "AMRS_PROXY_BIND": f"127.0.0.1:{port}",
            "AMRS_PROXY_METRICS_BIND": f"127.0.0.1:{metrics_port}",
            "AMRS_REPLICA_A": replicas[0],
            "AMRS_REPLICA_B": replicas[1],
        },
    )
    try:
        server.start()
        yield f"http://127.0.0.1:{port}", f"http://127.0.0.1:{metrics_port}"
    finally:
        server.stop()


def servers_up(numbers_address: str) -> int:
    """Return how many replicas the proxy takes for ready."""
    told = httpx.get(f"{numbers_address}/metrics").text
    return sum(
        line.endswith(" 1")
        for line in told.splitlines()
        if line.startswith('haproxy_server_status{proxy="replicas"') and 'state="UP"' in line
    )
