"""Who listens when, for what, and for how many songs: everything about sessions that music does not change.

Sessions and plays are ragged columns, listener by listener, oldest first, as in `models.listening`.

Legend: N listeners · S sessions · P plays · N1, S1 offsets, one more than N, S · T steps
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray

from models.listening import Mode, Population
from training.platform.listeners import Listeners
from training.platform.parameters import FeedbackParameters, PlatformSize, SessionParameters

YEAR_DAYS: Final = 365
FIRST_DAY: Final = 1_735_689_600
"""2025-01-01T00:00:00Z in Unix seconds: the simulated year."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Schedule:
    """Sessions of N listeners, and how many plays each will have."""

    session_start: Int[ndarray, " N1"]
    """Listener n's sessions are `session_start[n]:session_start[n + 1]`."""
    play_start: Int[ndarray, " S1"]
    """Session s's plays are `play_start[s]:play_start[s + 1]`."""
    mode: Int[ndarray, " S"]
    local_hour: Float[ndarray, " S"]
    """The listener's own clock at the session's start, [0, 24)."""
    started_at: Float[ndarray, " S"]
    """Unix seconds, UTC, whole."""

    @property
    def session_count(self) -> int:
        """S."""
        return len(self.mode)

    @property
    def play_count(self) -> int:
        """P."""
        return int(self.play_start[-1])

    @cached_property
    def listener_of_session(self) -> Int[ndarray, " S"]:
        """The listener of each session."""
        listener: Int[ndarray, " S"] = np.repeat(
            np.arange(len(self.session_start) - 1), np.diff(self.session_start)
        )
        return listener

    @cached_property
    def session_of_play(self) -> Int[ndarray, " P"]:
        """The session of each play."""
        session: Int[ndarray, " P"] = np.repeat(np.arange(self.session_count), np.diff(self.play_start))
        return session

    @cached_property
    def listener_of_play(self) -> Int[ndarray, " P"]:
        """The listener of each play."""
        listener: Int[ndarray, " P"] = self.listener_of_session[self.session_of_play]
        return listener

    @cached_property
    def first_play(self) -> Int[ndarray, " N1"]:
        """Listener n's plays are `first_play[n]:first_play[n + 1]`."""
        first: Int[ndarray, " N1"] = self.play_start[self.session_start]
        return first

    @cached_property
    def position(self) -> Int[ndarray, " P"]:
        """The place of each play in its session, from 0."""
        position: Int[ndarray, " P"] = np.arange(self.play_count) - self.play_start[self.session_of_play]
        return position

    @cached_property
    def is_last_play(self) -> Bool[ndarray, " P"]:
        """Whether the play ends its session; every simulated session has at least one play."""
        last = np.zeros(self.play_count, bool)
        last[self.play_start[1:] - 1] = True
        return last

    def start_mean(self, parameters: FeedbackParameters) -> Float[ndarray, "S 2"]:
        """Return where each session starts on average, relative to its listener's baseline."""
        shift = np.column_stack([parameters.mode_valence, parameters.mode_arousal])[self.mode]
        day = np.cos(2 * np.pi * (self.local_hour - 15) / 24)
        mean: Float[ndarray, "S 2"] = shift + np.outer(day, [0.0, parameters.circadian_arousal])
        return mean

    def lanes(self) -> "Lanes":
        """Return the plays arranged for stepping through all listeners at once."""
        counts = np.diff(self.first_play)
        order = np.argsort(-counts, kind="stable")
        descending = counts[order]
        steps = np.arange(descending[0] if len(descending) else 0)
        return Lanes(
            listeners=order,
            first_play=self.first_play[:-1][order],
            active_count=np.searchsorted(-descending, -steps, side="left"),
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Lanes:
    """Listeners by falling play count, so that those still listening at step t are the first of them."""

    listeners: Int[ndarray, " N"]
    first_play: Int[ndarray, " N"]
    active_count: Int[ndarray, " T"]
    """How many listeners have more than t plays."""


def draw_schedule(
    listeners: Listeners, size: PlatformSize, parameters: SessionParameters, rng: np.random.Generator
) -> Schedule:
    """Return sessions whose numbers meet the platform's size exactly."""
    count = listeners.listener_count
    session_counts = _share_out(
        rng.lognormal(0, parameters.sessions_log_spread, count), size.session_count, parameters.sessions_cap
    )
    session_start = np.concatenate([[0], np.cumsum(session_counts)])
    owner = np.repeat(np.arange(count), session_counts)
    play_counts = _draw_play_counts(size, parameters, rng)

    clinical = (listeners.population == Population.CLINICAL)[owner]
    mode = np.where(
        clinical,
        rng.choice(len(Mode), size.session_count, p=parameters.mode_share_clinical),
        rng.choice(len(Mode), size.session_count, p=parameters.mode_share_consumer),
    )
    hour = np.array(parameters.mode_hour)[mode] + rng.normal(0, parameters.hour_spread, size.session_count)
    second = np.floor(hour % 24 * 3600)  # of the local day
    utc_offset = rng.choice([-8, -7, -6, -5, 0, 1], count)[owner]
    return Schedule(
        session_start=session_start,
        play_start=np.concatenate([[0], np.cumsum(play_counts)]),
        mode=mode,
        local_hour=second / 3600,
        started_at=FIRST_DAY + 86_400 * _draw_days(session_counts, rng) + second - 3600 * utc_offset,
    )


def _share_out(weights: Float[ndarray, " N"], total: int, cap: int) -> Int[ndarray, " N"]:
    """Return whole numbers from 1 to `cap` that sum to `total`, as proportional to the weights as can be."""
    low, high = 0.0, total / weights.min()
    for _ in range(100):
        scale = (low + high) / 2
        if np.clip(scale * weights, 1, cap).sum() < total:
            low = scale
        else:
            high = scale
    shares = np.clip(high * weights, 1, cap)
    counts: Int[ndarray, " N"] = np.floor(shares + 1e-9).astype(np.int64)
    missing = total - int(counts.sum())
    counts[np.argsort(counts - shares, kind="stable")[:missing]] += 1
    return counts


def _draw_play_counts(
    size: PlatformSize, parameters: SessionParameters, rng: np.random.Generator
) -> Int[ndarray, " S"]:
    """Return plays per session, at least 1: one plus a negative binomial, nudged to meet the total."""
    sessions, total = size.session_count, size.play_count
    mean = total / sessions - 1
    shape = parameters.plays_shape
    counts = 1 + rng.negative_binomial(shape, shape / (shape + mean), sessions)
    while (missing := total - int(counts.sum())) != 0:
        eligible = np.flatnonzero(counts > 1) if missing < 0 else np.arange(sessions)
        chosen = rng.permutation(eligible)[: abs(missing)]
        counts[chosen] += np.sign(missing)
    return counts


def _draw_days(session_counts: Int[ndarray, " N"], rng: np.random.Generator) -> Int[ndarray, " S"]:
    """Return each session's day of the year: a listener's days are distinct and rise."""
    days = np.argsort(rng.random((len(session_counts), YEAR_DAYS)), axis=1)
    return np.concatenate([np.sort(row[:count]) for row, count in zip(days, session_counts, strict=True)])
