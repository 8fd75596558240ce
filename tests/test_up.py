"""`amrs up` over a live bundle serves it, and prints two requests that work as they stand."""

import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from socket import socket

import httpx
import pytest

from models.repository import Repository
from service.operations import upgrade_database
from tests.service.homes import furnish, home_settings


@pytest.fixture
def served(tmp_path: Path, tiny_repository: Repository) -> Iterator[subprocess.Popen[str]]:
    """The command, running over a home whose bundle is live."""
    settings = home_settings(tmp_path / "home", tiny_repository)
    upgrade_database(settings)
    furnish(settings, tiny_repository)
    with socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {**os.environ, "AMRS_HOME": str(settings.home), "AMRS_PORT": str(port)}
    command = [sys.executable, "-m", "amrs", "up"]
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        yield process
        process.send_signal(signal.SIGINT)


def answer_to(line: str) -> httpx.Response:
    """Send what a line for curl would."""
    curl, _, url, _, header, _, body = shlex.split(line)
    assert curl == "curl"
    return httpx.post(url, headers=dict([header.split(": ")]), content=body)


def test_the_printed_requests_work_as_they_stand(served: subprocess.Popen[str]):
    assert served.stdout is not None
    lines = (line for line in served.stdout if line.startswith("curl "))

    begun = answer_to(next(lines))
    asked = answer_to(next(lines))

    assert begun.status_code == 201
    assert asked.status_code == 200
    assert len(asked.json()["recommendations"]) == 3
