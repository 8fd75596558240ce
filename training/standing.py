"""Where listeners stand when the next song is chosen, read off their listening: the guardrails' `Standing`.

What they said last, and whether songs came after it, is `models.standing`. Here the world models are asked; the
songs offered lately are those that were played.

Legend: B listeners · M ensemble members · R songs offered lately · N songs · last axis 2: valence, arousal
"""

from typing import Final

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from models.catalogue import Catalogue
from models.guardrails import AFFECT, GuardrailTable, Standing
from models.listening import NO_SONG, Listening
from models.standing import anchors, estimates, have_played_since, last_plays, priors
from training.trained import World, WorldStates

RECENT_SONGS: Final = 64
"""How many of the songs offered lately are looked at; above every song gap."""
_HOUR_SECONDS: Final = 3600.0


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
    anchor, reported = anchors(listening, priors(listening, table))
    of_play = have_played_since(listening)
    last = catalogue.rows(last_songs(listening))
    after_play = world.predicted(states.before_last_play, last[:, None])[:, :, 0, AFFECT]  # (B, M, 2)
    average_song = world.predicted_average(states.now)[..., AFFECT]  # (B, M, 2)
    predicted = np.where(of_play[:, None, None], after_play, average_song)
    song, hours = recent_songs(listening, now)
    rows = catalogue.rows(song)
    return Standing(
        estimate=estimates(predicted, of_play=of_play, last_row=last),
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
