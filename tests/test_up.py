"""`amrs up` over a live bundle serves it, and prints two requests that work as they stand."""

import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from socket import socket

import httpx
import pytest

from models.repository import Repository
from service.operations import upgrade_database
from tests.service.homes import furnish, home_settings


@pytest.fixture
def home(tmp_path: Path, tiny_repository: Repository) -> Path:
    """A home whose bundle is live."""
    settings = home_settings(tmp_path / "home", tiny_repository)
    upgrade_database(settings)
    furnish(settings, tiny_repository)
    return settings.home


@contextmanager
def printed_requests(home: Path) -> Iterator[list[str]]:
    """The lines for curl that the command prints, while it serves."""
    with socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {**os.environ, "AMRS_HOME": str(home), "AMRS_PORT": str(port)}
    command = [sys.executable, "-m", "amrs", "up"]
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdout is not None
        yield list(islice((line for line in process.stdout if line.startswith("curl ")), 2))
        process.send_signal(signal.SIGINT)


def answer_to(line: str) -> httpx.Response:
    """Send what a line for curl would."""
    curl, _, url, _, header, _, body = shlex.split(line)
    assert curl == "curl"
    return httpx.post(url, headers=dict([header.split(": ")]), content=body)


def test_the_printed_requests_work_as_they_stand_on_every_start(home: Path):
    for _ in range(2):
        with printed_requests(home) as (begin, ask):
            begun, asked = answer_to(begin), answer_to(ask)

        assert begun.status_code == 201
        assert asked.status_code == 200
        assert len(asked.json()["recommendations"]) == 3
