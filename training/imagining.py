"""Imagining: what world models predict of a logged song when the songs just before it were imagined.

Rollouts believe their own predictions: an imagined song enters the history with its predicted engagement and
nothing else. Here the logged songs themselves are rolled forward like that, from every play of a session on, so
that each prediction at a rollout's step h can be held against a label that somebody gave. Step 1 has nothing
imagined before it. A roll ends with the session: beyond it stands a report, and that is no imagination.

Legend: T tokens of all listeners · B rolls · b rolls still going · H steps · L tokens of a window · E predictions
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Final

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from models.affect import Signal
from models.listening import NO_SONG
from models.tokens import PRESENT_FEATURES, SIGNAL_FEATURES
from training.tasks import Advance
from training.trained import WorldOver
from training.windows import Histories

SESSIONS_EACH: Final = 20
"""Sessions of one listener that are rolled: bounds the work, since each listener counts once in the end."""
_ROLLS_AT_ONCE: Final = 1024
"""Bounds memory; changes no number."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Imagined:
    """E predictions of logged songs, each at its step."""

    listener: Int[ndarray, " E"]
    token: Int[ndarray, " E"]
    """The place of the song's play among all tokens."""
    step: Int[ndarray, " E"]
    """1 plus the number of songs imagined before it."""
    predicted: Float[ndarray, "E 4"]
    """The ensemble's mean, in `Signal` order."""
    label: Float[ndarray, "E 4"]
    """What was observed; NaN where nothing was."""

    @property
    def error(self) -> Float[ndarray, "E 4"]:
        """How far each prediction lies from its label; NaN without one."""
        return np.abs(self.predicted - self.label)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Rolls:
    """Where songs are rolled forward from."""

    listener: Int[ndarray, " B"]
    first: Int[ndarray, " B"]
    """The token of the first song."""
    stop: Int[ndarray, " B"]
    """The token after the session's last song."""

    def __len__(self) -> int:
        return len(self.first)

    def take(self, rows: slice | Int[ndarray, " b"]) -> "_Rolls":
        return _Rolls(listener=self.listener[rows], first=self.first[rows], stop=self.stop[rows])


def imagine_logged(
    histories: Histories,
    world: WorldOver,
    listeners: Int[ndarray, " n"],
    *,
    lookback: int,
    step_count: int,
    advance: Advance = lambda _: None,
) -> Imagined:
    """Return the predictions of logged songs of the given listeners, rolled forward from every play of a session.

    Args:
        histories: whose targets are the labels.
        world: the world models over the histories' songs.
        listeners: whose sessions are rolled; of more than `SESSIONS_EACH`, as many, evenly spread.
        lookback: how many tokens the models are shown.
        step_count: H.
        advance: told from how many more plays songs were rolled.
    """
    rolls = _rolls(histories, listeners)
    parts = []
    for begin in range(0, len(rolls), _ROLLS_AT_ONCE):
        part = rolls.take(slice(begin, begin + _ROLLS_AT_ONCE))
        parts += _roll(histories, world, part, lookback=lookback, step_count=step_count)
        advance(len(part))
    return joined(parts)


def _rolls(histories: Histories, listeners: Int[ndarray, " n"]) -> _Rolls:
    """Return one roll for every play of the chosen sessions."""
    owner, first, stop = [[np.zeros(0, np.int64)] for _ in range(3)]
    for listener in listeners:
        begin, end = histories.columns.start[listener : listener + 2]
        boundary = begin + np.flatnonzero(histories.song_row[begin:end] == NO_SONG)
        session_end = np.append(boundary[1:], end)
        spread = np.linspace(0, len(boundary) - 1, min(len(boundary), SESSIONS_EACH)).round().astype(np.int64)
        for session in spread:
            plays = np.arange(boundary[session] + 1, session_end[session])
            owner.append(np.full(len(plays), listener))
            first.append(plays)
            stop.append(np.full(len(plays), session_end[session]))
    return _Rolls(listener=np.concatenate(owner), first=np.concatenate(first), stop=np.concatenate(stop))


def _roll(
    histories: Histories, world: WorldOver, rolls: _Rolls, *, lookback: int, step_count: int
) -> list[Imagined]:
    """Return the predictions of some rolls, one part for each step."""
    parts = []
    engagement = np.full((len(rolls), step_count), np.nan, np.float32)
    for step in range(step_count):
        going_on = np.flatnonzero(rolls.first + step < rolls.stop)
        here = rolls.take(going_on)
        token = here.first + step
        rows, features, length = _before(histories, here.listener, token, engagement[going_on, :step], lookback)
        states = world.states_after(rows, features, length[:, None])[:, 0]
        predicted = world.predicted(states, histories.song_row[token][:, None]).mean(axis=1)[:, 0]  # (b, 4)
        engagement[going_on, step] = predicted[:, Signal.ENGAGEMENT]
        parts.append(
            Imagined(
                listener=here.listener,
                token=token,
                step=np.full(len(token), step + 1),
                predicted=predicted,
                label=histories.targets[token],
            )
        )
        if not np.any(token + 1 < here.stop):
            break
    return parts


def _before(
    histories: Histories,
    listener: Int[ndarray, " b"],
    token: Int[ndarray, " b"],
    engagement: Float[ndarray, "b h"],
    lookback: int,
) -> tuple[Int[ndarray, "b L"], Float[ndarray, "b L F"], Int[ndarray, " b"]]:
    """Return what the models are shown before each token, its last h songs imagined: rows, features, lengths."""
    length = np.minimum(token - histories.columns.start[listener], lookback)
    first = token - length
    features = histories.columns.windows(first, length).features.copy()  # (b, L, F)
    offsets = np.arange(features.shape[1])
    inside = offsets < length[:, None]
    rows = np.where(inside, histories.song_row[np.where(inside, first[:, None] + offsets, 0)], NO_SONG)
    imagined = engagement.shape[1]
    for number in range(max(0, imagined - lookback), imagined):
        place = length - imagined + number
        features[np.arange(len(token)), place, SIGNAL_FEATURES] = 0.0
        features[np.arange(len(token)), place, PRESENT_FEATURES] = 0.0
        features[np.arange(len(token)), place, SIGNAL_FEATURES.start + Signal.ENGAGEMENT] = engagement[:, number]
        features[np.arange(len(token)), place, PRESENT_FEATURES.start + Signal.ENGAGEMENT] = 1.0
    return rows, features, length


def observed_only(
    histories: Histories, predicted: Float[ndarray, "T 4"], listeners: Int[ndarray, " n"]
) -> Imagined:
    """Return predictions of every song from what was observed: step 1, with nothing imagined.

    Args:
        histories: whose targets are the labels.
        predicted: in `Signal` order; only the rows of the listeners' plays are read.
        listeners: whose songs.
    """
    tokens = histories.tokens_of(listeners)
    owner = np.repeat(listeners, histories.token_counts[listeners])
    is_play = histories.song_row[tokens] != NO_SONG
    token = tokens[is_play]
    return Imagined(
        listener=owner[is_play],
        token=token,
        step=np.ones(len(token), np.int64),
        predicted=predicted[token],
        label=histories.targets[token],
    )


def joined(parts: Sequence[Imagined]) -> Imagined:
    """Return the predictions of all parts."""
    if not parts:
        nothing, none = np.zeros((0, 4), np.float32), np.zeros(0, np.int64)
        return Imagined(listener=none, token=none, step=none, predicted=nothing, label=nothing)
    names = [field.name for field in fields(Imagined)]
    return Imagined(**{name: np.concatenate([getattr(part, name) for part in parts]) for name in names})
