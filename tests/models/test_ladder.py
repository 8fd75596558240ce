"""The fallback ladder is walked rung by rung, by those alone who have no song yet."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from jaxtyping import Int
from numpy import ndarray

from models.guardrails import PROPOSED_RUNGS, RUNG_RULES, Rung
from models.ladder import LADDER, WIDER, descend, list_scores, reach
from models.listening import NO_SONG

NEVER = len(LADDER)


@given(st.lists(st.integers(0, NEVER), max_size=6))
def test_everybody_is_asked_for_down_to_the_rung_that_has_a_song_for_them_and_no_further(found_on: list[int]):
    asked: list[list[Rung]] = [[] for _ in found_on]

    def ask(rung: Rung, waiting: Int[ndarray, " b"]) -> Int[ndarray, " b"]:
        assert len(waiting), "nobody waits"
        for place in waiting:
            asked[place].append(rung)
        return np.array([0 if LADDER.index(rung) == found_on[place] else NO_SONG for place in waiting])

    descend(len(found_on), ask)

    assert asked == [list(LADDER[: last + 1]) for last in found_on]


def test_every_rung_but_silence_is_on_the_ladder_in_order_and_knows_what_binds():
    assert (*LADDER, Rung.SILENCE) == tuple(Rung)
    assert set(RUNG_RULES) == set(LADDER)
    assert LADDER[: len(PROPOSED_RUNGS)] == PROPOSED_RUNGS


def test_the_second_rung_looks_at_four_times_as_many_songs_and_no_list_at_more_than_the_first():
    assert WIDER == 4
    assert [reach(rung, 25) for rung in LADDER] == [25, 100, 25, 25]


@given(st.integers(0, 500))
def test_of_a_list_of_people_the_first_scores_highest(count: int):
    assert np.argsort(-list_scores(count), kind="stable").tolist() == list(range(count))
