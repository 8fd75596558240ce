"""The production policy keeps its playback rules, follows tags and taste, and is blind to affect."""

import numpy as np

from models.listening import Mode
from training.platform.simulate import Simulation


def plays_of(simulation: Simulation, listener: int) -> np.ndarray:
    first = simulation.schedule.first_play
    return np.arange(first[listener], first[listener + 1])


def test_no_song_comes_back_within_forty_plays(simulation: Simulation) -> None:
    for listener in range(simulation.size.listener_count):
        heard = simulation.song[plays_of(simulation, listener)]
        for back in range(1, 41):
            assert not np.any(heard[back:] == heard[:-back])


def test_the_genre_of_a_skipped_song_stays_away_for_eight_plays(simulation: Simulation) -> None:
    skipped_count = 0
    for listener in range(simulation.size.listener_count):
        plays = plays_of(simulation, listener)
        genre = simulation.songs.cluster[simulation.song[plays]]
        for place in np.flatnonzero(simulation.engagement[plays] < simulation.parameters.production.skipped):
            assert genre[place] not in genre[place + 1 : place + 9]
            skipped_count += 1
    assert skipped_count > 100


def test_songs_out_of_rotation_are_never_played(simulation: Simulation) -> None:
    assert simulation.songs.in_rotation[simulation.song].all()
    assert not simulation.songs.in_rotation.all()


def test_calm_sessions_are_given_quieter_tags_than_energising_ones(simulation: Simulation) -> None:
    mode = simulation.schedule.mode[simulation.schedule.session_of_play]
    tag = simulation.songs.tags[simulation.song, 1]

    assert tag[mode == Mode.ENERGIZE].mean() > tag[mode == Mode.CALM].mean() + 0.5


def test_exposure_is_biased_towards_what_listeners_like(simulation: Simulation) -> None:
    """The mean liking of uniform songs is 0."""
    assert simulation.liking.mean() > 0.2


def test_choices_ignore_what_listeners_report(simulation: Simulation) -> None:
    """Of plays in one mode, the pre-session report says nothing about the tags chosen."""
    schedule = simulation.schedule
    energise = schedule.mode[schedule.session_of_play] == Mode.ENERGIZE
    report = simulation.before[schedule.session_of_play[energise], 1]
    tag = simulation.songs.tags[simulation.song[energise], 1]

    assert abs(np.corrcoef(report, tag)[0, 1]) < 0.15
