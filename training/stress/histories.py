"""Counterfactual histories: listeners nobody has met, made from values, to see what a bundle does with them.

No listener's data is in them. Each case says in one sentence what was tried, for whoever reads the report, and is
drawn for every mode and population. Songs are drawn from the catalogue; of the far ones, from songs that lie
outside everything training has heard.

Legend: R histories · N songs
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Final

import numpy as np
from jaxtyping import Int
from numpy import ndarray

from models.context import CategoryField, ClockField, ContextField, ContextSchema
from models.listening import Listening, Mode, Population, concatenate

Report = tuple[float, float]
"""(valence, arousal)."""

MIDDLE: Final[Report] = (0.5, 0.5)
_SILENT: Final[Report] = (np.nan, np.nan)
_FIRST_SESSION: Final = 1_717_400_000.0
"""Unix seconds of the last session's start; a morning in June 2024."""
_DAY_SECONDS: Final = 86_400.0
_SONG_SECONDS: Final = 240.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """One play and what was said of it."""

    song: int
    engagement: float = 0.8
    rating: float = np.nan
    report: Report = _SILENT


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """One session; the last of a history goes on."""

    plays: tuple[Heard, ...] = ()
    before: Report = _SILENT
    after: Report = _SILENT
    began_in: Mode | None = None
    """The mode in which it began, where the mode was switched since: the last play is in the new one."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Draw:
    """What a history is made from."""

    mode: Mode
    songs: Int[ndarray, " N"]
    """Keys of the catalogue's ordinary songs."""
    far: Int[ndarray, " F"]
    """Keys of songs outside the support."""
    rng: np.random.Generator

    def some(self, count: int) -> list[int]:
        """Return the keys of ordinary songs, each at most once while there are enough."""
        return self.rng.choice(self.songs, count, replace=count > len(self.songs)).tolist()

    def plays(self, count: int, *, engagement: float = 0.8, rating: float = np.nan) -> tuple[Heard, ...]:
        """Return that many plays of ordinary songs, each received alike."""
        return tuple(Heard(song=song, engagement=engagement, rating=rating) for song in self.some(count))

    @property
    def ordinary(self) -> tuple[Session, ...]:
        """Two sessions that nothing can be said against: the past of whoever is not new."""
        return tuple(Session(plays=self.plays(5), before=MIDDLE, after=MIDDLE) for _ in range(2))


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One kind of hostile history."""

    name: str
    tried: str
    """What was tried, in words."""
    sessions: Callable[[Draw], tuple[Session, ...]]


def _corner(valence: float, arousal: float) -> Case:
    return Case(
        name=f"reports valence {valence:g}, arousal {arousal:g}",
        tried=f"A listener with an ordinary past begins a session by reporting valence {valence:g}, "
        f"arousal {arousal:g}.",
        sessions=lambda draw: (*draw.ordinary, Session(before=(valence, arousal))),
    )


def _contradictory(draw: Draw) -> tuple[Session, ...]:
    low, high = (0.0, 0.0), (1.0, 1.0)
    past = tuple(
        Session(plays=draw.plays(3), before=first, after=second)
        for first, second in ((low, high), (high, low), (low, high))
    )
    jumps = tuple(Heard(song=song, report=high if place % 2 else low) for place, song in enumerate(draw.some(4)))
    return (*past, Session(plays=jumps, before=high))


def _same_song(draw: Draw) -> tuple[Session, ...]:
    song = draw.some(1)[0]
    week = Session(plays=(Heard(song=song, engagement=1.0),) * 4, before=MIDDLE, after=MIDDLE)
    return (*(week,) * 7, Session(before=MIDDLE))


def _unlike_any(draw: Draw) -> tuple[Session, ...]:
    night = tuple(
        Heard(song=song, engagement=0.01 if liked else 1.0, rating=float(liked), report=(float(liked), 1.0))
        for song, liked in zip(draw.some(40), draw.rng.integers(0, 2, 40).tolist(), strict=True)
    )
    return (Session(plays=night, before=(0.0, 1.0)),)


def _switched(draw: Draw) -> tuple[Session, ...]:
    opposite = {Mode.ENERGIZE: Mode.SLEEP, Mode.SLEEP: Mode.ENERGIZE, Mode.CALM: Mode.ENERGIZE}
    began_in = opposite.get(draw.mode, Mode.ENERGIZE)
    return (*draw.ordinary, Session(plays=draw.plays(4), before=MIDDLE, began_in=began_in))


CASES: Final = (
    *(_corner(valence, arousal) for valence, arousal in product((0.0, 1.0), (0.0, 1.0))),
    _corner(0.5, 0.5),
    Case(
        name="no report",
        tried="A listener with an ordinary past begins a session and reports nothing.",
        sessions=lambda draw: (*draw.ordinary, Session()),
    ),
    Case(
        name="cold start",
        tried="Nobody has met this listener; nothing was played, nothing reported.",
        sessions=lambda _: (Session(),),
    ),
    Case(
        name="one song",
        tried="All that is known is one song, heard half; nothing was reported.",
        sessions=lambda draw: (Session(plays=draw.plays(1, engagement=0.5)),),
    ),
    Case(
        name="a thousand events",
        tried="A thousand songs in a hundred sessions, each reported on: far more than what is read.",
        sessions=lambda draw: (
            *(Session(plays=draw.plays(10), before=MIDDLE, after=(0.6, 0.4)) for _ in range(100)),
            Session(before=MIDDLE),
        ),
    ),
    Case(
        name="all dislikes",
        tried="Every song was skipped within seconds and disliked, and every session ended worse than it began.",
        sessions=lambda draw: (
            *(
                Session(plays=draw.plays(6, engagement=0.03, rating=0.0), before=MIDDLE, after=(0.1, 0.9))
                for _ in range(3)
            ),
            Session(before=(0.3, 0.6)),
        ),
    ),
    Case(
        name="contradictory reports",
        tried="Reports jump between the extremes, within sessions and from song to song.",
        sessions=_contradictory,
    ),
    Case(
        name="a week of one song",
        tried="One song, heard out four times a day for a week, and nothing else.",
        sessions=_same_song,
    ),
    Case(
        name="missing signals",
        tried="Twenty songs were played; whether anybody heard, liked or felt anything was never said.",
        sessions=lambda draw: (
            *(Session(plays=draw.plays(5, engagement=np.nan)) for _ in range(3)),
            Session(plays=draw.plays(5, engagement=np.nan)),
        ),
    ),
    Case(
        name="mode switched in mid-session",
        tried="After three songs the listener asks for another mode, the opposite where there is one.",
        sessions=_switched,
    ),
    Case(
        name="unlike any listener",
        tried="Forty songs in one night, liked when skipped and disliked when heard out, with an "
        "extreme report after each.",
        sessions=_unlike_any,
    ),
    Case(
        name="far songs heard",
        tried="The listener's past is made of songs unlike any in training.",
        sessions=lambda draw: (
            Session(plays=tuple(Heard(song=song) for song in draw.far[:12].tolist()), before=MIDDLE, after=MIDDLE),
            Session(before=MIDDLE),
        ),
    ),
)
"""Every kind, in the order of the report."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Hostile:
    """R histories, and which case each is."""

    listening: Listening
    case: Int[ndarray, " R"]
    """Places in the list of cases."""


def hostile_histories(
    cases: Sequence[Case],
    songs: Int[ndarray, " N"],
    far: Int[ndarray, " F"],
    context: ContextSchema,
    *,
    draws: int,
    rng: np.random.Generator,
) -> Hostile:
    """Return every case for every mode and population, drawn so many times.

    Args:
        cases: which kinds.
        songs: keys of the catalogue's ordinary songs.
        far: keys of songs outside the support.
        context: whose fields get a value in the middle of what they may hold.
        draws: histories of each case, mode and population.
        rng: draws the songs.
    """
    made, case_of = [], []
    for place, mode, population, _ in product(range(len(cases)), Mode, Population, range(draws)):
        draw = Draw(mode=mode, songs=songs, far=far, rng=rng)
        made.append(history(cases[place].sessions(draw), mode=mode, population=population, context=context))
        case_of.append(place)
    return Hostile(listening=concatenate(made), case=np.array(case_of))


def history(
    sessions: Sequence[Session], *, mode: Mode, population: Population, context: ContextSchema
) -> Listening:
    """Return one listener's sessions, one a day, as columns; a switched session's last play is in the mode."""
    plays = [play for session in sessions for play in session.plays]
    counts = [len(session.plays) for session in sessions]
    began = np.array([mode if session.began_in is None else session.began_in for session in sessions], np.int64)
    start = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    play_mode = np.repeat(began, counts)
    play_mode[start[1:][np.array(counts) > 0] - 1] = mode
    started_at = _FIRST_SESSION + _DAY_SECONDS * (np.arange(len(sessions)) - len(sessions) + 1.0)
    within = np.arange(len(plays)) - np.repeat(start[:-1], counts)
    middle = np.array([_middle(field) for field in context.fields], np.float32)
    return Listening(
        population=np.array([population], np.int64),
        session_start=np.array([0, len(sessions)]),
        mode=began,
        started_at=started_at,
        before=np.array([session.before for session in sessions], np.float32),
        after=np.array([session.after for session in sessions], np.float32),
        context=np.broadcast_to(middle, (len(sessions), len(context.fields))).copy(),
        play_start=start,
        song=np.array([play.song for play in plays], np.int64),
        engagement=np.array([play.engagement for play in plays], np.float32),
        rating=np.array([play.rating for play in plays], np.float32),
        report=np.array([play.report for play in plays], np.float32).reshape(-1, 2),
        play_mode=play_mode,
        played_at=np.repeat(started_at, counts) + _SONG_SECONDS * within,
    )


def in_mode(listening: Listening, mode: Int[ndarray, " R"]) -> Listening:
    """Return the same listeners, had each asked for the given mode all along."""
    session = mode[listening.listener_of_session]
    return replace(listening, mode=session, play_mode=session[listening.session_of_play])


def _middle(field: ContextField) -> float:
    """Return an unremarkable raw value of a context field."""
    if isinstance(field, ClockField):
        return 9.0
    if isinstance(field, CategoryField):
        return 0.0
    return (field.low + field.high) / 2
