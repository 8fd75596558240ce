"""Every hostile history is legal listening, says what its case says, and holds nobody's data."""

import numpy as np
import pytest

from models.context import ClockField, ContextSchema, NumberField
from models.listening import Listening, Mode, Population
from models.standing import anchors
from models.tokens import tokenise
from training.standing import current_modes
from training.stress.histories import CASES, Hostile, hostile_histories, in_mode

SONGS, FAR = np.arange(100, 400), np.arange(900, 920)
CONTEXT = ContextSchema(fields=(ClockField(name="local_time"), NumberField(name="pulse", low=40, high=200)))
POPULATIONS_AND_MODES = len(Population) * len(Mode)


@pytest.fixture(scope="module")
def made() -> Hostile:
    return hostile_histories(CASES, SONGS, FAR, CONTEXT, draws=2, rng=np.random.default_rng(0))


def histories_of(made: Hostile, name: str) -> Listening:
    place = [case.name for case in CASES].index(name)
    return made.listening.select(np.flatnonzero(made.case == place))


def test_every_case_is_drawn_for_every_mode_and_population(made: Hostile):
    each = set(zip(made.case, current_modes(made.listening), made.listening.population, strict=True))

    assert len(made.case) == 2 * len(CASES) * POPULATIONS_AND_MODES
    assert len(each) == len(CASES) * POPULATIONS_AND_MODES


def test_every_history_can_be_tokenised(made: Hostile):
    tokens = tokenise(made.listening, CONTEXT)

    assert np.isfinite(tokens.features).all()
    assert (made.listening.token_counts >= 1).all()


def test_songs_come_from_the_catalogue_and_far_ones_from_the_far(made: Hostile):
    far = histories_of(made, "far songs heard")

    assert set(made.listening.song) <= {*SONGS, *FAR}
    assert set(far.song) <= set(FAR)
    assert (np.diff(far.play_start[far.session_start]) > 0).all()


@pytest.mark.parametrize(("valence", "arousal"), [(0, 0), (0, 1), (1, 0), (1, 1), (0.5, 0.5)])
def test_a_corner_begins_its_session_with_that_report(made: Hostile, valence: float, arousal: float):
    corner = histories_of(made, f"reports valence {valence:g}, arousal {arousal:g}")
    anchor, reported = anchors(corner, np.full((corner.listener_count, 2), np.nan))

    assert reported.all()
    assert (anchor == [valence, arousal]).all()


def test_a_cold_start_knows_nothing(made: Hostile):
    cold = histories_of(made, "cold start")

    assert cold.play_count == 0
    assert np.isnan(cold.before).all()


def test_a_thousand_events_are_a_thousand_songs(made: Hostile):
    long = histories_of(made, "a thousand events")

    assert (np.diff(long.play_start[long.session_start]) == 1000).all()


def test_a_week_of_one_song_knows_no_other(made: Hostile):
    week = histories_of(made, "a week of one song")
    begin = week.play_start[week.session_start]

    assert all(len(set(week.song[begin[b] : begin[b + 1]])) == 1 for b in range(week.listener_count))
    assert np.ptp(week.started_at[:8]) == 7 * 86_400


def test_missing_signals_are_missing(made: Hostile):
    silent = histories_of(made, "missing signals")

    assert silent.play_count
    assert np.isnan(silent.feedback).all()
    assert np.isnan(silent.before).all()


def test_all_dislikes_are_dislikes(made: Hostile):
    assert (histories_of(made, "all dislikes").rating == 0).all()


def test_a_switched_session_began_in_another_mode_than_its_last_song(made: Hostile):
    switched = histories_of(made, "mode switched in mid-session")
    last = switched.session_start[1:] - 1

    assert (switched.mode[last] != current_modes(switched)).all()
    assert (switched.mode[last] == switched.play_mode[switched.play_start[last]]).all()


def test_contradictory_reports_jump_from_song_to_song(made: Hostile):
    torn = histories_of(made, "contradictory reports")
    reports = torn.report[~np.isnan(torn.report[:, 0])].reshape(torn.listener_count, -1, 2)

    assert (np.abs(np.diff(reports, axis=1)) == 1).all()


def test_the_same_generator_gives_the_same_histories():
    first, again = (
        hostile_histories(CASES, SONGS, FAR, CONTEXT, draws=1, rng=np.random.default_rng(7)) for _ in range(2)
    )

    assert np.array_equal(first.listening.song, again.listening.song)


def test_a_listener_can_be_asked_what_if_they_had_wanted_another_mode(made: Hostile):
    wanted = np.full(made.listening.listener_count, Mode.SLEEP)
    asked = in_mode(made.listening, wanted)

    assert (current_modes(asked) == Mode.SLEEP).all()
    assert np.array_equal(asked.song, made.listening.song)
