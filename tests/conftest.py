"""What every test stands on: seeded randomness, no stray settings, and no network but this machine."""

import os
import socket
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

from tests.bundles import tiny_bundle as tiny_bundle
from tests.bundles import tiny_catalogue as tiny_catalogue
from tests.bundles import tiny_repository as tiny_repository

MADE_FOR_TESTS = ("AMRS_TEST_", "AMRS_SITUNES_DIR")

settings.register_profile("house", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", settings.get_profile("house"), derandomize=True)
settings.load_profile("ci" if "CI" in os.environ else "house")


@pytest.fixture
def rng() -> np.random.Generator:
    """A generator for tests that need any one: always the same numbers."""
    return np.random.default_rng(0)


@pytest.fixture(autouse=True, scope="session")
def no_stray_settings() -> Iterator[None]:
    """The settings of whoever runs the tests do not reach them, except those made for tests."""
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name.startswith("AMRS_") and not name.startswith(MADE_FOR_TESTS):
                patch.delenv(name)
        yield


@pytest.fixture(autouse=True, scope="session")
def loopback_only() -> Iterator[None]:
    """Python's sockets refuse to leave this machine."""
    connect = socket.socket.connect

    def connect_nearby(self: socket.socket, address: Any) -> None:
        if self.family in (socket.AF_INET, socket.AF_INET6):
            host = address[0]
            if host not in ("localhost", "::1") and not host.startswith("127."):
                raise PermissionError(f"a test tried to reach {host}; tests stay on this machine")
        connect(self, address)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", connect_nearby)
        yield
