"""Rollouts: what a policy would play next, five songs long, for listeners of the log, inside the world model.

Each step is the road of a request, as `training.choosing` walks it. An imagined play enters the history with its
predicted engagement and nothing else: nobody reported (SCIENCE §1, presence bits). Where the log is simulated,
the truth walks beside the prediction.

Source: AMRS §3.4–3.5. Decoding is the highest score; songs already offered in the rollout are masked.

Legend: R rollouts · B rollouts still playing · T steps · D songs of a ranking's top
"""

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Final, TypeVar

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from models.catalogue import Catalogue
from models.guardrails import Candidates, GuardrailTable, LimitColumns, Rule, Rung, Standing, limit_columns
from models.listening import NO_SONG, Listening, Mode, Population
from models.standing import last_plays
from models.tokens import tokenise
from training.choosing import RANKED, RUNGS, Play, Setting, best_rows, candidates_of, choose_freely, choose_guarded
from training.platform.truth import TrueState, Truth
from training.policies.policy import Moment, Policy
from training.standing import current_modes, standing_of

_USUAL_SECONDS: Final = 240.0
"""How long a song is taken to last where the catalogue does not know."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Start:
    """Where R rollouts begin."""

    listening: Listening
    """One history each; every one has a session."""
    truth: Truth | None
    state: TrueState | None
    """The truth about each listener at the end of the history, where it is known."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Rollouts:
    """What happened in R rollouts of T steps; NaN from the step on at which a rollout fell silent."""

    song: Int[ndarray, "R T"]
    """Rows of the catalogue; `NO_SONG` where the ladder ended in silence."""
    ranked: Int[ndarray, "R T D"]
    """The songs that policy and decoder put first, best first; `NO_SONG` where they were not asked."""
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
    choose = choose_guarded if guarded else choose_freely
    exposure = np.zeros((len(Mode), len(setting.catalogue)), np.int64)

    for step in range(setting.song_count):
        moment = _moment(listening, state, setting, rng)
        scores = policy.scores(moment)
        np.put_along_axis(scores, offered[:, :step], -np.inf, axis=1)
        standing = standing_of(listening, moment.states, setting.world, setting.catalogue, setting.table, now)
        limits = _limits(listening, moment.mode, setting.table)
        play = choose(scores, listening, moment, standing, limits, setting, exposure)
        _write(record, step, active, play)

        going_on = np.flatnonzero(play.row != NO_SONG)
        active, song = active[going_on], play.row[going_on]
        np.add.at(exposure, (moment.mode[going_on], song), 1)
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


def _moment(listening: Listening, state: TrueState | None, setting: Setting, rng: np.random.Generator) -> Moment:
    """Return what a policy may look at, once the listening is tokenised and the world models have read it."""
    tokens = tokenise(listening, setting.context).latest(setting.lookback)
    rows = setting.catalogue.rows(tokens.song)
    states = setting.world.look(tokens, rows)
    return Moment(
        listening=listening,
        tokens=tokens,
        rows=rows,
        states=states,
        mode=current_modes(listening),
        rng=rng,
        true_state=state,
    )


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
        ranked=np.full((*shape, RANKED), NO_SONG),
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


def _write(record: Rollouts, step: int, active: Int[ndarray, " B"], play: Play) -> None:
    """Write one step of the rollouts still playing into the record."""
    record.song[active, step] = play.row
    record.ranked[active, step] = play.ranked
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
        moment = _moment(listening, None, setting, rng)
        scores = policy.scores(moment)
        np.put_along_axis(scores, offered[:, :step], -np.inf, axis=1)
        rows = best_rows(scores, setting.candidate_count)
        candidates = candidates_of(rows, np.take_along_axis(scores, rows, axis=1), moment.states.now, setting)
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
