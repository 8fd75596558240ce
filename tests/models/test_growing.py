"""What grows at its end never changes what was handed out, whoever adds to it, and from wherever."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from models.growing import Growing


def numbers(*values: int) -> np.ndarray:
    return np.array(values, np.int64)


def test_what_is_added_stands_behind_what_was_there():
    assert Growing(numbers(1, 2)).plus(numbers(3)).plus(numbers()).rows.tolist() == [1, 2, 3]


def test_adding_costs_no_copy_while_there_is_room():
    begun = Growing.empty((2,), np.float32, room=10)

    grown = begun.plus(np.ones((3, 2))).plus(np.ones((4, 2)))

    assert np.shares_memory(grown.rows, begun.plus(np.ones((0, 2))).rows) or grown.rows.base is begun.line.buffer


def test_what_follows_continues_and_what_branches_off_does_not():
    begun = Growing(numbers(1))
    one = begun.plus(numbers(2))
    other = begun.plus(numbers(3))

    assert one.continues(begun)
    assert not begun.continues(one)
    assert not other.continues(begun)
    assert (one.rows.tolist(), other.rows.tolist()) == ([1, 2], [1, 3])


@given(st.lists(st.tuples(st.integers(0, 9), st.lists(st.integers(0, 99), max_size=700)), max_size=12))
def test_every_value_stays_as_it_was(steps):
    made = [Growing.empty((), np.int64, room=0)]
    meant: list[list[int]] = [[]]
    for place, added in steps:
        origin = place % len(made)
        made.append(made[origin].plus(numbers(*added)))
        meant.append(meant[origin] + added)

    assert [each.rows.tolist() for each in made] == meant
