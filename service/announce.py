"""Saying when the server answers: what stands between starting it and telling somebody to call it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from socket import SO_REUSEADDR, SOL_SOCKET, socket
from threading import Event, Thread
from typing import Final

from models.errors import ConfigError
from service.settings import Settings

_LOOK_SECONDS: Final = 0.05
_PATIENCE_SECONDS: Final = 2.0


def require_free_port(settings: Settings) -> None:
    """Check that nobody listens where the server is going to.

    Raises:
        ConfigError: somebody does.
    """
    for port, variable in ((settings.port, "AMRS_PORT"), (settings.operator_port, "AMRS_OPERATOR_PORT")):
        if port is None:
            continue
        with socket() as probe:
            probe.setsockopt(SOL_SOCKET, SO_REUSEADDR, 1)
            try:
                probe.bind((settings.host, port))
            except OSError as refusal:
                raise ConfigError(
                    f"{settings.host}:{port} must be free to listen on; it is not ({refusal.strerror}): "
                    f"stop what listens there, or choose another port by {variable}"
                ) from refusal


@contextmanager
def announced(settings: Settings, announce: Callable[[], None]) -> Iterator[None]:
    """Call `announce` once, from another thread, as soon as the server that the body runs is ready."""
    stopped = Event()

    def watch() -> None:
        while not stopped.wait(_LOOK_SECONDS):
            if is_ready(settings):
                announce()
                return

    watcher = Thread(target=watch, name="announce", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        stopped.set()
        watcher.join(_PATIENCE_SECONDS)


def is_ready(settings: Settings) -> bool:
    """Whether a server answers that it can serve."""
    connection = HTTPConnection(settings.host, settings.port, timeout=_PATIENCE_SECONDS)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()
