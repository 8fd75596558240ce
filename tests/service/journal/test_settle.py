"""Commands of many listeners settle in one transaction, each as if alone."""

import pytest
from sqlalchemy import Engine, func, select

from models.errors import AmrsError
from service.errors import StaleMemory
from service.journal.blocks import SetBlock
from service.journal.command import Written
from service.journal.settle import settle
from service.journal.tables import blocks, listeners, receipts, recommendations
from service.listener import ListenerKey
from tests.service.journal.examples import LISTENER, NOON, recommend, start, write

CROWD = [ListenerKey("default", f"l-{n}") for n in range(20)]


def test_a_refused_command_does_not_harm_the_others(engine: Engine) -> None:
    with engine.begin() as sql:
        settle(sql, [start(listener=listener) for listener in CROWD])
    with engine.begin() as sql:
        outcomes = settle(
            sql,
            [recommend("song-1", listener=each, expected_sequence=n % 2) for n, each in enumerate(CROWD)],
        )

    assert [type(outcome) for outcome in outcomes] == [StaleMemory, Written] * 10
    with engine.begin() as sql:
        assert sql.scalar(select(func.count()).select_from(recommendations)) == 10
        assert sql.scalar(select(func.count()).select_from(receipts)) == 30


def test_a_batch_gives_each_what_it_would_get_alone(engine: Engine) -> None:
    with engine.begin() as sql:
        together: list[Written[object] | AmrsError] = settle(sql, [start(listener=each) for each in CROWD])
    alone = [write(engine, start(listener=ListenerKey("default", f"alone-{n}"))) for n in range(len(CROWD))]

    assert together == alone


def test_the_same_id_in_two_apps_is_two_listeners(engine: Engine) -> None:
    with engine.begin() as sql:
        sql.exec_driver_sql("INSERT INTO apps SELECT 'other', created_at FROM apps")
    write(engine, start())
    assert not write(engine, start(listener=ListenerKey("other", LISTENER.listener_id))).duplicate


def test_a_block_is_set_once_and_taken_back_once(engine: Engine) -> None:
    changes = [
        write(engine, SetBlock(listener=LISTENER, at=NOON, kind="tag", value="drums", blocked=blocked)).answer
        for blocked in (True, True, False, False)
    ]

    assert changes == [True, False, True, False]
    with engine.begin() as sql:
        assert sql.execute(select(blocks)).all() == []
        assert sql.scalar(select(listeners.c.sequence)) == 2


def test_taking_back_a_block_of_an_unknown_listener_is_refused(engine: Engine) -> None:
    with pytest.raises(AmrsError, match="l-1"):
        write(engine, SetBlock(listener=LISTENER, at=NOON, kind="tag", value="drums", blocked=False))
