"""A PostgreSQL of the test's own, on a data folder that outlives the server: killed, it recovers there."""

import os
import pwd
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

import pytest

from tests.processes.process import Process, free_port, listens

USER = "amrs"


@cache
def program(name: str) -> str | None:
    """Return where one of PostgreSQL's programs lies; Debian keeps them off the PATH."""
    debian = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda path: path.parts[-3])
    return str(debian[-1]) if debian else shutil.which(name)


needs_postgresql = pytest.mark.skipif(
    program("initdb") is None, reason="there is no initdb on this machine: apt install postgresql"
)


def url_of(port: int, database: str = "postgres") -> str:
    """Return the service's URL of a database."""
    return f"postgresql+psycopg://{USER}@127.0.0.1:{port}/{database}"


@contextmanager
def own_postgresql(*, folder: Path | None = None) -> Iterator[tuple[Process, str]]:
    """Give a running server and the URL of its database; both are gone afterwards.

    Args:
        folder: where its data goes, on another disk for example; None: a new one.
    """
    root = Path(mkdtemp(prefix="amrs-postgresql-", dir=folder))
    data, port, user = root / "data", free_port(), _unprivileged()
    try:
        if user:
            shutil.chown(root, user, user)
        as_user = {"user": user, "group": user, "extra_groups": []} if user else {}
        made = subprocess.run(
            [
                str(program("initdb")),
                "-D",
                str(data),
                "-U",
                USER,
                "-A",
                "trust",
                "--no-sync",
                "--locale=C",
                "-E",
                "UTF8",
            ],
            capture_output=True,
            text=True,
            check=False,
            cwd=root,
            **as_user,
        )
        assert made.returncode == 0, made.stderr
        settings = {
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "shared_buffers": "16MB",
            "max_connections": "60",
            "max_wal_size": "64MB",
        }
        given = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        server = Process(
            name="postgresql",
            command=[str(program("postgres")), "-D", str(data), "-p", str(port), *given],
            answers=lambda: _answers(port),
            log=root / "log",
            user=user,
        )
        try:
            yield server.start(), url_of(port)
        finally:
            server.stop()
    finally:
        shutil.rmtree(root, ignore_errors=True)


def _answers(port: int) -> bool:
    if not listens(port):
        return False
    asked = [str(program("pg_isready")), "-q", "-h", "127.0.0.1", "-p", str(port), "-U", USER]
    return subprocess.run(asked, check=False).returncode == 0


def _unprivileged() -> str | None:
    """Return who runs the server: PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name).pw_name
        except KeyError:
            continue
    return None
