"""The only tokeniser: listening columns → token arrays, the same in training and in serving.

A session gives one boundary token, which carries the report before listening; each play gives one token,
which carries its feedback; the report at a session's end is the feedback of its last play (AMRS §3.2). Every
play token also repeats its session's report and how many plays came before it in the session (a departure
from the paper's tokens: SCIENCE calls it "carry").

Causal by position: what stands later in the history never changes an earlier token. A late report or rating
changes the token of the play it belongs to, and is then the same as if it had come in time.

Legend: B listeners · T tokens of all listeners together · L tokens of one window · F features of a token
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray

from models.context import ContextSchema
from models.listening import NO_SONG, Listening, Mode, Population

TOKENISER_VERSION: Final = 1
"""Rises whenever the same listening would give other tokens; a bundle names the one it was trained with."""

SIGNAL_FEATURES: Final = slice(0, 4)
"""Where the four signals stand among the features, in `Signal` order; 0 where absent."""
PRESENT_FEATURES: Final = slice(4, 8)
"""Where the four presence bits stand."""
BOUNDARY_FEATURE: Final = 8
"""1 on a session's boundary token, 0 on a play."""

_MODE_FEATURES: Final = slice(9, 13)
_POPULATION_FEATURES: Final = slice(13, 15)
CARRIED_FEATURES: Final = slice(15, 18)
"""The report before the session, repeated on its plays, and whether there is one."""
_PLAYS_FEATURE: Final = 18
_HOURS_FEATURE: Final = 19
"""The last; the context's features follow."""

_MODES: Final = np.array([Mode.ENERGIZE, Mode.FOCUS, Mode.CALM, Mode.SLEEP])
_POPULATIONS: Final = np.array([Population.CLINICAL, Population.CONSUMER])
_FIXED_NAMES: Final = (
    *("engagement", "rating", "valence", "arousal"),
    *("has_engagement", "has_rating", "has_valence", "has_arousal"),
    "boundary",
    *(f"mode_{Mode(mode).label}" for mode in _MODES),
    *(f"population_{Population(population).label}" for population in _POPULATIONS),
    *("carried_valence", "carried_arousal", "carried_present"),
    "plays_before",
    "hours_since_session",
)
_PLAYS_CAP: Final = 50
"""Plays before this one are counted up to here, so that a history cut short in memory gives the same tokens."""
_HOURS_CAP: Final = 24.0 * 30


def feature_names(context: ContextSchema) -> tuple[str, ...]:
    """Return the name of every feature of a token, in order."""
    return _FIXED_NAMES + context.feature_names


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Tokens:
    """One window of tokens for each of B listeners, left-aligned; what stands beyond `length` is padding."""

    song: Int[ndarray, "B L"]
    """Song keys; `NO_SONG` on boundaries and padding."""
    features: Float[ndarray, "B L F"]
    length: Int[ndarray, " B"]

    @property
    def ends_with_play(self) -> Bool[ndarray, " B"]:
        """Whether the last token is a play: then the affect estimate is the world model's (SAFETY)."""
        last = np.maximum(self.length - 1, 0)
        if self.song.shape[1] == 0:
            return np.zeros(len(self.length), bool)
        return np.asarray((self.length > 0) & (self.song[np.arange(len(last)), last] != NO_SONG))

    @property
    def previous(self) -> Int[ndarray, " B"]:
        """How many tokens stand before the last play, where the window ends with one; else its length."""
        return self.length - self.ends_with_play


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TokenColumns:
    """Every token of every listener, one after another; listener b's are `start[b]:start[b + 1]`."""

    song: Int[ndarray, " T"]
    features: Float[ndarray, "T F"]
    start: Int[ndarray, " B1"]

    @property
    def targets(self) -> Float[ndarray, "T 4"]:
        """The feedback to predict at each token, NaN where nothing is to be predicted.

        The report before a session is input, never a target (AMRS §3.3).
        """
        observed = (self.features[:, PRESENT_FEATURES] > 0) & (self.features[:, [BOUNDARY_FEATURE]] == 0)
        return np.where(observed, self.features[:, SIGNAL_FEATURES], np.float32(np.nan))

    def windows(self, first: Int[ndarray, " b"], length: Int[ndarray, " b"]) -> Tokens:
        """Return windows of the flat columns; `first` counts tokens of all listeners together."""
        width = int(length.max(initial=0))
        offsets = np.arange(width)
        inside = offsets < length[:, None]  # (b, L)
        rows = np.where(inside, first[:, None] + offsets, 0)
        if not len(self.song):
            song = np.full(rows.shape, NO_SONG)
            features = np.zeros((*rows.shape, self.features.shape[1]), np.float32)
        else:
            song = np.where(inside, self.song[rows], NO_SONG)
            features = np.where(inside[..., None], self.features[rows], np.float32(0))
        return Tokens(song=song, features=features, length=length)

    def latest(self, lookback: int) -> Tokens:
        """Return the last `lookback` tokens of each listener: what a bundle is shown."""
        length = np.minimum(np.diff(self.start), lookback)
        return self.windows(self.start[1:] - length, length)


def tokenise(listening: Listening, context: ContextSchema) -> TokenColumns:
    """Return the tokens of every listener, oldest first; total over every legal history."""
    play_session = listening.session_of_play  # (P,)
    session_listener = listening.listener_of_session  # (S,)
    boundary_at = np.arange(listening.session_count) + listening.play_start[:-1]  # (S,)
    play_at = np.arange(listening.play_count) + play_session + 1  # (P,)
    token_count = listening.session_count + listening.play_count

    session_of_token = np.empty(token_count, np.int64)
    session_of_token[boundary_at] = np.arange(listening.session_count)
    session_of_token[play_at] = play_session

    song = np.full(token_count, NO_SONG)
    song[play_at] = listening.song

    signals = np.full((token_count, 4), np.nan, np.float32)
    signals[play_at] = listening.feedback
    signals[boundary_at, 2:] = listening.before
    present = ~np.isnan(signals)

    mode = listening.mode[session_of_token]
    mode[play_at] = listening.play_mode
    population = listening.population[session_listener[session_of_token]]

    carried = listening.before[session_of_token]
    carried_present = ~np.isnan(carried)
    plays_before = np.zeros(token_count)
    plays_before[play_at] = np.arange(listening.play_count) - listening.play_start[play_session]

    features = np.empty((token_count, len(_FIXED_NAMES) + context.feature_count), np.float32)
    features[:, SIGNAL_FEATURES] = np.where(present, signals, 0)
    features[:, PRESENT_FEATURES] = present
    features[:, BOUNDARY_FEATURE] = song == NO_SONG
    features[:, _MODE_FEATURES] = mode[:, None] == _MODES
    features[:, _POPULATION_FEATURES] = population[:, None] == _POPULATIONS
    features[:, CARRIED_FEATURES] = np.column_stack([np.where(carried_present, carried, 0), carried_present[:, 0]])
    features[:, _PLAYS_FEATURE] = np.log1p(np.minimum(plays_before, _PLAYS_CAP)) / np.log1p(_PLAYS_CAP)
    features[:, _HOURS_FEATURE] = _hours_since_session(listening, session_listener)[session_of_token]
    features[:, _HOURS_FEATURE + 1 :] = context.features(listening.context)[session_of_token]
    return TokenColumns(
        song=song, features=features, start=np.concatenate([[0], np.cumsum(listening.token_counts)])
    )


def _hours_since_session(listening: Listening, listener: Int[ndarray, " S"]) -> Float[ndarray, " S"]:
    """Return the log-scaled time since the listener's session before, in [0, 1]; 0 for the first."""
    if not listening.session_count:
        return np.zeros(0)
    hours = np.diff(listening.started_at, prepend=listening.started_at[:1]) / 3600.0
    hours[np.diff(listener, prepend=-1) != 0] = 0.0
    return np.asarray(np.log1p(np.clip(hours, 0.0, _HOURS_CAP)) / np.log1p(_HOURS_CAP))
