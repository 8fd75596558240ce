"""Why: a recorded decision as its reader sees it, taken again from the record and not from today's state."""

from collections.abc import Callable
from math import isfinite
from typing import SupportsFloat

import numpy as np

from models.affect import Signal
from models.decision import Decision, Trial, replay, unpack_decision
from models.guardrails import Choice, rules_of
from models.listening import NO_SONG
from service.api.fields import Outgoing, Time, six_decimals
from service.errors import UnknownRecommendation
from service.journal.recommendations import RecordedDecision

SongIdOf = Callable[[int], str | None]
"""The id behind a song key; None for a song that is not there any more."""

DETERMINISTIC = "deterministic"


class EstimateView(Outgoing):
    """Where the listener was taken to stand."""

    valence: float | None
    arousal: float | None
    source: str
    """`report`, `world_model` or `prior`."""


class CandidatePredictionView(Outgoing):
    """What the world model predicted, the mean over its members; null where it could not be computed."""

    engagement: float | None
    rating: float | None
    valence: float | None
    arousal: float | None


class CandidateView(Outgoing):
    """One song that was considered."""

    song_id: str | None
    rung: str
    score: float | None
    """The policy's cosine."""
    order: int
    """Its place before the guardrails on its rung, from 0, as the bundle's decoder has it."""
    predicted: CandidatePredictionView
    arousal_step: float | None
    valence_step: float | None
    spread: float | None
    """Of the arousal step, over the world models."""
    vetoed_by: list[str]


class DecisionView(Outgoing):
    """A decision, whole."""

    recommendation_id: str
    decided_at: Time
    song_id: str
    bundle: str
    mode: str
    history_length: int
    estimate: EstimateView
    limits: dict[str, float]
    limits_digest: str
    decoder: str
    """`policy`, the policy's own order; or `rerank`, its first songs by a pessimistic utility."""
    snapshot: str
    coverage: float
    rung: str
    probability: float | str
    state: str
    candidates: list[CandidateView]


def explain(recommendation_id: str, recorded: RecordedDecision, song_id_of: SongIdOf) -> DecisionView:
    """Return the decision behind a recommendation, replayed from its record.

    Raises:
        UnknownRecommendation: it reached the journal with its feedback only, and no decision with it.
    """
    if recorded.decision is None:
        raise UnknownRecommendation("the decision behind this recommendation is not on record")
    decision = unpack_decision(recorded.decision)
    _, _, choices = replay(decision)
    return DecisionView(
        recommendation_id=recommendation_id,
        decided_at=recorded.offered_at,
        song_id=recorded.song_id,
        bundle=decision.bundle,
        mode=decision.mode,
        history_length=decision.history_length,
        estimate=_estimate(decision),
        limits=decision.limits.model_dump(),
        limits_digest=decision.limits.digest,
        decoder=decision.decoder.kind,
        snapshot=decision.snapshot_id,
        coverage=decision.coverage,
        rung=decision.rung.value,
        probability=DETERMINISTIC,
        state=recorded.state,
        candidates=[
            candidate
            for trial, choice in zip(decision.trials, choices, strict=True)
            for candidate in _candidates(trial, choice, song_id_of)
        ],
    )


def _estimate(decision: Decision) -> EstimateView:
    played = decision.estimate_source == "world_model"
    valence, arousal = decision.standing.estimate[0].mean(axis=0) if played else decision.standing.anchor[0]
    return EstimateView(valence=_number(valence), arousal=_number(arousal), source=decision.estimate_source)


def _candidates(trial: Trial, choice: Choice, song_id_of: SongIdOf) -> list[CandidateView]:
    songs, scores = trial.candidates.song[0], trial.candidates.score[0]
    predicted = trial.candidates.predicted[0].mean(axis=0)  # (K, 4)
    steps, spreads, forbidden = choice.steps.step[0], choice.steps.spread[0], choice.forbidden[0]
    dealt = np.where(np.isfinite(choice.dealt[0]), choice.dealt[0], -np.inf)
    order = np.argsort(np.argsort(-dealt, kind="stable"), kind="stable")
    return [
        CandidateView(
            song_id=song_id_of(int(songs[place])),
            rung=trial.rung.value,
            score=_number(scores[place]),
            order=int(order[place]),
            predicted=CandidatePredictionView(
                engagement=_number(predicted[place, Signal.ENGAGEMENT]),
                rating=_number(predicted[place, Signal.RATING]),
                valence=_number(predicted[place, Signal.VALENCE]),
                arousal=_number(predicted[place, Signal.AROUSAL]),
            ),
            arousal_step=_number(steps[place, 1]),
            valence_step=_number(steps[place, 0]),
            spread=_number(spreads[place, 1]),
            vetoed_by=[rule.label for rule in rules_of(int(forbidden[place]))],
        )
        for place in range(len(songs))
        if songs[place] != NO_SONG
    ]


def _number(value: SupportsFloat) -> float | None:
    """Return a number that JSON has, or nothing."""
    number = float(value)
    return six_decimals(number) if isfinite(number) else None
