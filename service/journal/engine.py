"""Opening the database: the same promises asked of PostgreSQL and of SQLite.

A committed write survives the machine's loss of power (`synchronous_commit`, `synchronous=FULL`); nobody waits
for a lock for ever; a reader sees one moment (REPEATABLE READ, or SQLite's own snapshots). No error's message
holds what was to be written, nor SQLite's file what was deleted.
"""

from contextlib import closing
from pathlib import Path
from typing import Any, Final

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url

from models.errors import ConfigError
from service.journal.patience import STATEMENT_TIMEOUT_SECONDS, PatientConnection

LOCK_TIMEOUT_SECONDS: Final = 2
CONNECT_TIMEOUT_SECONDS: Final = 3
ABANDONED_SECONDS: Final = 10
"""How long the server keeps the locks of a writer that has gone in the middle of a transaction without a word."""
SILENCE_SECONDS: Final = 5
"""How long a peer may leave what was sent to it unacknowledged before the connection counts as broken."""


def open_writer(database_url: str) -> Engine:
    """Return an engine of one connection for the writer; SQLite transactions take the write lock at once."""
    settings = f"-c idle_in_transaction_session_timeout={ABANDONED_SECONDS}s"
    return _open(
        database_url, begin="BEGIN IMMEDIATE", isolation="READ COMMITTED", connections=1, settings=settings
    )


def open_readers(database_url: str, *, connections: int) -> Engine:
    """Return an engine for reads: every transaction sees one moment of the database."""
    return _open(database_url, begin="BEGIN", isolation="REPEATABLE READ", connections=connections)


def database_of(database_url: str) -> URL:
    """Return the URL with the driver the service speaks.

    Raises:
        ConfigError: it is neither PostgreSQL nor SQLite.
    """
    url = make_url(database_url)
    match url.get_backend_name():
        case "postgresql":
            return url.set(drivername="postgresql+psycopg")
        case "sqlite":
            if not url.database or url.database == ":memory:":
                raise ConfigError("database_url must name a SQLite file; memory would not outlive the process")
            return url.set(drivername="sqlite+pysqlite")
        case other:
            raise ConfigError(f"database_url must be postgresql:// or sqlite://; got {other}://")


def _open(database_url: str, *, begin: str, isolation: str, connections: int, settings: str = "") -> Engine:
    url = database_of(database_url)
    pool: dict[str, Any] = {
        "pool_size": connections,
        "max_overflow": 0,
        "pool_timeout": CONNECT_TIMEOUT_SECONDS,
    }
    if url.get_backend_name() == "sqlite":
        Path(str(url.database)).parent.mkdir(parents=True, exist_ok=True)
        arguments: dict[str, Any] = {
            "timeout": LOCK_TIMEOUT_SECONDS,
            "isolation_level": None,
            "check_same_thread": False,
        }
        engine = create_engine(url, connect_args=arguments, hide_parameters=True, **pool)
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", lambda connection: _begin_sqlite(connection, begin))
        return engine
    options = (
        f"-c lock_timeout={LOCK_TIMEOUT_SECONDS}s -c statement_timeout={STATEMENT_TIMEOUT_SECONDS}s "
        f"-c synchronous_commit=on -c timezone=UTC {settings}"
    )
    given = url.query.get("options", "")
    url = url.update_query_dict({"options": f"{given} {options}".strip()})
    arguments = {
        "connect_timeout": CONNECT_TIMEOUT_SECONDS,
        "application_name": "amrs",
        "keepalives_idle": SILENCE_SECONDS,
        "keepalives_interval": 1,
        "keepalives_count": SILENCE_SECONDS,
        "tcp_user_timeout": SILENCE_SECONDS * 1000,
    }
    engine = create_engine(url, connect_args=arguments, isolation_level=isolation, hide_parameters=True, **pool)
    event.listen(engine, "do_connect", _connect_patiently)
    return engine


def scrub_file(engine: Engine) -> None:
    """Write SQLite's log back into its file and empty it; deleted rows are overwritten there (`secure_delete`)."""
    if engine.dialect.name != "sqlite":
        return
    with closing(engine.raw_connection()) as connection:
        connection.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _connect_patiently(_: Any, __: Any, arguments: Any, named: Any) -> PatientConnection:
    return PatientConnection.connect(*arguments, **named)


def _prepare_sqlite(connection: Any, _: Any) -> None:
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "secure_delete=ON"):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Connection, begin: str) -> None:
    connection.exec_driver_sql(begin)
