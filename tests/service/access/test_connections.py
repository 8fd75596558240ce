"""Slow, endless and oversized senders are shown out; the service goes on answering everybody else meanwhile."""

import socket
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from models.repository import Repository
from tests.service.homes import home_settings
from tests.service.server import serving

PATIENCE_SECONDS = 10.0


@pytest.fixture(scope="module")
def client(tmp_path_factory, tiny_repository: Repository, sqlite_template: Path, redis_server: str) -> Iterator:
    """A service of little patience and eight connections."""
    folder = tmp_path_factory.mktemp("patient")
    (folder / "amrs.sqlite3").write_bytes(sqlite_template.read_bytes())
    settings = home_settings(
        folder / "home",
        tiny_repository,
        database_url=f"sqlite:///{folder / 'amrs.sqlite3'}",
        redis_url=redis_server,
        redis_prefix=f"amrs-test:{folder.name}:",
        head_timeout_seconds=0.3,
        body_timeout_seconds=0.3,
        connections=8,
    )
    with serving(settings) as client:
        yield client


def connect(client: httpx.Client) -> socket.socket:
    connection = socket.create_connection((client.base_url.host, client.base_url.port), PATIENCE_SECONDS)
    connection.settimeout(PATIENCE_SECONDS)
    return connection


def said(connection: socket.socket) -> bytes:
    """Everything the server says until it closes the connection."""
    heard = b""
    try:
        while piece := connection.recv(65536):
            heard += piece
    except ConnectionResetError:
        pass
    return heard


HEAD = b"POST /v1/listeners/l-1/sessions HTTP/1.1\r\nhost: here\r\ncontent-type: application/json\r\n"


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        (b"", b"HTTP/1.1 408 "),
        (b"POST /v1/listeners/l-1/ses", b"HTTP/1.1 408 "),
        (HEAD, b"HTTP/1.1 408 "),
        (HEAD + b'content-length: 100\r\n\r\n{"session_id', b"HTTP/1.1 408 "),
        (HEAD + b'transfer-encoding: chunked\r\n\r\n5\r\n{"ses\r\n', b"HTTP/1.1 408 "),
        (HEAD + b"x: " + b"y" * 40_000, b"HTTP/1.1 431 "),
        (HEAD + b"content-length: 999999999\r\n\r\n{", b"HTTP/1.1 413 "),
        (b"GET /healthz HTTP/1.1\r\nhost: here\r\ncontent-length: 5\r\n\r\n", b"HTTP/1.1 200 "),
        (b"\x16\x03\x01\x02\x00", b"HTTP/1.1 400 "),
    ],
    ids=[
        "nothing",
        "half a line",
        "an open head",
        "half a body",
        "chunks without end",
        "a long head",
        "a huge body",
        "a body nobody asked for",
        "another protocol",
    ],
)
def test_who_does_not_finish_is_told_and_shown_out(client, sent, expected):
    with closing(connect(client)) as connection:
        connection.sendall(sent)

        assert said(connection).startswith(expected)
    assert client.get("/healthz").status_code == 200


def test_dripping_does_not_lengthen_the_time(client):
    """A byte now and then keeps no connection open."""
    with closing(connect(client)) as connection:
        connection.sendall(HEAD + b"content-length: 100000\r\n\r\n")
        connection.settimeout(0.05)
        answer = b""
        for _ in range(200):
            try:
                connection.sendall(b" ")
                answer += connection.recv(65536)
                if answer:
                    break
            except TimeoutError:
                continue
            except (BrokenPipeError, ConnectionResetError):
                break

    assert answer.startswith(b"HTTP/1.1 408 ") or not answer


def test_more_connections_than_there_is_room_for_are_sent_away(client):
    held = [connect(client) for _ in range(12)]
    try:
        answers = [said(connection) for connection in held]
    finally:
        for connection in held:
            connection.close()

    assert sum(answer.startswith(b"HTTP/1.1 503 ") for answer in answers) >= 4
    assert sum(answer.startswith(b"HTTP/1.1 408 ") for answer in answers) >= 7
    assert client.get("/healthz").status_code == 200


def test_nothing_of_this_is_an_error_of_the_service(client):
    told = client.get("/metrics").text

    assert 'status="500"' not in told
