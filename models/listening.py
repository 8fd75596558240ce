"""Listening as columns: sessions, plays and reports of B listeners in ragged arrays, oldest first.

One listener's history is a batch of one. Songs are stable 64-bit keys derived from their ids, never row
numbers, so that a history outlives every catalogue. Absent values are NaN; nothing here imputes.

Legend: B listeners · S sessions · P plays · C context fields
"""

from dataclasses import dataclass, fields, replace
from enum import IntEnum
from hashlib import blake2b
from typing import Final

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray

from models.errors import DataError


class Mode(IntEnum):
    """What the listener asked the session for."""

    UNSPECIFIED = 0
    ENERGIZE = 1
    FOCUS = 2
    CALM = 3
    SLEEP = 4

    @property
    def label(self) -> str:
        """The mode's name on disk and on the wire."""
        return self.name.lower()


class Population(IntEnum):
    """Which of the platform's applications the listener belongs to; an unspecified one is treated as clinical."""

    UNSPECIFIED = 0
    CLINICAL = 1
    CONSUMER = 2

    @property
    def label(self) -> str:
        """The population's name on disk and on the wire."""
        return self.name.lower()


NO_SONG: Final = -1
"""Stands where a song key or row would, on tokens and paddings without a song; no song id has this key."""


def song_key(song_id: str) -> int:
    """Return the stable key of a song id: 63 bits of BLAKE2b, so at least 0 and the same on every machine."""
    return int.from_bytes(blake2b(song_id.encode(), digest_size=8).digest(), "big") >> 1


def song_keys(song_ids: list[str]) -> Int[ndarray, " N"]:
    """Return the stable keys of many song ids."""
    return np.fromiter((song_key(song_id) for song_id in song_ids), np.int64, len(song_ids))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Listening:
    """What B listeners did and said, oldest first; every array is a column.

    Listener b's sessions are `session_start[b]:session_start[b + 1]`; session s's plays are
    `play_start[s]:play_start[s + 1]`. Reports are (valence, arousal) in [0, 1]; NaN where nobody reported.
    """

    population: Int[ndarray, " B"]
    session_start: Int[ndarray, " B+1"]

    mode: Int[ndarray, " S"]
    """The mode in which the session began."""
    started_at: Float[ndarray, " S"]
    """Unix seconds, UTC."""
    before: Float[ndarray, "S 2"]
    """The report before listening."""
    after: Float[ndarray, "S 2"]
    """The report at the session's end; it is the feedback of the session's last play (AMRS §3.2)."""
    context: Float[ndarray, "S C"]
    """Raw values of the context schema's fields; NaN where unknown."""
    play_start: Int[ndarray, " S+1"]

    song: Int[ndarray, " P"]
    """Stable song keys."""
    engagement: Float[ndarray, " P"]
    """The fraction of the song that was heard."""
    rating: Float[ndarray, " P"]
    """1 liked, 0 disliked."""
    report: Float[ndarray, "P 2"]
    """The report after this very song, where somebody asked for one."""
    play_mode: Int[ndarray, " P"]
    """The mode in force when the song was played."""
    played_at: Float[ndarray, " P"]
    """Unix seconds, UTC, when the song began; NaN where the log does not know."""

    def __post_init__(self) -> None:
        for name, offsets, rows, length in (
            ("session_start", self.session_start, len(self.population), len(self.mode)),
            ("play_start", self.play_start, len(self.mode), len(self.song)),
        ):
            if len(offsets) != rows + 1 or offsets[0] != 0 or offsets[-1] != length:
                raise DataError(f"{name} must hold {rows + 1} offsets from 0 to {length}; got {offsets!r}")
            if np.any(np.diff(offsets) < 0):
                raise DataError(f"{name} must not fall")

    @property
    def listener_count(self) -> int:
        """B."""
        return len(self.population)

    @property
    def session_count(self) -> int:
        """S."""
        return len(self.mode)

    @property
    def play_count(self) -> int:
        """P."""
        return len(self.song)

    @property
    def session_of_play(self) -> Int[ndarray, " P"]:
        """The session of each play."""
        return np.repeat(np.arange(self.session_count), np.diff(self.play_start))

    @property
    def listener_of_session(self) -> Int[ndarray, " S"]:
        """The listener of each session."""
        return np.repeat(np.arange(self.listener_count), np.diff(self.session_start))

    @property
    def is_last_play(self) -> Bool[ndarray, " P"]:
        """Whether the play is its session's last: the one the session's end report belongs to."""
        last = np.zeros(self.play_count, bool)
        last[self.play_start[1:][np.diff(self.play_start) > 0] - 1] = True
        return last

    @property
    def feedback(self) -> Float[ndarray, "P 4"]:
        """The four signals of each play in `Signal` order; the end report stands at the last play."""
        affect = self.report.copy()  # (P, 2)
        last = self.is_last_play
        after = self.after[self.session_of_play[last]]
        affect[last] = np.where(np.isnan(after), affect[last], after)
        return np.column_stack([self.engagement, self.rating, affect])

    @property
    def token_counts(self) -> Int[ndarray, " B"]:
        """How many tokens each listener has: one for each session and one for each play."""
        starts = self.play_start[self.session_start]
        return np.diff(self.session_start) + np.diff(starts)

    def select(self, listeners: Int[ndarray, " b"]) -> "Listening":
        """Return the given listeners, in the given order; one may be asked for more than once."""
        sessions, session_start = _gather(self.session_start, listeners)
        plays, play_start = _gather(self.play_start, sessions)
        return replace(
            self,
            population=self.population[listeners],
            session_start=session_start,
            play_start=play_start,
            **{name: getattr(self, name)[sessions] for name in _SESSION_COLUMNS},
            **{name: getattr(self, name)[plays] for name in _PLAY_COLUMNS},
        )

    def segment(self, first: Int[ndarray, " B"], stop: Int[ndarray, " B"]) -> "Listening":
        """Return, of each listener, the tokens `first:stop`: plays cut off at either end, sessions kept whole.

        A session whose boundary token falls before `first` keeps its report and mode if any of its plays
        stays. The end report of a session whose last play is cut off goes with that play.
        """
        session_of_play, listener_of_session = self.session_of_play, self.listener_of_session
        listener_of_play = listener_of_session[session_of_play]
        token_start = np.concatenate([[0], np.cumsum(self.token_counts)])
        boundary = np.arange(self.session_count) + self.play_start[:-1] - token_start[listener_of_session]
        position = np.arange(self.play_count) + session_of_play + 1 - token_start[listener_of_play]

        keep_play = (position >= first[listener_of_play]) & (position < stop[listener_of_play])
        kept_plays = np.bincount(session_of_play[keep_play], minlength=self.session_count)
        inside = (boundary >= first[listener_of_session]) & (boundary < stop[listener_of_session])
        keep_session = inside | (kept_plays > 0)
        lost_end = np.ones(self.session_count, bool)
        last = self.is_last_play
        lost_end[session_of_play[last & keep_play]] = False
        lost_end[(np.diff(self.play_start) == 0) & inside] = False

        sessions = np.flatnonzero(keep_session)
        after = np.where(lost_end[:, None], np.nan, self.after)
        counts = np.bincount(listener_of_session[sessions], minlength=self.listener_count)
        columns = {name: getattr(self, name)[sessions] for name in _SESSION_COLUMNS}
        columns["after"] = after[sessions]
        return replace(
            self,
            session_start=np.concatenate([[0], np.cumsum(counts)]),
            play_start=np.concatenate([[0], np.cumsum(kept_plays[sessions])]),
            **columns,
            **{name: getattr(self, name)[keep_play] for name in _PLAY_COLUMNS},
        )

    def with_play(
        self,
        song: Int[ndarray, " B"],
        engagement: Float[ndarray, " B"],
        played_at: Float[ndarray, " B"],
        mode: Int[ndarray, " B"] | None = None,
    ) -> "Listening":
        """Return the listening with one more play at the end of each listener's last session.

        The play carries engagement only: what an imagined play may carry (SCIENCE §1, presence bits). The
        end report of the last session, if there was one, is taken away: the session goes on. Without a mode
        given, the mode of the session's last play holds on.

        Raises:
            DataError: a listener has no session to play in.
        """
        if np.any(np.diff(self.session_start) == 0):
            raise DataError("every listener needs a session to play in")
        last = self.session_start[1:] - 1  # (B,) the last session of each listener
        where = self.play_start[last + 1]  # (B,) the place of the new play among the old
        if mode is None:
            mode = self.mode[last].copy()
            has_play = self.play_start[last + 1] > self.play_start[last]
            mode[has_play] = self.play_mode[where[has_play] - 1]
        after = self.after.copy()
        after[last] = np.nan
        added = np.zeros(self.session_count, np.int64)
        added[last] = 1
        return replace(
            self,
            after=after,
            play_start=self.play_start + np.concatenate([[0], np.cumsum(added)]),
            song=np.insert(self.song, where, song),
            engagement=np.insert(self.engagement, where, engagement),
            rating=np.insert(self.rating, where, np.nan),
            report=np.insert(self.report, where, np.nan, axis=0),
            play_mode=np.insert(self.play_mode, where, mode),
            played_at=np.insert(self.played_at, where, played_at),
        )


_SESSION_COLUMNS = ("mode", "started_at", "before", "after", "context")
_PLAY_COLUMNS = ("song", "engagement", "rating", "report", "play_mode", "played_at")


def concatenate(parts: list[Listening]) -> Listening:
    """Return the listeners of every part, one part after another.

    Raises:
        DataError: there is no part, or two parts have different context fields.
    """
    if not parts:
        raise DataError("at least one part is needed to concatenate listening")
    if len({part.context.shape[1] for part in parts}) > 1:
        raise DataError("parts must have the same context fields")
    columns: dict[str, ndarray] = {}
    for field in fields(Listening):
        arrays = [getattr(part, field.name) for part in parts]
        if field.name.endswith("_start"):
            ends = np.cumsum([0] + [int(array[-1]) for array in arrays])
            columns[field.name] = np.concatenate(
                [[0], *(array[1:] + end for array, end in zip(arrays, ends, strict=False))]
            )
        else:
            columns[field.name] = np.concatenate(arrays)
    return Listening(**columns)


def empty_listener(*, context_fields: int, population: Population = Population.UNSPECIFIED) -> Listening:
    """Return one listener who has not done anything yet."""
    return Listening(
        population=np.array([population], np.int64),
        session_start=np.zeros(2, np.int64),
        mode=np.zeros(0, np.int64),
        started_at=np.zeros(0),
        before=np.zeros((0, 2), np.float32),
        after=np.zeros((0, 2), np.float32),
        context=np.zeros((0, context_fields), np.float32),
        play_start=np.zeros(1, np.int64),
        song=np.zeros(0, np.int64),
        engagement=np.zeros(0, np.float32),
        rating=np.zeros(0, np.float32),
        report=np.zeros((0, 2), np.float32),
        play_mode=np.zeros(0, np.int64),
        played_at=np.zeros(0),
    )


def _gather(
    start: Int[ndarray, " offsets"], rows: Int[ndarray, " m"]
) -> tuple[Int[ndarray, " k"], Int[ndarray, " m+1"]]:
    """Return the members of the given rows of a ragged array, and the new offsets."""
    lengths = start[rows + 1] - start[rows]
    new_start = np.concatenate([[0], np.cumsum(lengths)])
    members = np.arange(new_start[-1]) + np.repeat(start[rows] - new_start[:-1], lengths)
    return members, new_start
