"""A Redis of the test's own on a port, with nothing on disk: killed, it comes back empty."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from service.memory.embedded import redis_executable
from tests.processes.process import Process, free_port, listens


@contextmanager
def own_redis(folder: Path) -> Iterator[tuple[Process, str]]:
    """Give a running server and its URL."""
    port = free_port()
    command = [redis_executable(), "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
    server = Process(
        name="redis",
        command=[*command, "--dir", str(folder), "--loglevel", "warning"],
        answers=lambda: listens(port),
        log=folder / "redis.log",
    )
    try:
        yield server.start(), f"redis://127.0.0.1:{port}/0"
    finally:
        server.stop()
