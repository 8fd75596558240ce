"""Sessions meet the platform's size exactly, stand in order, and never share a day."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from training.platform.listeners import draw_listeners
from training.platform.parameters import ListenerParameters, PlatformSize, SessionParameters
from training.platform.schedule import Schedule, draw_schedule


def drawn(listener_count: int, sessions_each: int, plays_each: int, seed: int) -> Schedule:
    rng = np.random.default_rng(seed)
    size = PlatformSize(
        listener_count=listener_count,
        song_count=100,
        session_count=listener_count * sessions_each,
        play_count=listener_count * sessions_each * plays_each,
        positive_rating_count=0,
        negative_rating_count=0,
        end_report_count=0,
    )
    listeners = draw_listeners(listener_count, 8, ListenerParameters(), rng)
    return draw_schedule(listeners, size, SessionParameters(), rng)


platforms = st.builds(drawn, st.integers(1, 60), st.integers(1, 20), st.integers(1, 9), st.integers(0, 2**32 - 1))


@given(platforms)
def test_every_listener_has_a_session_and_every_session_a_play(schedule: Schedule) -> None:
    assert np.diff(schedule.session_start).min() >= 1
    assert np.diff(schedule.session_start).max() <= SessionParameters().sessions_cap
    assert np.diff(schedule.play_start).min() >= 1


@given(platforms)
def test_sessions_rise_in_time_and_lie_on_distinct_days_of_the_listener(schedule: Schedule) -> None:
    same = np.diff(schedule.listener_of_session) == 0

    assert (np.diff(schedule.started_at)[same] > 0).all()
    assert ((schedule.local_hour >= 0) & (schedule.local_hour < 24)).all()


@given(platforms)
def test_stepping_through_the_lanes_meets_every_play_once_and_in_order(schedule: Schedule) -> None:
    lanes = schedule.lanes()
    met = [lanes.first_play[:active] + step for step, active in enumerate(lanes.active_count)]
    owners = [lanes.listeners[:active] for active in lanes.active_count]

    np.testing.assert_array_equal(np.sort(np.concatenate(met)), np.arange(schedule.play_count))
    np.testing.assert_array_equal(schedule.listener_of_play[np.concatenate(met)], np.concatenate(owners))


def test_sessions_per_listener_have_a_heavy_tail() -> None:
    counts = np.diff(drawn(900, 9, 6, seed=0).session_start)

    assert np.median(counts) < 5
    assert counts.max() > 80
