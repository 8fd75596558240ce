"""Every legal listening, for properties: hypothesis draws the shape and how much is absent, a seed the values."""

import numpy as np
from hypothesis import strategies as st

from models.context import CategoryField, ClockField, ContextSchema, NumberField
from models.listening import Listening, Mode, Population, song_key

CONTEXT = ContextSchema(
    fields=(
        ClockField(name="local_time"),
        NumberField(name="pulse", low=40.0, high=200.0),
        CategoryField(name="weather", values=("sunny", "rainy", "snowy")),
    )
)
"""One field of each kind."""

SONG_KEYS = np.array([song_key(f"song-{place}") for place in range(12)], np.int64)


@st.composite
def listenings(draw: st.DrawFn, *, min_listeners: int = 1, max_listeners: int = 4) -> Listening:
    """Return up to a few listeners with up to a few sessions each; any session may be without plays."""
    plays = st.lists(st.integers(0, 6), max_size=5)
    shapes = draw(st.lists(plays, min_size=min_listeners, max_size=max_listeners))
    present = draw(st.sampled_from([0.0, 0.3, 0.8, 1.0]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    return listeners(rng, shapes, present=present)


def listener(rng: np.random.Generator, plays: list[int], *, present: float = 0.7) -> Listening:
    """Return one listener with so many plays in each session; each value is there with this probability."""
    return listeners(rng, [plays], present=present)


def listeners(rng: np.random.Generator, shapes: list[list[int]], *, present: float = 0.7) -> Listening:
    """Return listeners with so many plays in each of their sessions."""
    plays = [count for shape in shapes for count in shape]
    sessions, total = len(plays), sum(plays)

    def sometimes(values: np.ndarray) -> np.ndarray:
        there = rng.random(len(values)) < present
        return np.where(there.reshape(-1, *[1] * (values.ndim - 1)), values, np.nan).astype(np.float32)

    context = np.column_stack(
        [rng.uniform(0, 24, sessions), rng.uniform(40, 200, sessions), rng.integers(0, 3, sessions)]
    )
    return Listening(
        population=rng.integers(0, len(Population), len(shapes)),
        session_start=np.cumsum([0, *map(len, shapes)]),
        mode=rng.integers(0, len(Mode), sessions),
        started_at=1.7e9 + np.cumsum(rng.exponential(86_400.0, sessions)),
        before=sometimes(rng.random((sessions, 2))),
        after=sometimes(rng.random((sessions, 2))),
        context=sometimes(context),
        play_start=np.cumsum([0, *plays]),
        song=rng.choice(SONG_KEYS, total),
        engagement=sometimes(rng.random(total)),
        rating=sometimes(rng.integers(0, 2, total).astype(np.float64)),
        report=sometimes(rng.random((total, 2))),
        play_mode=rng.integers(0, len(Mode), total),
        played_at=sometimes(1.7e9 + rng.random(total)).astype(np.float64),
    )


def assert_same_listening(one: Listening, other: Listening) -> None:
    """Fail unless every column holds the same values, absent ones included."""
    for name in Listening.__dataclass_fields__:
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name), err_msg=name)
