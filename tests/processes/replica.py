"""One replica of the service: `amrs serve` in a process of its own, as the image runs it."""

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.error import URLError
from urllib.request import urlopen

import httpx

from service.serve import as_environment
from service.settings import Settings
from tests.processes.process import Process


@dataclass
class Replica:
    """A replica and how to reach it."""

    process: Process
    settings: Settings

    @property
    def address(self) -> str:
        """Host and port, as the proxy wants them."""
        return f"127.0.0.1:{self.settings.port}"

    def client(self) -> httpx.Client:
        """Return a client of this replica alone, with its first key if it has one."""
        keys = self.settings.api_keys
        headers = {"Authorization": f"Bearer {keys[0].get_secret_value()}"} if keys else {}
        return httpx.Client(base_url=f"http://{self.address}", timeout=30, headers=headers)

    def numbers(self) -> dict[str, float]:
        """Return what its `/metrics` tells."""
        with self.client() as client:
            return read_numbers(client.get("/metrics").text)


@contextmanager
def replica(
    settings: Settings, *, wait: bool = True, environment: Mapping[str, str] | None = None
) -> Iterator[Replica]:
    """Give a replica, once it is ready if asked to wait; it is asked to end afterwards."""
    ready = f"http://127.0.0.1:{settings.port}/readyz"
    settings.home.mkdir(parents=True, exist_ok=True)
    process = Process(
        name=f"replica {settings.home.name}",
        command=[sys.executable, "-m", "amrs", "serve"],
        answers=lambda: _is_ready(ready),
        log=settings.home / "log",
        environment={**as_environment(settings), **(environment or {})},
    )
    try:
        yield Replica(process.start(wait=wait), settings)
    finally:
        process.stop()


def read_numbers(exposition: str) -> dict[str, float]:
    """Return Prometheus' text format as series → value."""
    series = (line.rpartition(" ") for line in exposition.splitlines() if line and not line.startswith("#"))
    return {name: float(value) for name, _, value in series}


def _is_ready(url: str) -> bool:
    try:
        with urlopen(url, timeout=5) as answer:
            return bool(answer.status == 200)
    except (URLError, OSError):
        return False
