"""Whoever awaits a write learns of its commit, its refusal, or that it may be sent again."""

import asyncio

import pytest
from sqlalchemy import func, select, text

from models.errors import ConfigError, Unavailable
from service.errors import SessionEnded, StaleMemory
from service.journal.command import Written
from service.journal.journal import JournalConfig, open_journal
from service.journal.migrate import EMPTY, downgrade
from service.journal.revisions import advance, read_revisions
from service.journal.tables import sessions
from service.listener import ListenerKey
from tests.service.journal.examples import end, recommend, start

pytestmark = pytest.mark.anyio


async def test_a_write_is_there_to_be_read_once_it_returns(database_url: str) -> None:
    async with open_journal(database_url) as journal:
        await journal.write(start())
        assert await journal.read(lambda sql: sql.scalar(select(func.count()).select_from(sessions))) == 1


async def test_many_listeners_write_at_once(database_url: str) -> None:
    async with open_journal(database_url) as journal:
        written = await asyncio.gather(
            *(journal.write(start(listener=ListenerKey("default", f"l-{n}"))) for n in range(200))
        )
        count = await journal.read(lambda sql: sql.scalar(select(func.count()).select_from(sessions)))

    assert count == 200
    assert not any(each.duplicate for each in written)


async def test_the_same_write_many_times_at_once_happens_once(database_url: str) -> None:
    async with open_journal(database_url) as journal:
        written = await asyncio.gather(*(journal.write(start()) for _ in range(20)))

    assert sorted(each.duplicate for each in written) == [False] + [True] * 19
    assert len({each.answer for each in written}) == 1


async def test_two_workers_record_one_choice_from_one_state(database_url: str) -> None:
    async with open_journal(database_url) as one, open_journal(database_url) as other:
        await one.write(start())
        outcomes = await asyncio.gather(
            *(
                journal.write(recommend("song-1", expected_sequence=1, request_id=f"r-{n}"))
                for n, journal in enumerate([one, other] * 5)
            ),
            return_exceptions=True,
        )

    kinds = [type(outcome) for outcome in outcomes]
    assert (kinds.count(Written), kinds.count(StaleMemory)) == (1, 9)


async def test_two_workers_may_meet_a_new_listener_at_once(database_url: str) -> None:
    async with open_journal(database_url) as one, open_journal(database_url) as other:
        written = await asyncio.gather(
            *(
                journal.write(start(f"s-{n}", listener=ListenerKey("default", f"l-{n % 5}")))
                for n, journal in enumerate([one, other] * 20)
            )
        )

    assert len(written) == 40


async def test_a_refusal_is_raised(database_url: str) -> None:
    async with open_journal(database_url) as journal:
        await journal.write(start())
        await journal.write(end())
        with pytest.raises(SessionEnded):
            await journal.write(end(event_id="end-2"))


async def test_a_series_gives_each_its_own_outcome(database_url: str) -> None:
    async with open_journal(database_url) as journal:
        outcomes = await journal.write_all([start(), end(), end(event_id="end-2"), end()])

    assert isinstance(outcomes[2], SessionEnded)
    assert [each.duplicate for each in outcomes if isinstance(each, Written)] == [False, False, True]


async def test_an_act_on_the_catalogue_is_committed_alone(database_url: str) -> None:
    async with open_journal(database_url) as journal:
        assert await journal.administer(lambda sql: advance(sql, "songs")) == 1
        assert await journal.read(read_revisions) == (1, 0)


async def test_a_write_that_takes_too_long_may_be_sent_again(database_url: str) -> None:
    config = JournalConfig(write_timeout_seconds=0.05)
    async with open_journal(database_url) as other, open_journal(database_url, config=config) as journal:
        released = asyncio.Event()
        await other.write(start())

        def hold(sql: object) -> None:
            sql.execute(text("UPDATE listeners SET population = population"))  # type: ignore[attr-defined]
            asyncio.run_coroutine_threadsafe(released.wait(), loop).result()

        loop = asyncio.get_running_loop()
        holding = asyncio.create_task(other.administer(hold))
        await asyncio.sleep(0.05)
        with pytest.raises(Unavailable, match=r"0\.05 s"):
            await journal.write(end())
        released.set()
        await holding
    async with open_journal(database_url) as journal:
        assert (await journal.write(end())).answer.session_id == "s-1"


async def test_writes_beyond_the_limit_are_refused_at_once(database_url: str) -> None:
    async with open_journal(database_url, config=JournalConfig(waiting_limit=3)) as journal:
        outcomes = await asyncio.gather(
            *(journal.write(start(listener=ListenerKey("default", f"l-{n}"))) for n in range(9)),
            return_exceptions=True,
        )

    kinds = [type(outcome) for outcome in outcomes]
    assert (kinds.count(Written), kinds.count(Unavailable)) == (3, 6)


async def test_once_the_writer_has_died_a_write_is_refused_at_once(database_url: str) -> None:
    async with open_journal(database_url, config=JournalConfig(write_timeout_seconds=60.0)) as journal:
        journal._writer.close()

        with pytest.raises(Unavailable, match="has died"):
            await asyncio.wait_for(journal.write(start()), 5)


async def test_what_waits_at_the_end_is_still_written(database_url: str) -> None:
    async with open_journal(database_url) as journal:
        task = asyncio.create_task(journal.write(start()))
        await asyncio.sleep(0)
    assert (await task).duplicate is False


async def test_a_database_of_another_schema_is_not_opened(database_url: str) -> None:
    if database_url.startswith("sqlite"):
        downgrade(database_url, EMPTY)
        with pytest.raises(ConfigError, match="amrs db upgrade"):
            async with open_journal(database_url):
                pass


async def test_a_database_out_of_reach_is_not_opened() -> None:
    with pytest.raises(Unavailable):
        async with open_journal("postgresql://nobody@127.0.0.1:1/nothing"):
            pass
