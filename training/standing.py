"""Where listeners stand when the next song is chosen, read off their listening: the guardrails' `Standing`.

The estimate is the world model's prediction for the last play from the history before it. Where the listener's
own word is newer (before a session's first play, or after a song they reported on) it is what the model expects
of the average song, so that both ends of a step come from the same model and know the same. The anchor is the
last report of the session; without one, the population's prior (SAFETY, Words).

Legend: B listeners · M ensemble members · R songs offered lately · N songs · last axis 2: valence, arousal
"""

from typing import Final

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray

from models.catalogue import Catalogue
from models.guardrails import AFFECT, GuardrailTable, Standing
from models.listening import NO_SONG, Listening, Population
from training.trained import World, WorldStates

RECENT_SONGS: Final = 64
"""How many of the songs offered lately are looked at; above every song gap."""
_HOUR_SECONDS: Final = 3600.0


def last_plays(listening: Listening) -> Int[ndarray, " B"]:
    """Return the place of the last play of each listener's last session; -1 before its first play."""
    last = listening.session_start[1:] - 1
    end = listening.play_start[last + 1]
    return np.where(end > listening.play_start[last], end - 1, -1)


def current_modes(listening: Listening) -> Int[ndarray, " B"]:
    """Return the mode in force for each listener: that of the last play, or in which the session began."""
    play = last_plays(listening)
    mode = listening.mode[listening.session_start[1:] - 1].copy()
    mode[play >= 0] = listening.play_mode[play[play >= 0]]
    return mode


def last_songs(listening: Listening) -> Int[ndarray, " B"]:
    """Return the key of the last song of each listener's last session; `NO_SONG` before its first play."""
    play = last_plays(listening)
    song = np.full(listening.listener_count, NO_SONG)
    song[play >= 0] = listening.song[play[play >= 0]]
    return song


def last_reports(listening: Listening) -> Float[ndarray, "B 2"]:
    """Return what was reported after the last song of each listener's last session; NaN where nothing was."""
    play = last_plays(listening)
    report = np.full((listening.listener_count, 2), np.nan)
    report[play >= 0] = listening.feedback[play[play >= 0], AFFECT]
    return report


def anchors(
    listening: Listening, prior: Float[ndarray, "B 2"]
) -> tuple[Float[ndarray, "B 2"], Bool[ndarray, " B"]]:
    """Return the last report of each listener's last session, and whether there is one; else the prior."""
    last = listening.session_start[1:] - 1
    begin, end = listening.play_start[last], listening.play_start[last + 1]
    affect = listening.feedback[:, AFFECT]
    reported_at = np.where(np.isnan(affect[:, 0]), -1, np.arange(listening.play_count))
    latest = np.concatenate([[-1], np.maximum.accumulate(reported_at)])[end]  # (B,)
    after_song = latest >= begin
    anchor = np.where(
        after_song[:, None], affect[np.maximum(latest, 0)] if len(affect) else np.nan, listening.before[last]
    )
    reported = ~np.isnan(anchor[:, 0])
    return np.where(reported[:, None], anchor, prior).astype(np.float64), reported


def standing_of(
    listening: Listening,
    states: WorldStates,
    world: World,
    catalogue: Catalogue,
    table: GuardrailTable,
    now: Float[ndarray, " B"],
) -> Standing:
    """Return where each listener stands.

    Args:
        listening: every listener has a session.
        states: of the world models over this very listening.
        world: predicts the last play.
        catalogue: knows the artists.
        table: knows the priors.
        now: Unix seconds.
    """
    prior = np.array([table.prior_for(Population(each)) for each in listening.population])
    anchor, reported = anchors(listening, prior)
    last = catalogue.rows(last_songs(listening))
    after_play = world.predicted(states.before_last_play, last[:, None])[:, :, 0, AFFECT]  # (B, M, 2)
    average_song = world.predicted_average(states.now)[..., AFFECT]  # (B, M, 2)
    said_last = (last == NO_SONG) | ~np.isnan(last_reports(listening)[:, 0])
    estimate = np.where(said_last[:, None, None], average_song, after_play)
    song, hours = recent_songs(listening, now)
    rows = catalogue.rows(song)
    return Standing(
        estimate=estimate.astype(np.float64),
        anchor=anchor,
        reported=reported,
        recent_song=song,
        recent_artist=np.where(rows == NO_SONG, NO_SONG, catalogue.artists[rows]),
        recent_hours=hours,
    )


def recent_songs(
    listening: Listening, now: Float[ndarray, " B"]
) -> tuple[Int[ndarray, "B R"], Float[ndarray, "B R"]]:
    """Return the keys of each listener's latest songs, the last first, and hours since each was played."""
    begin = listening.play_start[listening.session_start]
    play = begin[1:, None] - 1 - np.arange(RECENT_SONGS)  # (B, R)
    there = play >= begin[:-1, None]
    play = np.where(there, play, 0)
    if not listening.play_count:
        return np.full(play.shape, NO_SONG), np.zeros(play.shape)
    began = np.where(
        np.isnan(listening.played_at), listening.started_at[listening.session_of_play], listening.played_at
    )
    song = np.where(there, listening.song[play], NO_SONG)
    hours = np.where(there, (now[:, None] - began[play]) / _HOUR_SECONDS, 0.0)
    return song, hours
