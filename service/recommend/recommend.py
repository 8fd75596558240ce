"""The road's pure part: a listener's view in, the next songs out, each with the decision that gave it.

The policy proposes, predictions veto, and the first allowed song in the order of the bundle's decoder is chosen.
Nothing here reads or writes anything; `remember` and `record` do, before and after.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Int
from numpy import ndarray

from models.affect import Signal
from models.catalogue import Song
from models.decision import Decision, Moment, decide
from models.exposure import ExposureSnapshot
from models.guardrails import Choice, Rule, Rung
from models.listening import NO_SONG, song_keys
from service.live.engine import Engine
from service.recommend.encode import encode
from service.recommend.guard import limits_of, standings
from service.recommend.ladder import Ladder
from service.recommend.predict import Prediction, prediction
from service.recommend.stopwatch import Lap, Stopwatch, seconds_of
from service.recommend.view import View

_RULE_BITS: Final = np.array([int(rule) for rule in Rule])
_RULE_LABELS: Final = tuple(rule.label for rule in Rule)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Outcome:
    """One decision, and what it rests on."""

    decision: Decision
    choices: tuple[Choice, ...]
    """What each rung that was tried made of its candidates, as `decision.trials`."""
    considered: int
    """How many different songs were judged on any rung."""
    vetoed: Mapping[str, int]
    """Rule → how many songs it spoke against; a song counts once for each of its rules."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Recommendation(Outcome):
    """A song, and why."""

    song: Song
    artist_key: int
    """As the repetition rule counts the song's artist."""
    predicted: Prediction | None
    """None where the models gave no numbers, as can be on a rung that does not rest on them."""

    @property
    def fallback(self) -> str | None:
        """The rung that gave the song, where it was not the policy's own."""
        return None if self.decision.rung is Rung.POLICY else self.decision.rung.value


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Refusal(Outcome):
    """No song, and why."""

    @property
    def reason(self) -> str:
        """One sentence: how many songs were considered, and what spoke against them."""
        if not self.considered:
            return "no song is allowed: none was left to consider"
        against = ", ".join(f"{rule} against {count}" for rule, count in self.vetoed.items())
        return f"no song is allowed: {self.considered} considered, {against}"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Recommended:
    """The answer to one request."""

    songs: tuple[Recommendation, ...]
    refusal: Refusal | None
    """The decision that found no song, where fewer songs than asked for were allowed."""
    laps: tuple[Lap, ...]
    """Each step of the road as it was gone through, over all songs, together with whoever else was answered."""

    @property
    def outcomes(self) -> tuple[Outcome, ...]:
        """Every decision that was taken."""
        return self.songs if self.refusal is None else (*self.songs, self.refusal)

    @property
    def seconds(self) -> dict[str, float]:
        """Step of the road → seconds."""
        return seconds_of(self.laps)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Question:
    """What one listener is to be given."""

    view: View
    """One state for the whole request."""
    snapshot: ExposureSnapshot
    """The exposure of the population under the mode."""
    now: float
    """Unix seconds, UTC."""
    count: int = 1
    """How many songs, at least 1."""
    exclude: Sequence[str] = ()
    """Ids of songs that must not be among them; ids the catalogue does not hold are no matter."""


def recommend(
    engine: Engine,
    view: View,
    snapshot: ExposureSnapshot,
    *,
    now: float,
    count: int = 1,
    exclude: Sequence[str] = (),
) -> Recommended:
    """Return one listener's next songs; see `recommend_all`."""
    return recommend_all(engine, [Question(view=view, snapshot=snapshot, now=now, count=count, exclude=exclude)])[
        0
    ]


def recommend_all(engine: Engine, questions: Sequence[Question]) -> list[Recommended]:
    """Return the next songs of several listeners, for each none of them twice.

    Each song assumes the predicted engagement of those before it. Listeners share the calls of the networks and
    the guardrails, and the seconds these take; who else is there changes a prediction by rounding at most.

    Args:
        engine: what is live.
        questions: at least one.
    """
    watch = Stopwatch()
    asking = [_Asking(engine, question) for question in questions]
    while open_ := [each for each in asking if each.wants_more]:
        for each, outcome in zip(open_, _next_songs(engine, open_, watch), strict=True):
            each.take(engine, outcome)
    laps = tuple(watch.laps)
    return [Recommended(songs=tuple(each.songs), refusal=each.refusal, laps=laps) for each in asking]


class _Asking:
    """A question, and what has been found for it so far."""

    def __init__(self, engine: Engine, question: Question) -> None:
        rows = engine.catalogue.rows(song_keys(list(question.exclude)))
        self.question = question
        self.view = question.view
        self.excluded = rows[rows != NO_SONG]
        self.songs: list[Recommendation] = []
        self.refusal: Refusal | None = None

    @property
    def wants_more(self) -> bool:
        return self.refusal is None and len(self.songs) < self.question.count

    def take(self, engine: Engine, outcome: Recommendation | Refusal) -> None:
        """Take one more song, or the reason why there is none."""
        if isinstance(outcome, Refusal):
            self.refusal = outcome
            return
        self.songs.append(outcome)
        if self.wants_more:
            self.excluded = np.append(self.excluded, engine.catalogue.rows(np.array([outcome.decision.song])))
            self.view = _having_heard(self.view, outcome, self.question.now)


def _next_songs(engine: Engine, asking: Sequence[_Asking], watch: Stopwatch) -> Iterator[Recommendation | Refusal]:
    views = [each.view for each in asking]
    limits = [limits_of(engine, view) for view in views]
    with watch("encode"):
        encoded = encode(engine, [view.listening for view in views])
    with watch("predict"):
        stand = standings(engine, views, encoded, limits=limits, now=[each.question.now for each in asking])
    ladder = Ladder(
        engine=engine, views=views, encoded=encoded, excluded=[each.excluded for each in asking], watch=watch
    )
    with watch("guard"):
        decided = decide(
            [
                Moment(
                    mode=each.view.mode,
                    history_length=each.view.listening.play_count,
                    estimate_source=source,
                    standing=standing,
                    limits=bound,
                    snapshot=each.question.snapshot,
                )
                for each, bound, (standing, source) in zip(asking, limits, stand, strict=True)
            ],
            ladder.propose,
            bundle=engine.bundle.version,
            decoder=engine.bundle.manifest.decoder,
        )
    for view, (decision, choices) in zip(views, decided, strict=True):
        yield _outcome(engine, view, decision, choices)


def _outcome(
    engine: Engine, view: View, decision: Decision, choices: tuple[Choice, ...]
) -> Recommendation | Refusal:
    forbidden = _forbidden(decision, choices)
    considered, vetoed = len(forbidden), _vetoed(forbidden)
    if decision.song == NO_SONG:
        return Refusal(decision=decision, choices=choices, considered=considered, vetoed=vetoed)
    row = int(engine.catalogue.rows(np.array([decision.song]))[0])
    predicted = decision.trials[-1].candidates.predicted[0, :, decision.place]  # (M, 4)
    return Recommendation(
        decision=decision,
        choices=choices,
        considered=considered,
        vetoed=vetoed,
        song=engine.catalogue.songs[row],
        artist_key=int(engine.catalogue.artists[row]),
        predicted=prediction(predicted, engine.bundle.calibration, step=1 + view.waiting),
    )


def _forbidden(decision: Decision, choices: Sequence[Choice]) -> Int[ndarray, " n"]:
    """Return the rules against each different song; every rung judges a song alike."""
    if len(choices) == 1:
        return choices[0].forbidden[0]
    songs = np.concatenate([trial.candidates.song[0] for trial in decision.trials])
    forbidden = np.concatenate([choice.forbidden[0] for choice in choices])
    return forbidden[np.unique(songs, return_index=True)[1]]


def _vetoed(forbidden: Int[ndarray, " n"]) -> dict[str, int]:
    against = np.count_nonzero(forbidden[:, None] & _RULE_BITS, axis=0).tolist()
    return {label: count for label, count in zip(_RULE_LABELS, against, strict=True) if count}


def _having_heard(view: View, heard: Recommendation, now: float) -> View:
    predicted = heard.decision.trials[-1].candidates.predicted[0, :, heard.decision.place, Signal.ENGAGEMENT]
    return view.after(heard.decision.song, heard.artist_key, engagement=float(predicted.mean()), at=now)
