"""`amrs serve`: one parent that owns what the workers share, N workers that answer.

The parent makes the home folder, brings the embedded database up to date, starts the private redis-server, and
stops it after the last worker. The workers read the same settings from the environment, so that a worker
that died is replaced by one that knows no less.
"""

import gc
import os
import shutil
import signal
import socket
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from types import FrameType
from typing import TYPE_CHECKING, Final, Never

import uvicorn
from pydantic import SecretStr
from uvicorn.supervisors import Multiprocess

from models.errors import ConfigError
from service.access.connections import ConnectionLimits, PatientProtocol
from service.settings import Settings

if TYPE_CHECKING:
    from fastapi import FastAPI

MULTIPROCESS_FOLDER: Final = "PROMETHEUS_MULTIPROC_DIR"
KEEP_ALIVE_SECONDS: Final = 65
"""How long an idle connection stays open: longer than the proxies in front usually wait."""
SWITCH_SECONDS: Final = 0.0005
"""How long a thread may keep the interpreter while another waits for it: with Python's own 5 ms, the journal's
writer would wait so long after each statement, and the event loop after each system call."""
GARBAGE_THRESHOLDS: Final = (20_000, 20, 20)
"""How many more objects there are before Python looks for cycles among them: a request makes hundreds, and none;
a look at all there are stops every thread."""
GRACE_SECONDS: Final = 10
"""How long requests in flight may take to finish once the service is told to stop."""


def serve(settings: Settings) -> None:
    """Serve until told to stop (SIGTERM or Ctrl-C); then finish what is in flight and close everything."""
    with ExitStack() as stack:
        stack.enter_context(stopping_on_sigterm())
        shared = stack.enter_context(shared_resources(settings))
        if settings.workers > 1:
            share_metrics(shared)
        os.environ |= as_environment(shared)
        config = server_config(settings, "service.serve:worker", factory=True)
        sockets = [stack.enter_context(listening(settings.host, port)) for port in ports_of(settings)]
        if settings.workers > 1:
            Multiprocess(config, sockets=sockets).run()
        else:
            uvicorn.Server(config).run(sockets=sockets)


def server_config(settings: Settings, app: "FastAPI | str", *, factory: bool = False) -> uvicorn.Config:
    """Return how uvicorn serves an app."""
    limits = ConnectionLimits(
        head_seconds=settings.head_timeout_seconds,
        body_seconds=settings.body_timeout_seconds,
        connections=settings.connections,
    )
    return uvicorn.Config(
        app,
        factory=factory,
        workers=settings.workers,
        loop="uvloop" if sys.platform != "win32" else "asyncio",
        http=partial(PatientProtocol, limits=limits),  # type: ignore[arg-type]
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )


def ports_of(settings: Settings) -> tuple[int, ...]:
    """Return where the service listens."""
    return (settings.port,) if settings.operator_port is None else (settings.port, settings.operator_port)


def listening(host: str, port: int) -> socket.socket:
    """Return a socket that is bound, and that workers inherit.

    Raises:
        ConfigError: it cannot be bound.
    """
    bound = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((host, port))
    except OSError as refusal:
        bound.close()
        raise ConfigError(f"{host}:{port} must be free to listen on; it is not ({refusal.strerror})") from refusal
    bound.set_inheritable(True)
    return bound


def worker() -> "FastAPI":
    """Return the app of one worker, its settings read from the environment."""
    from service.app import create_app  # only now: the metrics look for their folder when first imported
    from service.telemetry.logs import configure_logs

    configure_logs()
    sys.setswitchinterval(SWITCH_SECONDS)
    gc.set_threshold(*GARBAGE_THRESHOLDS)
    app = create_app(Settings())
    gc.freeze()  # what is imported stays for the life of the process
    return app


@contextmanager
def shared_resources(settings: Settings) -> Iterator[Settings]:
    """Open what all workers share; yield the settings that name it."""
    from service.journal.migrate import upgrade
    from service.memory.embedded import embedded_redis

    settings.home.mkdir(parents=True, exist_ok=True)
    if settings.database_url.startswith("sqlite"):
        upgrade(settings.database_url)
    if settings.redis_url is not None:
        yield settings
        return
    with embedded_redis(settings.home) as url:
        yield settings.model_copy(update={"redis_url": url})


def share_metrics(settings: Settings) -> None:
    """Give the workers an empty folder in which each keeps its numbers for all to read."""
    folder = settings.home / "metrics"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    os.environ[MULTIPROCESS_FOLDER] = str(folder.resolve())


def as_environment(settings: Settings) -> Mapping[str, str]:
    """Return the environment variables from which a worker reads these settings back."""
    environment = {}
    for name in type(settings).model_fields:
        value = getattr(settings, name)
        if value is not None:
            environment[f"AMRS_{name.upper()}"] = _spelled(value)
    return environment


def _spelled(value: object) -> str:
    if isinstance(value, tuple):
        return ",".join(_spelled(part) for part in value)
    return value.get_secret_value() if isinstance(value, SecretStr) else str(value)


@contextmanager
def stopping_on_sigterm() -> Iterator[None]:
    """Turn SIGTERM into an orderly exit, so that what is open is closed."""

    def stop(_: int, __: FrameType | None) -> Never:
        raise SystemExit(0)

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
