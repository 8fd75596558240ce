"""Feedback events merge into one play, the same in whatever order they arrive and however often."""

from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine, select

from models.catalogue import Song
from models.errors import DataError
from service.clock import SECOND
from service.errors import IdConflict, UnknownSession
from service.journal.feedback import FeedbackEvent, merge
from service.journal.songs import ImportSongs, SongRecord
from service.journal.tables import feedback, plays, recommendations
from tests.service.journal.examples import MINUTE, NOON, feed_back, recommend, start, token, write

units = st.floats(0, 1, allow_nan=False)
events = st.lists(
    st.builds(
        FeedbackEvent,
        st.integers(NOON, NOON + 10),
        st.uuids().map(str),
        st.none() | units,
        st.none() | st.integers(0, 1),
        st.floats(0, 300),
    ),
    max_size=6,
    unique_by=lambda event: event.event_id,
)


@given(events, st.randoms())
def test_the_order_of_arrival_does_not_matter(arrived: list[FeedbackEvent], random: object) -> None:
    shuffled = list(arrived)
    random.shuffle(shuffled)  # type: ignore[attr-defined]

    assert merge(shuffled, offered_at=NOON) == merge(arrived, offered_at=NOON)


@given(events)
def test_a_play_never_begins_before_its_offer(arrived: list[FeedbackEvent]) -> None:
    assert merge(arrived, offered_at=NOON).played_at >= NOON


def test_each_value_is_what_the_last_event_that_gave_one_said() -> None:
    merged = merge(
        [
            FeedbackEvent(NOON + 20 * SECOND, "b", None, 1, 0.0),
            FeedbackEvent(NOON + 30 * SECOND, "a", 0.9, None, 5.0),
            FeedbackEvent(NOON + 10 * SECOND, "c", 0.2, 0, 4.0),
        ],
        offered_at=NOON,
    )

    assert merged == (0.9, 1, NOON + 6 * SECOND)


def test_of_two_events_at_the_same_time_the_greater_id_speaks_last() -> None:
    tied = [FeedbackEvent(NOON, "a", 0.1, None, 0.0), FeedbackEvent(NOON, "b", 0.2, None, 0.0)]

    assert merge(tied, offered_at=NOON).engagement == 0.2


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_three_events_leave_the_same_play_in_every_order(engine: Engine, order: tuple[int, ...]) -> None:
    write(engine, start())
    write(engine, recommend("song-1", expected_sequence=1))
    told = [
        feed_back("e-0", engagement=0.2, occurred_at=NOON + 40 * SECOND),
        feed_back("e-1", engagement=None, rating=1, occurred_at=NOON + 50 * SECOND),
        feed_back("e-2", engagement=0.9, occurred_at=NOON + 60 * SECOND),
    ]

    for index in [*order, *order]:
        write(engine, told[index])
    with engine.begin() as sql:
        play = sql.execute(select(plays.c.engagement, plays.c.rating, plays.c.played_at)).one()
        assert len(sql.scalars(select(feedback.c.event_id)).all()) == 3
    assert tuple(play) == (0.9, 1, NOON)


def test_seconds_played_over_the_duration_are_the_engagement_never_above_1(engine: Engine) -> None:
    write(engine, start())
    write(engine, recommend("song-1", "song-2", expected_sequence=1))
    write(engine, feed_back("e-1", engagement=None, played_seconds=50.0))
    write(engine, feed_back("e-2", about=token("song-2"), engagement=None, played_seconds=999.0))

    with engine.begin() as sql:
        assert sql.scalars(select(plays.c.engagement).order_by(plays.c.position)).all() == [0.25, 1.0]


def test_the_song_began_as_long_before_the_feedback_as_it_was_heard(engine: Engine) -> None:
    write(engine, start())
    write(engine, recommend("song-1", expected_sequence=1))
    write(engine, feed_back(engagement=None, played_seconds=50.0, occurred_at=NOON + 55 * SECOND))

    with engine.begin() as sql:
        assert sql.scalar(select(plays.c.played_at)) == NOON + 5 * SECOND


def test_an_event_from_the_future_occurred_when_it_came(engine: Engine) -> None:
    write(engine, start())
    write(engine, recommend("song-1", expected_sequence=1))
    write(engine, feed_back(at=NOON + MINUTE, occurred_at=NOON + 999 * MINUTE))

    with engine.begin() as sql:
        assert sql.scalar(select(feedback.c.occurred_at)) == NOON + MINUTE


def test_the_same_event_id_with_another_engagement_is_a_conflict(engine: Engine) -> None:
    write(engine, start())
    write(engine, recommend("song-1", expected_sequence=1))
    write(engine, feed_back(engagement=0.5))

    with pytest.raises(IdConflict):
        write(engine, feed_back(engagement=0.6))


def test_feedback_on_a_row_that_never_came_is_taken_from_the_token(engine: Engine) -> None:
    songs = [SongRecord(Song(song_id="song-5", artist="Ann", duration_seconds=100.0), None)]
    with engine.begin() as sql:
        ImportSongs(songs=songs, embeddings={}, at=NOON, actor="test")(sql)
    write(engine, start())
    write(engine, recommend("song-1", expected_sequence=1))
    late = token("song-5", position=0, offered_at=NOON + 1)
    write(engine, feed_back("e-1", about=late, engagement=None, played_seconds=50.0))
    write(engine, feed_back("e-2", about=late, engagement=None, rating=0))

    with engine.begin() as sql:
        rows = sql.execute(
            select(recommendations.c.position, recommendations.c.song_id).order_by(recommendations.c.position)
        ).all()
        play = sql.execute(select(plays)).one()
    assert [tuple(row) for row in rows] == [(0, "song-1"), (1, "song-5")]
    assert (play.position, play.engagement, play.rating) == (1, 0.5, 0)


def test_seconds_of_a_song_without_a_duration_are_refused_and_leave_nothing(engine: Engine) -> None:
    write(engine, start())

    with pytest.raises(DataError, match=r"^played_seconds: expected .*'song-5'.*; got 9$"):
        write(engine, feed_back(about=token("song-5"), engagement=None, played_seconds=9.0))
    with engine.begin() as sql:
        assert sql.execute(select(recommendations)).all() == []


def test_feedback_in_a_session_that_is_not_there_is_refused(engine: Engine) -> None:
    write(engine, start())

    with pytest.raises(UnknownSession):
        write(engine, feed_back(about=token(session_id="s-7")))
