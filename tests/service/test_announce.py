"""A server is announced once it can serve, and a port that is taken is named before any work is done."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from models.errors import ConfigError
from service.announce import announced, is_ready, require_free_port
from service.settings import Settings


class Ready(BaseHTTPRequestHandler):
    """Answers as a server that can serve."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()

    def log_message(self, *arguments: object) -> None:
        """Keep quiet."""


@pytest.fixture
def ready_server(tmp_path: Path) -> Iterator[Settings]:
    """Where a server answers."""
    with HTTPServer(("127.0.0.1", 0), Ready) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield Settings(home=tmp_path, port=server.server_port)
        server.shutdown()
        thread.join()


def test_a_taken_port_is_named(ready_server: Settings):
    with pytest.raises(ConfigError, match=f"127.0.0.1:{ready_server.port} must be free"):
        require_free_port(ready_server)


def test_nobody_is_ready_where_nobody_listens(tmp_path: Path):
    assert not is_ready(Settings(home=tmp_path, port=9))


def test_a_ready_server_is_announced_once(ready_server: Settings):
    told = threading.Event()

    with announced(ready_server, told.set):
        assert told.wait(10)


def test_a_server_that_never_came_is_never_announced(tmp_path: Path):
    told = threading.Event()

    with announced(Settings(home=tmp_path, port=9), told.set):
        pass

    assert not told.is_set()
