"""The road's pure part: a listener's view in, the next songs out, each with the decision that gave it.

The policy proposes, predictions veto, and the first allowed song in the order of the bundle's decoder is chosen.
Nothing here reads or writes anything; `remember` and `record` do, before and after.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int
from numpy import ndarray

from models.affect import Signal
from models.catalogue import Song
from models.decision import Decision, decide
from models.exposure import ExposureSnapshot
from models.guardrails import Choice, Rule, Rung
from models.listening import NO_SONG, song_keys
from service.live.engine import Engine
from service.recommend.encode import encode
from service.recommend.guard import limits_of, standing
from service.recommend.ladder import ladder
from service.recommend.predict import Prediction, prediction
from service.recommend.stopwatch import OnLap, Stopwatch
from service.recommend.view import View


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Outcome:
    """One decision, and what it rests on."""

    decision: Decision
    choices: tuple[Choice, ...]
    """What each rung that was tried made of its candidates, as `decision.trials`."""

    @property
    def considered(self) -> int:
        """How many different songs were judged on any rung."""
        return len(self._forbidden)

    @property
    def vetoed(self) -> dict[str, int]:
        """Rule → how many songs it spoke against; a song counts once for each of its rules."""
        counts = {rule.label: int(np.count_nonzero(self._forbidden & int(rule))) for rule in Rule}
        return {label: count for label, count in counts.items() if count}

    @property
    def _forbidden(self) -> Int[ndarray, " n"]:
        """The rules against each different song; every rung judges a song alike."""
        if len(self.choices) == 1:
            return self.choices[0].forbidden[0]
        songs = np.concatenate([trial.candidates.song[0] for trial in self.decision.trials])
        forbidden = np.concatenate([choice.forbidden[0] for choice in self.choices])
        return forbidden[np.unique(songs, return_index=True)[1]]


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
    seconds: dict[str, float]
    """Step of the road → seconds, over all songs."""


def recommend(
    engine: Engine,
    view: View,
    snapshot: ExposureSnapshot,
    *,
    now: float,
    count: int = 1,
    exclude: Sequence[str] = (),
    on_lap: OnLap | None = None,
) -> Recommended:
    """Return the next songs, none of them twice; each assumes the predicted engagement of those before it.

    Args:
        engine: what is live.
        view: of the listener; one state for the whole request.
        snapshot: the exposure of the population under the mode.
        now: Unix seconds, UTC.
        count: how many songs, at least 1.
        exclude: ids of songs that must not be among them; ids the catalogue does not hold are no matter.
        on_lap: told of each step as it ends.
    """
    watch = Stopwatch(on_lap)
    songs: list[Recommendation] = []
    excluded = engine.catalogue.rows(song_keys(list(exclude)))
    excluded = excluded[excluded != NO_SONG]
    for _ in range(count):
        outcome = _next_song(engine, view, snapshot, excluded, now=now, watch=watch)
        if isinstance(outcome, Refusal):
            return Recommended(songs=tuple(songs), refusal=outcome, seconds=watch.seconds)
        songs.append(outcome)
        if len(songs) < count:
            excluded = np.append(excluded, engine.catalogue.rows(np.array([outcome.decision.song])))
            view = _having_heard(view, outcome, now)
    return Recommended(songs=tuple(songs), refusal=None, seconds=watch.seconds)


def _next_song(
    engine: Engine,
    view: View,
    snapshot: ExposureSnapshot,
    excluded: Int[ndarray, " n"],
    *,
    now: float,
    watch: Stopwatch,
) -> Recommendation | Refusal:
    with watch("encode"):
        encoded = encode(engine, view.listening)
    with watch("predict"):
        stands, source = standing(engine, view, encoded, now=now)
    with watch("guard"):
        decision, choices = decide(
            ladder(engine, view, encoded, excluded, watch),
            bundle=engine.bundle.version,
            mode=view.mode,
            history_length=view.listening.play_count,
            estimate_source=source,
            standing=stands,
            limits=limits_of(engine, view),
            decoder=engine.bundle.manifest.decoder,
            snapshot=snapshot,
        )
    if decision.song == NO_SONG:
        return Refusal(decision=decision, choices=choices)
    row = int(engine.catalogue.rows(np.array([decision.song]))[0])
    predicted = decision.trials[-1].candidates.predicted[0, :, decision.place]  # (M, 4)
    return Recommendation(
        decision=decision,
        choices=choices,
        song=engine.catalogue.songs[row],
        artist_key=int(engine.catalogue.artists[row]),
        predicted=prediction(predicted, engine.bundle.calibration, step=1 + view.waiting),
    )


def _having_heard(view: View, heard: Recommendation, now: float) -> View:
    predicted = heard.decision.trials[-1].candidates.predicted[0, :, heard.decision.place, Signal.ENGAGEMENT]
    return view.after(heard.decision.song, heard.artist_key, engagement=float(predicted.mean()), at=now)
