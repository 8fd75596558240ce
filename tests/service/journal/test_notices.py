"""PostgreSQL's notices wake whoever follows a subject, also after a lost connection; SQLite is silent."""

import asyncio
from collections.abc import Awaitable, Callable

import psycopg
import pytest
from sqlalchemy import Engine, text

from service.journal import notices
from service.journal.notices import hearing
from service.journal.revisions import advance

PATIENCE = 20.0


def while_hearing(database_url: str, act: Callable[[dict[str, asyncio.Event]], Awaitable[None]]) -> None:
    async def run() -> None:
        wake = {"songs": asyncio.Event(), "bundles": asyncio.Event()}
        async with hearing(database_url, wake):
            await act(wake)

    asyncio.run(run())


async def heard(event: asyncio.Event) -> None:
    async with asyncio.timeout(PATIENCE):
        await event.wait()
    event.clear()


def change(engine: Engine, subject: str) -> None:
    with engine.begin() as sql:
        advance(sql, subject)


def end_listeners(engine: Engine) -> None:
    with engine.begin() as sql:
        sql.execute(
            text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'amrs notices'")
        )


def require_postgresql(engine: Engine) -> None:
    if engine.dialect.name != "postgresql":
        pytest.skip("SQLite gives no notice")


def test_a_change_wakes_those_who_follow_its_subject_and_no_other(database_url: str, engine: Engine) -> None:
    require_postgresql(engine)

    async def act(wake: dict[str, asyncio.Event]) -> None:
        await heard(wake["songs"])
        await heard(wake["bundles"])  # both at first: something may have been said before
        await asyncio.to_thread(change, engine, "keys")
        await asyncio.to_thread(change, engine, "songs")
        await heard(wake["songs"])
        assert not wake["bundles"].is_set()

    while_hearing(database_url, act)


def test_what_was_rolled_back_is_not_announced(database_url: str, engine: Engine) -> None:
    require_postgresql(engine)

    async def act(wake: dict[str, asyncio.Event]) -> None:
        await heard(wake["songs"])
        await heard(wake["bundles"])
        with engine.connect() as sql:
            advance(sql, "songs")
            sql.rollback()
        await asyncio.to_thread(change, engine, "bundles")
        await heard(wake["bundles"])
        assert not wake["songs"].is_set()

    while_hearing(database_url, act)


def test_a_lost_connection_is_made_again_and_everybody_looks(
    database_url: str, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    require_postgresql(engine)
    monkeypatch.setattr(notices, "RETRY_SECONDS", 0.1)

    async def act(wake: dict[str, asyncio.Event]) -> None:
        await heard(wake["songs"])
        wake["bundles"].clear()
        await asyncio.to_thread(end_listeners, engine)
        await heard(wake["songs"])
        await heard(wake["bundles"])

    while_hearing(database_url, act)


def test_a_database_that_does_not_answer_harms_nobody() -> None:
    async def act(wake: dict[str, asyncio.Event]) -> None:
        await asyncio.sleep(0)
        assert not wake["songs"].is_set()

    while_hearing("postgresql://nobody@127.0.0.1:1/nothing", act)
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect("postgresql://nobody@127.0.0.1:1/nothing", connect_timeout=1)


def test_sqlite_is_silent(tmp_path) -> None:
    async def act(wake: dict[str, asyncio.Event]) -> None:
        assert not any(event.is_set() for event in wake.values())

    while_hearing(f"sqlite:///{tmp_path / 'a.sqlite3'}", act)
