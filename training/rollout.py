"""Rollouts: what a policy would play next, five songs long, for listeners of the log, inside the world model.

Each step is the road of a request: match → predict → guard → choose, with the guardrails and the ladder that
serve. An imagined play enters the history with its predicted engagement and nothing else: nobody reported
(SCIENCE §1, presence bits). Where the log is simulated, the truth walks beside the prediction.

Source: AMRS §3.4–3.5. Decoding is the highest score; songs already offered in the rollout are masked.

Legend: R rollouts · B rollouts still playing · T steps · N songs · K candidates · M members
"""

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Final, Protocol, TypeVar, runtime_checkable

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from models.catalogue import Catalogue
from models.context import ContextSchema
from models.guardrails import (
    WIDER,
    Candidates,
    Choice,
    GuardrailTable,
    LimitColumns,
    Rule,
    Rung,
    Standing,
    guard_and_choose,
    limit_columns,
)
from models.known_safe import known_safe_songs
from models.listening import NO_SONG, Listening, Mode, Population, song_keys
from models.tokens import Tokens, tokenise
from models.utility import LinearUtility, TargetUtility
from training.platform.truth import TrueState, Truth
from training.standing import current_modes, last_plays, standing_of
from training.trained import PolicyOver, WorldOver, WorldStates

RUNGS: Final = tuple(Rung)
"""The ladder's rungs in order; rollouts store a rung as its place here."""
_USUAL_SECONDS: Final = 240.0
"""How long a song is taken to last where the catalogue does not know."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Setting:
    """Everything that stays the same over every rollout."""

    catalogue: Catalogue
    context: ContextSchema
    lookback: int
    world: WorldOver
    table: GuardrailTable
    support_distance: Float[ndarray, " N"]
    """From each song to its nearest training song."""
    candidate_count: int = 100
    """K."""
    song_count: int = 5
    """T."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Start:
    """Where R rollouts begin."""

    listening: Listening
    """One history each; every one has a session."""
    truth: Truth | None
    state: TrueState | None
    """The truth about each listener at the end of the history, where it is known."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Moment:
    """What a policy may look at when it scores the catalogue."""

    tokens: Tokens
    rows: Int[ndarray, "B L"]
    """The catalogue's rows of the tokens' songs."""
    states: WorldStates
    mode: Int[ndarray, " B"]
    rng: np.random.Generator


@runtime_checkable
class Policy(Protocol):
    """Whatever scores every song as the next one of each history; higher is sooner."""

    def scores(self, moment: Moment) -> Float[ndarray, "B N"]:
        """Return the scores."""
        ...


@dataclass(frozen=True, slots=True)
class Random:
    """Uniform over the catalogue."""

    song_count: int

    def scores(self, moment: Moment) -> Float[ndarray, "B N"]:
        """Return scores that put the songs in a random order."""
        return moment.rng.random((len(moment.mode), self.song_count))


@dataclass(frozen=True, slots=True)
class Greedy:
    """The highest predicted utility over the whole catalogue: a degenerate upper bound (AMRS §4.5)."""

    world: WorldOver
    utility: LinearUtility | TargetUtility

    def scores(self, moment: Moment) -> Float[ndarray, "B N"]:
        """Return the utility of the members' mean prediction."""
        predicted = self.world.mean_predicted(moment.states.now)  # (B, N, 4)
        return self.utility.value(predicted, np.broadcast_to(moment.mode[:, None], predicted.shape[:-1]))


@dataclass(frozen=True, slots=True)
class Learned:
    """Copycat, or Copycat led on by preferences: the cosine with the song that is wanted."""

    policy: PolicyOver

    def scores(self, moment: Moment) -> Float[ndarray, "B N"]:
        """Return the cosines."""
        return self.policy.cosines(moment.tokens, moment.rows)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Rollouts:
    """What happened in R rollouts of T steps; NaN from the step on at which a rollout fell silent."""

    song: Int[ndarray, "R T"]
    """Rows of the catalogue; `NO_SONG` where the ladder ended in silence."""
    mode: Int[ndarray, " R"]
    population: Int[ndarray, " R"]
    predicted: Float[ndarray, "R T 4"]
    """The ensemble's mean, in `Signal` order."""
    step: Float[ndarray, "R T 2"]
    """Predicted change of (valence, arousal)."""
    forbidden: Int[ndarray, "R T"]
    """Rules that speak against the song that was played, as a sum of `Rule` values."""
    vetoed: Float[ndarray, "R T rules"]
    """The share of the first rung's candidates that each rule forbids, in `Rule` order; NaN without guardrails."""
    rung: Int[ndarray, "R T"]
    """Places in `RUNGS`."""
    true_signals: Float[ndarray, "R T 4"]
    """What the listener would truly say of each song in the mean; NaN where the truth is not known."""
    true_step: Float[ndarray, "R T 2"]
    """The true mean change of (valence, arousal), drift included; NaN where the truth is not known."""


Advance = Callable[[int], None]
"""Told how many more songs were imagined."""


def roll_out(
    policy: Policy,
    start: Start,
    setting: Setting,
    *,
    guarded: bool,
    rng: np.random.Generator,
    advance: Advance = lambda _: None,
) -> Rollouts:
    """Return what the policy plays from each start; the same generator gives the same rollouts.

    Args:
        policy: scores the catalogue.
        start: histories, and the truth about them.
        setting: the world, the catalogue, the limits.
        guarded: whether guardrails and ladder choose, or the policy alone.
        rng: for policies that draw.
        advance: told of every step.
    """
    record = _blank(start.listening, current_modes(start.listening), setting.song_count)
    listening, state = start.listening, start.state
    active = np.arange(listening.listener_count)
    now = _now(listening, setting)
    offered = np.full((len(active), setting.song_count), NO_SONG)
    choose = _choose_guarded if guarded else _choose_freely

    for step in range(setting.song_count):
        moment = _moment(listening, setting, rng)
        scores = policy.scores(moment)
        np.put_along_axis(scores, offered[:, :step], -np.inf, axis=1)
        standing = standing_of(listening, moment.states, setting.world, setting.catalogue, setting.table, now)
        limits = _limits(listening, moment.mode, setting.table)
        play = choose(scores, listening, moment, standing, limits, setting)
        _write(record, step, active, play)

        going_on = np.flatnonzero(play.row != NO_SONG)
        active, song = active[going_on], play.row[going_on]
        if state is not None and start.truth is not None:
            state = TrueState(listener=state.listener[going_on], affect=state.affect[going_on])
            record.true_signals[active, step] = start.truth.expected(state, song[:, None])[:, 0]
            record.true_step[active, step] = start.truth.affect_step(state, song[:, None])[:, 0]
            state = replace(state, affect=start.truth.affect_after(state, song[:, None])[:, 0])
        advance(len(play.row))
        if not len(active):
            break
        engagement = record.predicted[active, step, 0].astype(np.float32)
        listening = listening.select(going_on).with_play(setting.catalogue.keys[song], engagement, now[going_on])
        now = now[going_on] + _seconds(setting.catalogue, song)
        offered = offered[going_on]
        offered[:, step] = song
    return record


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Play:
    """The songs of one step, and what is said of them."""

    row: Int[ndarray, " B"]
    predicted: Float[ndarray, "B 4"]
    step: Float[ndarray, "B 2"]
    forbidden: Int[ndarray, " B"]
    rung: Int[ndarray, " B"]
    vetoed: Float[ndarray, "B rules"]

    def take(
        self,
        listeners: Int[ndarray, " b"],
        rows: Int[ndarray, "b K"],
        candidates: Candidates,
        choice: Choice,
        rung: Rung,
    ) -> None:
        """Write down the songs that a rung chose for the given listeners; the others wait on."""
        found = np.flatnonzero(choice.chosen != NO_SONG)
        place, who = choice.chosen[found], listeners[found]
        self.row[who] = rows[found, place]
        self.predicted[who] = candidates.predicted[found, :, place].mean(axis=1)
        self.step[who] = choice.steps.step[found, place]
        self.forbidden[who] = choice.forbidden[found, place]
        self.rung[who] = RUNGS.index(rung)


def _nobody_played(count: int) -> _Play:
    """Return what a step is before any rung has spoken: silence."""
    return _Play(
        row=np.full(count, NO_SONG),
        predicted=np.full((count, 4), np.nan),
        step=np.full((count, 2), np.nan),
        forbidden=np.zeros(count, np.int64),
        rung=np.full(count, RUNGS.index(Rung.SILENCE)),
        vetoed=np.full((count, len(Rule)), np.nan),
    )


def _choose_freely(
    scores: Float[ndarray, "B N"],
    listening: Listening,
    moment: Moment,
    standing: Standing,
    limits: LimitColumns,
    setting: Setting,
) -> _Play:
    """Return the policy's first song, and what the guardrails would have said of it."""
    del listening
    play = _nobody_played(len(scores))
    rows = scores.argmax(axis=1)[:, None]
    candidates = _candidates(rows, np.take_along_axis(scores, rows, axis=1), moment.states.now, setting)
    choice = _judged(candidates, standing, limits, Rung.POLICY)
    first = replace(choice, chosen=np.zeros(len(rows), np.int64))
    play.take(np.arange(len(rows)), rows, candidates, first, Rung.POLICY)
    return play


def _choose_guarded(
    scores: Float[ndarray, "B N"],
    listening: Listening,
    moment: Moment,
    standing: Standing,
    limits: LimitColumns,
    setting: Setting,
) -> _Play:
    """Return the ladder's song for each listener, widest rung first."""
    play = _nobody_played(len(scores))
    waiting = np.arange(len(scores))
    for rung in RUNGS[:-1]:
        rows, score = _proposed(rung, scores[waiting], listening, moment.mode, waiting, setting)
        candidates = _candidates(rows, score, moment.states.now[waiting], setting)
        choice = _judged(candidates, _of(standing, waiting), _of(limits, waiting), rung)
        if rung is Rung.POLICY:
            bits = np.array([int(rule) for rule in Rule])
            play.vetoed[:] = ((choice.forbidden[..., None] & bits) > 0).mean(axis=1)
        play.take(waiting, rows, candidates, choice, rung)
        waiting = waiting[choice.chosen == NO_SONG]
        if not len(waiting):
            break
    return play


def _proposed(
    rung: Rung,
    scores: Float[ndarray, "b N"],
    listening: Listening,
    mode: Int[ndarray, " B"],
    waiting: Int[ndarray, " b"],
    setting: Setting,
) -> tuple[Int[ndarray, "b K"], Float[ndarray, "b K"]]:
    """Return the rung's candidates for the listeners who wait; people's lists stand in people's order."""
    if rung in (Rung.POLICY, Rung.WIDER):
        rows = best_rows(scores, setting.candidate_count * (WIDER if rung is Rung.WIDER else 1))
        return rows, np.take_along_axis(scores, rows, axis=1)
    if rung is Rung.KNOWN_SAFE:
        listed = [setting.catalogue.rows(known_safe_songs(listening, int(b))) for b in waiting]
    else:
        listed = [_approved_rows(setting, Mode(int(mode[b]))) for b in waiting]
    rows = np.full((len(waiting), max(1, *(len(each) for each in listed))), NO_SONG)
    for place, each in enumerate(listed):
        rows[place, : len(each)] = each
    is_masked = np.isneginf(np.take_along_axis(scores, np.maximum(rows, 0), axis=1))
    rows = np.where(is_masked, NO_SONG, rows)[:, : setting.candidate_count]
    return rows, np.broadcast_to(-np.arange(rows.shape[1], dtype=np.float64), rows.shape)


def _approved_rows(setting: Setting, mode: Mode) -> Int[ndarray, " n"]:
    """Return the rows of the songs that are approved for a mode."""
    return setting.catalogue.rows(song_keys(list(setting.table.approved.get(mode.label, ()))))


def _candidates(
    rows: Int[ndarray, "b K"], score: Float[ndarray, "b K"], state: Float[ndarray, "b M D"], setting: Setting
) -> Candidates:
    """Return what is known and predicted of the given songs; nobody blocks anything in a rollout."""
    there = rows != NO_SONG
    return Candidates(
        song=np.where(there, setting.catalogue.keys[rows], NO_SONG),
        artist=np.where(there, setting.catalogue.artists[rows], NO_SONG),
        score=score,
        predicted=setting.world.predicted(state, rows),
        blocked=setting.catalogue.withdrawn[rows],
        support_distance=setting.support_distance[rows],
    )


def _judged(candidates: Candidates, standing: Standing, limits: LimitColumns, rung: Rung) -> Choice:
    """Return the guardrails' choice; no exposure counts in a rollout, so the coverage floor is never reached."""
    count = len(candidates.song)
    shown = np.zeros(candidates.song.shape, np.int64)
    return guard_and_choose(candidates, standing, limits, rung=rung, shown=shown, coverage=np.ones(count))


Columns = TypeVar("Columns", Standing, LimitColumns)


def _of(columns: Columns, listeners: Int[ndarray, " b"]) -> Columns:
    """Return the rows of the given listeners."""
    return type(columns)(**{column.name: getattr(columns, column.name)[listeners] for column in fields(columns)})


def best_rows(scores: Float[ndarray, "b N"], count: int) -> Int[ndarray, "b K"]:
    """Return the songs with the highest scores, best first; the first of equals stands first."""
    count = min(count, scores.shape[1])
    rows = np.sort(np.argpartition(-scores, count - 1, axis=1)[:, :count], axis=1)
    order = np.argsort(-np.take_along_axis(scores, rows, axis=1), axis=1, kind="stable")
    return np.take_along_axis(rows, order, axis=1)


def _moment(listening: Listening, setting: Setting, rng: np.random.Generator) -> Moment:
    """Return what a policy may look at, once the listening is tokenised and the world models have read it."""
    tokens = tokenise(listening, setting.context).latest(setting.lookback)
    rows = setting.catalogue.rows(tokens.song)
    states = setting.world.look(tokens, rows)
    return Moment(tokens=tokens, rows=rows, states=states, mode=current_modes(listening), rng=rng)


def _limits(listening: Listening, mode: Int[ndarray, " B"], table: GuardrailTable) -> LimitColumns:
    """Return each listener's limits."""
    each = zip(listening.population, mode, strict=True)
    return limit_columns([table.limits_for(Population(int(who)), Mode(int(what))) for who, what in each])


def _now(listening: Listening, setting: Setting) -> Float[ndarray, " B"]:
    """Return when each next song begins: when the last one ended, in Unix seconds; else at the session's start."""
    play = last_plays(listening)
    has_play = np.flatnonzero(play >= 0)
    now = listening.started_at[listening.session_start[1:] - 1].copy()
    songs = setting.catalogue.rows(listening.song[play[has_play]])
    ended = listening.played_at[play[has_play]] + _seconds(setting.catalogue, songs)
    now[has_play] = np.where(np.isnan(ended), now[has_play], ended)
    return now


def _seconds(catalogue: Catalogue, rows: Int[ndarray, " b"]) -> Float[ndarray, " b"]:
    """Return how long songs last."""
    return np.array([catalogue.songs[row].duration_seconds or _USUAL_SECONDS for row in rows])


def _blank(listening: Listening, mode: Int[ndarray, " R"], song_count: int) -> Rollouts:
    """Return rollouts in which nothing has been played yet."""
    shape = (listening.listener_count, song_count)
    return Rollouts(
        song=np.full(shape, NO_SONG),
        mode=mode,
        population=listening.population,
        predicted=np.full((*shape, 4), np.nan),
        step=np.full((*shape, 2), np.nan),
        forbidden=np.zeros(shape, np.int64),
        vetoed=np.full((*shape, len(Rule)), np.nan),
        rung=np.full(shape, RUNGS.index(Rung.SILENCE)),
        true_signals=np.full((*shape, 4), np.nan),
        true_step=np.full((*shape, 2), np.nan),
    )


def _write(record: Rollouts, step: int, active: Int[ndarray, " B"], play: _Play) -> None:
    """Write one step of the rollouts still playing into the record."""
    record.song[active, step] = play.row
    record.predicted[active, step] = play.predicted
    record.step[active, step] = play.step
    record.forbidden[active, step] = play.forbidden
    record.vetoed[active, step] = play.vetoed
    record.rung[active, step] = play.rung


def proposals(
    policy: Policy, start: Start, setting: Setting, rng: np.random.Generator
) -> tuple[Candidates, Standing]:
    """Return what a policy would propose at each start and at each step it would then take, unguarded.

    One row per start and step, R·T in all: the moments on which limits must leave something to play.
    """
    listening, now = start.listening, _now(start.listening, setting)
    offered = np.full((listening.listener_count, setting.song_count), NO_SONG)
    proposed: list[tuple[Candidates, Standing]] = []
    for step in range(setting.song_count):
        moment = _moment(listening, setting, rng)
        scores = policy.scores(moment)
        np.put_along_axis(scores, offered[:, :step], -np.inf, axis=1)
        rows = best_rows(scores, setting.candidate_count)
        candidates = _candidates(rows, np.take_along_axis(scores, rows, axis=1), moment.states.now, setting)
        standing = standing_of(listening, moment.states, setting.world, setting.catalogue, setting.table, now)
        proposed.append((candidates, standing))
        song = rows[:, 0]
        engagement = candidates.predicted[:, :, 0, 0].mean(axis=1).astype(np.float32)
        listening = listening.with_play(setting.catalogue.keys[song], engagement, now)
        now = now + _seconds(setting.catalogue, song)
        offered[:, step] = song
    return _joined([each for each, _ in proposed]), _joined([each for _, each in proposed])


Joined = TypeVar("Joined", Candidates, Standing)


def _joined(parts: list[Joined]) -> Joined:
    """Return the rows of all parts, one part after another."""
    names = [column.name for column in fields(parts[0])]
    return type(parts[0])(**{name: np.concatenate([getattr(part, name) for part in parts]) for name in names})
