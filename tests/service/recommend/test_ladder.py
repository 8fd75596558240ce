"""What is on each rung: the policy's nearest songs on two, people's lists on two, and never an excluded one."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.bundle import Bundle
from models.guardrails import Candidates, Rung
from models.ladder import LADDER, WIDER
from models.listening import Mode, song_key
from service.live.engine import Engine, open_engine
from service.memory.state import Blocks
from service.recommend.encode import encode
from service.recommend.ladder import Ladder
from service.recommend.stopwatch import Stopwatch
from tests.bundles import SONG_COUNT, make_catalogue
from tests.service.recommend.situation import newcomer, regular, view_of

K = 6


@pytest.fixture(scope="module")
def engine(tiny_bundle: Bundle) -> Engine:
    """The tiny bundle, its policy proposing six songs."""
    few = replace(tiny_bundle, manifest=tiny_bundle.manifest.model_copy(update={"candidate_count": K}))
    return open_engine(few, make_catalogue())


def ladder(engine: Engine, *views, excluded: list[int] = []) -> Ladder:  # noqa: B006  never changed
    return Ladder(
        engine=engine,
        views=views,
        encoded=encode(engine, [view.listening for view in views]),
        excluded=[np.array(excluded, np.int64)] * len(views),
        watch=Stopwatch(),
    )


def on(engine: Engine, rung: Rung, view, excluded: list[int] = []) -> Candidates:  # noqa: B006  never changed
    (found,) = ladder(engine, view, excluded=excluded).propose(rung, [0])
    return found


def rows_of(engine: Engine, found: Candidates) -> list[int]:
    return engine.catalogue.rows(found.song[0]).tolist()


def safe(*rows: int):
    keys = np.array([song_key(f"song-{row}") for row in rows], np.int64)
    return view_of(newcomer(), known_safe=lambda: keys)


EXCLUDED = st.lists(st.integers(0, SONG_COUNT - 1), max_size=SONG_COUNT, unique=True)


@settings(max_examples=40)
@given(excluded=EXCLUDED, seed=st.integers(0, 1000), rung=st.sampled_from(LADDER))
def test_no_rung_holds_an_excluded_song_or_a_song_twice(engine: Engine, excluded, seed, rung):
    view = view_of(regular(engine, [4], seed), known_safe=lambda: engine.catalogue.keys[:20])

    rows = rows_of(engine, on(engine, rung, view, excluded))

    assert not set(rows) & set(excluded)
    assert len(set(rows)) == len(rows)


@settings(max_examples=40)
@given(excluded=EXCLUDED, seed=st.integers(0, 1000))
def test_the_policys_rungs_hold_the_nearest_songs_that_are_left_the_second_four_times_as_many(
    engine: Engine, excluded, seed
):
    view = view_of(regular(engine, [4], seed))
    left = SONG_COUNT - len(excluded)

    first, second = (on(engine, rung, view, excluded) for rung in (Rung.POLICY, Rung.WIDER))

    cosines = engine.vectors.index_rows @ encode(engine, [view.listening]).query[0]
    nearest = [row for row in np.argsort(-cosines) if row not in excluded]
    assert rows_of(engine, first) == nearest[:K]
    assert rows_of(engine, second) == nearest[: WIDER * K]
    assert (first.song.shape[1], second.song.shape[1]) == (min(K, left), min(WIDER * K, left))


@pytest.mark.parametrize("rung", LADDER)
def test_on_every_rung_the_scores_fall_so_that_the_first_is_wanted_most(engine: Engine, rung: Rung):
    found = on(engine, rung, safe(*range(20)))

    assert (np.diff(found.score[0]) < 0).all()


def test_known_safe_songs_stand_as_they_were_given_and_no_more_than_the_policy_proposes(engine: Engine):
    assert rows_of(engine, on(engine, Rung.KNOWN_SAFE, safe(9, 2, 30))) == [9, 2, 30]
    assert rows_of(engine, on(engine, Rung.KNOWN_SAFE, safe(*range(40, 20, -1)))) == list(range(40, 40 - K, -1))


def test_an_excluded_song_takes_no_place_of_a_list(engine: Engine):
    assert rows_of(engine, on(engine, Rung.KNOWN_SAFE, safe(*range(20)), excluded=[0, 1])) == list(range(2, 2 + K))


def test_known_safe_songs_that_the_catalogue_does_not_hold_are_left_out(engine: Engine):
    assert rows_of(engine, on(engine, Rung.KNOWN_SAFE, safe(9, SONG_COUNT + 1, 2))) == [9, 2]


def test_approved_songs_are_those_of_the_mode_in_the_operators_order(engine: Engine):
    assert rows_of(engine, on(engine, Rung.APPROVED, safe())) == [3, 13, 23]
    assert rows_of(engine, on(engine, Rung.APPROVED, replace(safe(), mode=Mode.SLEEP))) == []


def test_known_safe_songs_are_asked_for_on_their_own_rung_alone(engine: Engine):
    def never() -> np.ndarray:
        raise AssertionError("nobody asked for known-safe songs")

    view = view_of(newcomer(), known_safe=never)

    for rung in (Rung.POLICY, Rung.WIDER, Rung.APPROVED):
        on(engine, rung, view)
    with pytest.raises(AssertionError, match="nobody asked"):
        on(engine, Rung.KNOWN_SAFE, view)


def test_each_gets_their_own_list_and_their_own_blocks(engine: Engine):
    """Of three listeners the first and the last wait on the rung; one has blocked a song that is on it."""
    views = [safe(1, 2), safe(3), replace(safe(4, 5, 6), blocks=Blocks(songs=("song-5",)))]

    first, last = ladder(engine, *views).propose(Rung.KNOWN_SAFE, [0, 2])

    assert (rows_of(engine, first), rows_of(engine, last)) == ([1, 2], [4, 5, 6])
    assert (first.blocked.tolist(), last.blocked.tolist()) == ([[False, False]], [[False, True, False]])
