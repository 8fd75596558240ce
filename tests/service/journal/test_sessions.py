"""One session is open per listener; it ends by the app, by the next one, or of idleness; late reports are kept."""

import pytest
from sqlalchemy import Engine, select

from models.affect import Affect
from models.errors import DataError
from models.listening import Mode, Population
from service.errors import IdConflict, SessionEnded, UnknownListener, UnknownSession
from service.journal.sessions import EndIdleSession, idle_sessions
from service.journal.tables import listeners, sessions
from tests.service.journal.examples import (
    IDLE_LIMIT,
    LISTENER,
    MINUTE,
    NOON,
    change_mode,
    end,
    recommend,
    start,
    write,
)

HOUR = 60 * MINUTE


def ends(engine: Engine) -> dict[str, tuple[int | None, str | None]]:
    with engine.begin() as sql:
        rows = sql.execute(select(sessions.c.session_id, sessions.c.ended_at, sessions.c.end_reason))
        return {session_id: (ended_at, reason) for session_id, ended_at, reason in rows}


def test_the_first_session_makes_the_listener(engine: Engine) -> None:
    write(engine, start(population=Population.CONSUMER))

    with engine.begin() as sql:
        row = sql.execute(select(listeners)).one()
    assert (row.listener_id, row.population, row.consent, row.sequence) == ("l-1", "consumer", False, 1)


def test_the_population_is_remembered_when_a_later_session_says_nothing(engine: Engine) -> None:
    write(engine, start("s-1", population=Population.CONSUMER))
    write(engine, start("s-2"))

    with engine.begin() as sql:
        assert sql.scalar(select(listeners.c.population)) == "consumer"


def test_the_same_start_again_gets_the_first_answer(engine: Engine) -> None:
    first = write(engine, start(at=NOON))
    again = write(engine, start(at=NOON + MINUTE))

    assert again.duplicate
    assert again.answer == first.answer


def test_a_start_sent_again_is_the_same_under_a_bundle_that_knows_no_such_context(engine: Engine) -> None:
    def refuse() -> None:
        raise DataError("context.local_time: expected one of the declared keys ()")

    write(engine, start())
    assert write(engine, start(check_context=refuse)).duplicate
    with pytest.raises(DataError):
        write(engine, start("s-2", check_context=refuse))


def test_the_same_id_with_another_mode_is_a_conflict(engine: Engine) -> None:
    write(engine, start(mode=Mode.CALM))

    with pytest.raises(IdConflict, match="s-1"):
        write(engine, start(mode=Mode.SLEEP))


def test_a_new_session_ends_the_open_one(engine: Engine) -> None:
    write(engine, start("s-1"))
    write(engine, start("s-2", at=NOON + MINUTE))

    assert ends(engine) == {"s-1": (NOON + MINUTE, "superseded"), "s-2": (None, None)}


def test_an_open_session_left_idle_ended_when_the_limit_was_reached(engine: Engine) -> None:
    write(engine, start("s-1"))
    write(engine, start("s-2", at=NOON + 5 * HOUR))

    assert ends(engine)["s-1"] == (NOON + HOUR, "idle")


def test_a_report_at_the_end_is_kept(engine: Engine) -> None:
    write(engine, start())
    written = write(engine, end(report=Affect(0.6, 0.3)))

    assert written.answer.ended_at == NOON + 2 * MINUTE
    with engine.begin() as sql:
        row = sql.execute(select(sessions)).one()
    assert (row.after_valence, row.after_arousal, row.end_reason) == (0.6, 0.3, "app")


def test_a_second_end_by_the_app_is_refused(engine: Engine) -> None:
    write(engine, start())
    write(engine, end(event_id="end-1"))

    with pytest.raises(SessionEnded):
        write(engine, end(event_id="end-2"))


def test_the_end_of_a_superseded_session_still_brings_its_report_and_does_not_lengthen_it(engine: Engine) -> None:
    write(engine, start("s-1"))
    write(engine, start("s-2", at=NOON + MINUTE))
    written = write(engine, end("s-1", at=NOON + 9 * MINUTE, report=Affect(0.6, 0.3)))

    assert written.answer.ended_at == NOON + MINUTE
    assert ends(engine) == {"s-1": (NOON + MINUTE, "app"), "s-2": (None, None)}


def test_an_end_that_occurred_earlier_counts_from_then(engine: Engine) -> None:
    write(engine, start())
    written = write(engine, end(at=NOON + 9 * MINUTE, occurred_at=NOON + MINUTE))

    assert written.answer.ended_at == NOON + MINUTE


def test_no_session_ends_before_it_began(engine: Engine) -> None:
    write(engine, start())
    written = write(engine, end(occurred_at=NOON - HOUR))

    assert written.answer.ended_at == NOON


def test_a_session_idle_for_the_limit_gives_no_song_though_nobody_wrote_its_end(
    engine: Engine,
) -> None:
    write(engine, start())

    with pytest.raises(SessionEnded):
        write(engine, recommend("song-1", expected_sequence=1, at=NOON + HOUR))


def test_activity_moves_the_idle_limit(engine: Engine) -> None:
    write(engine, start())
    write(engine, change_mode(Mode.SLEEP, event_id="e-1", at=NOON + HOUR - 1))
    write(engine, recommend("song-1", expected_sequence=2, at=NOON + 2 * HOUR - 2))

    with pytest.raises(SessionEnded):
        write(engine, recommend("song-2", expected_sequence=3, request_id="r-2", at=NOON + 3 * HOUR - 2))


def test_the_sweep_writes_down_what_the_clock_has_ended(engine: Engine) -> None:
    write(engine, start())
    with engine.begin() as sql:
        found = idle_sessions(sql, at=NOON + 2 * HOUR, idle_limit_seconds=IDLE_LIMIT)
    sweep = EndIdleSession(listener=LISTENER, at=NOON + 2 * HOUR, session_id="s-1", idle_limit_seconds=IDLE_LIMIT)

    assert found == [(LISTENER, "s-1")]
    assert write(engine, sweep).answer is True
    assert write(engine, sweep).answer is False
    assert ends(engine) == {"s-1": (NOON + HOUR, "idle")}


def test_of_two_mode_changes_the_one_that_occurred_last_is_in_force(engine: Engine) -> None:
    write(engine, start())
    later = change_mode(Mode.SLEEP, event_id="e-1", at=NOON + 5 * MINUTE)
    earlier = change_mode(Mode.FOCUS, event_id="e-2", at=NOON + 6 * MINUTE, occurred_at=NOON + MINUTE)

    assert write(engine, later).answer.mode == "sleep"
    assert write(engine, earlier).answer.mode == "sleep"


def test_an_unknown_session_or_listener_is_named(engine: Engine) -> None:
    with pytest.raises(UnknownListener, match="l-1"):
        write(engine, change_mode(Mode.SLEEP, event_id="e-1"))
    write(engine, start())
    with pytest.raises(UnknownSession, match="s-7"):
        write(engine, end("s-7"))


def test_a_clock_put_back_ends_no_session_before_it_began(engine: Engine) -> None:
    write(engine, start("s-1"))
    write(engine, start("s-2", at=NOON - HOUR))

    assert ends(engine) == {"s-1": (NOON, "superseded"), "s-2": (None, None)}


def test_a_clock_put_back_and_forth_makes_nobody_idle(engine: Engine) -> None:
    """Two replicas whose clocks are an hour apart serve one session in turn."""
    write(engine, start())
    write(engine, recommend("song-1", expected_sequence=1, at=NOON - HOUR))
    write(engine, change_mode(Mode.SLEEP, event_id="e-1", at=NOON + MINUTE))
    write(engine, recommend("song-2", expected_sequence=3, request_id="r-2", first=1, at=NOON - HOUR))
    write(engine, change_mode(Mode.FOCUS, event_id="e-2", at=NOON + 2 * MINUTE))

    assert ends(engine) == {"s-1": (None, None)}
