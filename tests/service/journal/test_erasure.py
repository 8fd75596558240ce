"""An erasure leaves no row that leads to a listener, and nothing of theirs can be taken for their successor's."""

import pytest
from sqlalchemy import Engine, inspect, select, text
from sqlalchemy.exc import DBAPIError

from models.affect import Affect
from models.listening import Mode
from service.errors import NotFound, StaleMemory, UnknownRecommendation
from service.journal.audit import read_acts
from service.journal.blocks import SetBlock
from service.journal.canary import EnrolListener
from service.journal.consent import SetConsent
from service.journal.erasure import EraseListener
from service.journal.held import NAMED_BY, TABLES
from service.journal.tables import audit, decisions, listeners, metadata
from service.listener import ListenerKey
from service.memory.rebuild import rebuild
from tests.service.journal.examples import (
    LISTENER,
    MINUTE,
    NOON,
    change_mode,
    end,
    feed_back,
    recommend,
    start,
    write,
)

OTHER = ListenerKey("default", "l-2")
LATER = NOON + 60 * MINUTE
KEPT = {"decisions"}
"""Tables whose rows outlive their listener."""


def erase(engine: Engine, listener: ListenerKey = LISTENER) -> int:
    return int(write(engine, EraseListener(listener=listener, at=LATER, actor="tests")).answer)


ACTS = ["give consent", "enrol canary listener"]
"""What `live` leaves in the audit, in this order."""


def live(engine: Engine, listener: ListenerKey = LISTENER) -> None:
    """Leave something of a listener in every table."""
    write(engine, start(listener=listener, report=Affect(0.123, 0.456)))
    write(engine, recommend("song-1", expected_sequence=sequence(engine, listener), listener=listener))
    write(engine, feed_back(listener=listener))
    write(engine, SetBlock(listener=listener, at=NOON, kind="tag", value="shanty", blocked=True))
    if listener == LISTENER:
        write(engine, change_mode(Mode.SLEEP, event_id="m-1"))
        write(engine, end(report=Affect(0.321, 0.654)))
    consent = SetConsent(listener=listener, at=NOON, event_id="c-1", consent=True, actor="tests")
    write(engine, consent)
    with engine.begin() as sql:
        EnrolListener(listener=listener, clinical=True, at=NOON, actor="tests")(sql)


def sequence(engine: Engine, listener: ListenerKey = LISTENER) -> int:
    with engine.begin() as sql:
        return rebuild(sql, listener).sequence


def everything(engine: Engine) -> dict[str, list[str]]:
    """Every row of every table, whoever declared it."""
    with engine.begin() as sql:
        return {
            name: sorted(str(tuple(row)) for row in sql.exec_driver_sql(f'SELECT * FROM "{name}"'))
            for name in inspect(sql).get_table_names()
        }


def test_every_table_that_names_listeners_falls_with_them_or_is_kept_on_purpose():
    for table in TABLES:
        targets = {key.column.table for key in table.foreign_keys if key.ondelete == "CASCADE"}
        cascades = bool(targets & {listeners, *TABLES}) or table is listeners
        assert cascades != (table.name in KEPT), table.name


def test_nothing_of_the_listener_is_left_and_nothing_of_others_is_touched(engine: Engine):
    live(engine, OTHER)
    before = everything(engine)
    live(engine)
    filled = {name for name, rows in everything(engine).items() if len(rows) > len(before[name])}

    erase(engine)

    after = everything(engine)
    assert filled >= {table.name for table in TABLES}
    assert {name for name in after if after[name] != before[name]} == {"decisions", "audit", "revisions"}
    assert not any("l-1" in row for rows in after.values() for row in rows)
    with engine.begin() as sql:
        assert rebuild(sql, LISTENER).known is False
        assert rebuild(sql, OTHER).known is True


def test_decisions_stay_under_a_number_that_stands_nowhere_else(engine: Engine):
    live(engine)
    with engine.begin() as sql:
        number = sql.scalar(select(listeners.c.listener_number))

    erase(engine)

    with engine.begin() as sql:
        (kept,) = sql.execute(select(decisions)).all()
        named = [
            value
            for table in metadata.tables.values()
            if NAMED_BY in table.c and table is not decisions
            for value in sql.scalars(select(table.c[NAMED_BY]))
        ]
        acts = read_acts(sql, app_id=None, limit=10)
    assert kept.body == b"why song-1"
    assert kept.listener_number != number
    assert kept.listener_number not in named
    assert acts[0].act == "erase listener"
    assert str(kept.listener_number) not in str(acts)


def test_erasing_again_or_a_stranger_changes_nothing(engine: Engine):
    live(engine)
    mark = erase(engine)
    after = everything(engine)

    assert erase(engine) == mark
    assert erase(engine, OTHER) == mark
    assert everything(engine) == after


def test_a_write_after_the_erasure_is_unknown_or_begins_a_new_listener(engine: Engine):
    live(engine)
    erase(engine)

    for command in (feed_back(event_id="e-9"), feed_back(), end(event_id="end-9"), end()):
        with pytest.raises(NotFound):
            write(engine, command)
    started = write(engine, start(at=LATER))

    assert not started.duplicate
    with engine.begin() as sql:
        state = rebuild(sql, LISTENER)
    assert [session.before for session in state.sessions] == [None]
    assert (state.offers, state.blocks.tags) == ((), ())


def test_a_choice_made_from_the_old_listeners_state_is_stale_for_the_new_one(engine: Engine):
    """Whatever sequence the old state had, the new listener's is later."""
    live(engine)
    old = sequence(engine)
    erase(engine)
    write(engine, start(at=LATER))

    assert sequence(engine) >= old + 3
    for expected in range(old + 2):
        with pytest.raises(StaleMemory):
            write(engine, recommend("song-2", expected_sequence=expected, at=LATER))


def test_an_old_recommendation_is_unknown_to_a_new_session_of_the_same_name(engine: Engine):
    live(engine)
    erase(engine)
    write(engine, start(at=LATER))

    with pytest.raises(UnknownRecommendation):
        write(engine, feed_back(event_id="e-9", at=LATER + MINUTE))


def test_the_audit_is_only_added_to(engine: Engine):
    live(engine)

    for statement in ("UPDATE audit SET actor = 'nobody'", "DELETE FROM audit"):
        with pytest.raises(DBAPIError, match="only added to"), engine.begin() as sql:
            sql.execute(text(statement))
    with engine.begin() as sql:
        assert sql.scalars(select(audit.c.act).order_by(audit.c.audit_number)).all() == ACTS


def test_an_app_sees_the_acts_on_its_own_listeners_and_on_what_all_share(engine: Engine):
    live(engine)

    with engine.begin() as sql:
        assert [act.act for act in read_acts(sql, app_id="default", limit=9)] == ACTS[::-1]
        assert read_acts(sql, app_id="other", limit=9) == []
