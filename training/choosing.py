"""One step of a rollout: of the songs a policy puts first, the one that is played.

Each step is the road of a request: match → predict → guard → choose, with the guardrails and the ladder that
serve; or the policy alone, and what the guardrails would have said.

Legend: B rollouts still playing · b of them, still waiting for a song · N songs · K candidates ·
D songs of a ranking's top
"""

from dataclasses import dataclass, fields, replace
from typing import Final, TypeVar

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from models.catalogue import Catalogue
from models.context import ContextSchema
from models.decoder import POLICY_ORDER, Decoder
from models.guardrails import (
    PROPOSED_RUNGS,
    Candidates,
    Choice,
    GuardrailTable,
    LimitColumns,
    Rule,
    Rung,
    Standing,
    guard_and_choose,
)
from models.known_safe import known_safe_songs
from models.ladder import descend, list_scores, reach
from models.listening import NO_SONG, Listening, Mode, song_keys
from training.policies.policy import Moment
from training.trained import World


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Setting:
    """Everything that stays the same over every rollout."""

    catalogue: Catalogue
    context: ContextSchema
    lookback: int
    world: World
    table: GuardrailTable
    support_distance: Float[ndarray, " N"]
    """From each song to its nearest training song."""
    candidate_count: int = 100
    """K."""
    decoder: Decoder = POLICY_ORDER
    """In which order the policy's songs come before the guardrails."""
    song_count: int = 5
    """T."""


RUNGS: Final = tuple(Rung)
"""The ladder's rungs in order; rollouts store a rung as its place here."""
RANKED: Final = 10
"""D: how many of the songs that come first are kept of each step."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Play:
    """The songs of one step, and what is said of them."""

    row: Int[ndarray, " B"]
    predicted: Float[ndarray, "B 4"]
    step: Float[ndarray, "B 2"]
    forbidden: Int[ndarray, " B"]
    rung: Int[ndarray, " B"]
    vetoed: Float[ndarray, "B rules"]
    ranked: Int[ndarray, "B D"]
    """The songs that policy and decoder put first, before any guardrail; `NO_SONG` beyond the candidates."""

    def rank(self, rows: Int[ndarray, "B K"], choice: Choice) -> None:
        """Write down in which order policy and decoder put the candidates."""
        order = np.argsort(-choice.dealt, axis=1, kind="stable")[:, :RANKED]
        self.ranked[:, : order.shape[1]] = np.take_along_axis(rows, order, axis=1)

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


def _nobody_played(count: int) -> Play:
    """Return what a step is before any rung has spoken: silence."""
    return Play(
        row=np.full(count, NO_SONG),
        predicted=np.full((count, 4), np.nan),
        step=np.full((count, 2), np.nan),
        forbidden=np.zeros(count, np.int64),
        rung=np.full(count, RUNGS.index(Rung.SILENCE)),
        vetoed=np.full((count, len(Rule)), np.nan),
        ranked=np.full((count, RANKED), NO_SONG),
    )


def choose_freely(
    scores: Float[ndarray, "B N"],
    listening: Listening,
    moment: Moment,
    standing: Standing,
    limits: LimitColumns,
    setting: Setting,
    exposure: Int[ndarray, "modes N"],
) -> Play:
    """Return the first song as the decoder has it, and what the guardrails would have said of it."""
    del listening
    play = _nobody_played(len(scores))
    rows = best_rows(scores, min(max(setting.decoder.reach, RANKED), setting.candidate_count))
    candidates = candidates_of(rows, np.take_along_axis(scores, rows, axis=1), moment.states.now, setting)
    choice = _judged(candidates, rows, moment.mode, standing, limits, Rung.POLICY, setting, exposure)
    play.rank(rows, choice)
    first = replace(choice, chosen=choice.dealt.argmax(axis=1))
    play.take(np.arange(len(rows)), rows, candidates, first, Rung.POLICY)
    return play


def choose_guarded(
    scores: Float[ndarray, "B N"],
    listening: Listening,
    moment: Moment,
    standing: Standing,
    limits: LimitColumns,
    setting: Setting,
    exposure: Int[ndarray, "modes N"],
) -> Play:
    """Return the ladder's song for each listener, widest rung first.

    Args:
        exposure: how often each song was played so far under each mode, which a decoder may weigh.
    """
    play = _nobody_played(len(scores))

    def ask(rung: Rung, waiting: Int[ndarray, " b"]) -> Int[ndarray, " b"]:
        rows, score = _proposed(rung, scores[waiting], listening, moment.mode, waiting, setting)
        candidates = candidates_of(rows, score, moment.states.now[waiting], setting)
        standing_here, limits_here = _of(standing, waiting), _of(limits, waiting)
        mode = moment.mode[waiting]
        choice = _judged(candidates, rows, mode, standing_here, limits_here, rung, setting, exposure)
        if rung is Rung.POLICY:
            play.rank(rows, choice)
            bits = np.array([int(rule) for rule in Rule])
            play.vetoed[:] = ((choice.forbidden[..., None] & bits) > 0).mean(axis=1)
        play.take(waiting, rows, candidates, choice, rung)
        return choice.chosen

    descend(len(scores), ask)
    return play


def _proposed(
    rung: Rung,
    scores: Float[ndarray, "b N"],
    listening: Listening,
    mode: Int[ndarray, " B"],
    waiting: Int[ndarray, " b"],
    setting: Setting,
) -> tuple[Int[ndarray, "b K"], Float[ndarray, "b K"]]:
    """Return the rung's candidates for the listeners who wait; no song stands where one was masked."""
    most = reach(rung, setting.candidate_count)
    if rung in PROPOSED_RUNGS:
        rows = best_rows(scores, most)
        return rows, np.take_along_axis(scores, rows, axis=1)
    if rung is Rung.KNOWN_SAFE:
        listed = [setting.catalogue.rows(known_safe_songs(listening, int(b))) for b in waiting]
    else:
        listed = [_approved_rows(setting, Mode(int(mode[b]))) for b in waiting]
    rows = np.full((len(waiting), max(1, *(len(each) for each in listed))), NO_SONG)
    for place, each in enumerate(listed):
        rows[place, : len(each)] = each
    is_masked = np.isneginf(np.take_along_axis(scores, np.maximum(rows, 0), axis=1))
    rows = np.where(is_masked, NO_SONG, rows)[:, :most]
    return rows, np.broadcast_to(list_scores(rows.shape[1]), rows.shape)


def _approved_rows(setting: Setting, mode: Mode) -> Int[ndarray, " n"]:
    """Return the rows of the songs that are approved for a mode."""
    return setting.catalogue.rows(song_keys(list(setting.table.approved.get(mode.label, ()))))


def candidates_of(
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


def _judged(
    candidates: Candidates,
    rows: Int[ndarray, "b K"],
    mode: Int[ndarray, " b"],
    standing: Standing,
    limits: LimitColumns,
    rung: Rung,
    setting: Setting,
    exposure: Int[ndarray, "modes N"],
) -> Choice:
    """Return the guardrails' choice; the coverage floor is never reached in a rollout."""
    return guard_and_choose(
        candidates,
        standing,
        limits,
        rung=rung,
        decoder=setting.decoder,
        mode=mode,
        shown=np.where(rows == NO_SONG, 0, exposure[mode[:, None], rows]),
        coverage=np.ones(len(rows)),
    )


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
