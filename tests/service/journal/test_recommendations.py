"""A recommendation is on record before it is answered, and only if it rests on what SQL knows now."""

from dataclasses import replace
from itertools import pairwise

import pytest
from sqlalchemy import Engine, func, select

from service.errors import IdConflict, SessionEnded, StaleMemory, UnknownRecommendation
from service.journal.recommendations import RecordedDecision, play_state, read_decision
from service.journal.tables import decisions, listeners, metadata, recommendations
from service.listener import ListenerKey
from service.recommendation_id import RecommendationToken
from tests.service.journal.examples import (
    IDLE_LIMIT,
    LISTENER,
    MINUTE,
    NOON,
    end,
    feed_back,
    recommend,
    start,
    token,
    write,
)

HOUR = 60 * MINUTE


def recorded(
    engine: Engine, about: RecommendationToken, *, at: int = NOON, listener: ListenerKey = LISTENER
) -> RecordedDecision:
    with engine.begin() as sql:
        return read_decision(sql, listener, about, at=at, idle_limit_seconds=IDLE_LIMIT, expiry_seconds=IDLE_LIMIT)


def row_counts(engine: Engine) -> dict[str, int]:
    with engine.begin() as sql:
        return {
            name: sql.scalar(select(func.count()).select_from(table)) or 0
            for name, table in metadata.tables.items()
        }


def test_songs_and_their_reasons_are_on_record(engine: Engine) -> None:
    write(engine, start())
    write(engine, recommend("song-1", "song-2", expected_sequence=1))

    second = recorded(engine, token("song-2", position=1))
    assert (second.position, second.decision, second.state) == (1, b"why song-2", "offered")


def test_the_same_request_again_gets_the_stored_answer(engine: Engine) -> None:
    write(engine, start())
    write(engine, recommend("song-1", expected_sequence=1, reply=b"first"))
    again = write(engine, recommend("song-9", expected_sequence=1, reply=b"second"))

    assert again.duplicate
    assert again.answer == b"first"


def test_the_same_request_id_with_another_count_is_a_conflict(engine: Engine) -> None:
    write(engine, start())
    write(engine, recommend("song-1", expected_sequence=1))

    with pytest.raises(IdConflict):
        write(engine, recommend("song-1", "song-2", expected_sequence=2))


@pytest.mark.parametrize("expected", [0, 2, -1])
def test_a_choice_from_another_state_is_refused_and_leaves_nothing(engine: Engine, expected: int) -> None:
    write(engine, start())
    before = row_counts(engine)

    with pytest.raises(StaleMemory):
        write(engine, recommend("song-1", expected_sequence=expected))
    assert row_counts(engine) == before
    with engine.begin() as sql:
        assert sql.scalar(select(listeners.c.sequence)) == 1


def test_of_two_requests_from_one_state_only_the_first_is_recorded(engine: Engine) -> None:
    write(engine, start())
    write(engine, recommend("song-1", expected_sequence=1, request_id="r-1"))

    with pytest.raises(StaleMemory):
        write(engine, recommend("song-2", expected_sequence=1, request_id="r-2"))


def test_a_session_that_was_superseded_gets_no_song(engine: Engine) -> None:
    write(engine, start("s-1"))
    write(engine, start("s-2"))

    with pytest.raises(SessionEnded):
        write(engine, recommend("song-1", expected_sequence=2, session_id="s-1"))


def test_a_refusal_to_give_a_song_keeps_its_reasons_too(engine: Engine) -> None:
    write(engine, start())
    write(engine, replace(recommend(expected_sequence=1), refusal=b"no song"))

    with engine.begin() as sql:
        assert sql.scalars(select(decisions.c.body)).all() == [b"no song"]
        assert sql.scalars(select(recommendations.c.song_id)).all() == []


def test_an_unanswered_recommendation_expires_some_time_after_its_session(engine: Engine) -> None:
    write(engine, start())
    write(engine, recommend("song-1", expected_sequence=1))
    write(engine, end(at=NOON + 2 * MINUTE))

    expiry = NOON + 2 * MINUTE + HOUR
    states = [recorded(engine, token(), at=at).state for at in (expiry - 1, expiry)]
    assert states == ["offered", "expired"]


def test_feedback_after_expiry_still_counts_as_played(engine: Engine) -> None:
    write(engine, start())
    write(engine, recommend("song-1", expected_sequence=1))
    write(engine, feed_back(at=NOON + 100 * HOUR))

    assert recorded(engine, token(), at=NOON + 101 * HOUR).state == "played"


def test_a_song_of_which_nothing_was_heard_was_skipped() -> None:
    assert [play_state(heard) for heard in (0.0, 0.01, None)] == ["skipped", "played", "played"]


def test_another_listener_or_app_sees_nothing_of_it(engine: Engine) -> None:
    write(engine, start())
    write(engine, recommend("song-1", expected_sequence=1))

    for stranger in (ListenerKey("default", "l-2"), ListenerKey("other", "l-1")):
        with pytest.raises(UnknownRecommendation):
            recorded(engine, token(), listener=stranger)


def test_sequences_have_no_gap(engine: Engine) -> None:
    write(engine, start())
    written = [
        write(engine, recommend("song-1", expected_sequence=n + 1, request_id=f"r-{n}", first=n)).event
        for n in range(3)
    ]

    sequences = [event.sequence for event in written if event is not None]
    assert all(later - earlier == 1 for earlier, later in pairwise([1, *sequences]))
