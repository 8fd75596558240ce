"""A state becomes the columns the models read, and says nothing the listener did not say."""

import numpy as np
from numpy.testing import assert_allclose, assert_array_equal

from models.context import NO_CONTEXT, CategoryField, ClockField, ContextSchema, NumberField
from models.listening import Mode, Population, empty_listener
from service.clock import SECOND
from service.journal.events import Play
from service.memory.listening import to_listening
from service.memory.state import ListenerState, Session

SCHEMA = ContextSchema(
    fields=(
        ClockField(name="local_time"),
        NumberField(name="steps", low=0.0, high=10.0),
        CategoryField(name="weather", values=("rain", "sun")),
    )
)
STATE = ListenerState(
    sequence=9,
    population=Population.CLINICAL,
    sessions=(
        Session(
            1,
            Mode.CALM,
            100 * SECOND,
            (0.25, 0.75),
            (0.5, 0.5),
            {"local_time": "2026-11-20T21:30:00+01:00", "weather": "sun"},
            (
                Play(0, 11, Mode.CALM, 0.5, None, 101 * SECOND),
                Play(2, 12, Mode.SLEEP, None, 1, 102 * SECOND),
            ),
        ),
        Session(7, Mode.FOCUS, 200 * SECOND, None, None, {"steps": 4.0, "gone": 1.0, "weather": "hail"}),
    ),
)


def test_columns_hold_what_the_state_holds() -> None:
    listening = to_listening(STATE, NO_CONTEXT)

    assert_array_equal(listening.population, [Population.CLINICAL])
    assert_array_equal(listening.session_start, [0, 2])
    assert_array_equal(listening.mode, [Mode.CALM, Mode.FOCUS])
    assert_array_equal(listening.started_at, [100.0, 200.0])
    assert_array_equal(listening.play_start, [0, 2, 2])
    assert_array_equal(listening.song, [11, 12])
    assert_array_equal(listening.play_mode, [Mode.CALM, Mode.SLEEP])
    assert_array_equal(listening.played_at, [101.0, 102.0])
    assert listening.context.shape == (2, 0)


def test_what_was_not_said_is_absent() -> None:
    listening = to_listening(STATE, NO_CONTEXT)

    assert_array_equal(listening.engagement, np.array([0.5, np.nan], np.float32))
    assert_array_equal(listening.rating, np.array([np.nan, 1], np.float32))
    assert_array_equal(listening.before, np.array([[0.25, 0.75], [np.nan, np.nan]], np.float32))
    assert_array_equal(listening.after, np.array([[0.5, 0.5], [np.nan, np.nan]], np.float32))
    assert np.isnan(listening.report).all()


def test_context_is_read_by_the_schema_at_hand_and_absent_where_it_cannot_be() -> None:
    listening = to_listening(STATE, SCHEMA)

    assert_allclose(listening.context, [[21.5, np.nan, 1.0], [np.nan, 4.0, np.nan]])


def test_a_listener_not_known_yet_has_an_empty_history() -> None:
    listening, empty = to_listening(ListenerState(), SCHEMA), empty_listener(context_fields=3)

    for name in empty.__dataclass_fields__:
        assert_array_equal(getattr(listening, name), getattr(empty, name))
        assert getattr(listening, name).dtype == getattr(empty, name).dtype
