"""A connection over which nothing comes any more is let go of, and the next one is good."""

import psycopg
import pytest
from sqlalchemy import make_url

from service.journal.patience import STATEMENT_TIMEOUT_SECONDS, PatientConnection
from tests.processes.relay import relayed


class Impatient(PatientConnection):
    """A connection that waits for a moment only."""

    silence_seconds = 0.3


@pytest.fixture
def conninfo(database_url: str) -> str:
    """What PostgreSQL's own driver calls the database."""
    url = make_url(database_url)
    if url.get_backend_name() != "postgresql":
        pytest.skip("SQLite is a file: there is nobody to wait for")
    return url.set(drivername="postgresql", query={}).render_as_string(hide_password=False)


def test_silence_breaks_the_connection_in_bounded_time(conninfo: str) -> None:
    with relayed(conninfo) as (wire, address), Impatient.connect(address) as sql:
        assert sql.execute("SELECT 1").fetchone() == (1,)
        with wire.silent(), pytest.raises(psycopg.OperationalError, match=r"said nothing for 0\.3 s"):
            sql.execute("SELECT 1")
        assert sql.closed
        with Impatient.connect(address) as fresh:
            assert fresh.execute("SELECT 1").fetchone() == (1,)


def test_a_long_answer_that_keeps_coming_is_no_silence(conninfo: str) -> None:
    """Silence is counted from the last byte that came, not from the question."""
    rows = "SELECT repeat('x', 100000), pg_sleep(0.002) FROM generate_series(1, 250)"
    with Impatient.connect(conninfo) as sql:
        assert len(sql.execute(rows).fetchall()) == 250


def test_the_server_gives_up_a_statement_before_silence_does() -> None:
    assert PatientConnection.silence_seconds > STATEMENT_TIMEOUT_SECONDS
