"""Recommendations over HTTP: the next songs, why they were chosen, and what became of them."""

from typing import Annotated

from fastapi import APIRouter, Path, Response

from service.access.caller import Scope
from service.api.bodies import (
    AcknowledgedView,
    FeedbackBody,
    GuardrailsView,
    IntervalView,
    PredictedView,
    ProbabilityView,
    RecommendationsView,
    RecommendationView,
    RecommendBody,
    SongView,
)
from service.api.dependencies import ListenerDep, PartsDep, needs
from service.api.document import CONFLICTS
from service.api.fields import Id, RecommendationId
from service.api.strict import StrictRoute
from service.api.why import DecisionView, explain
from service.journal.feedback import RecordFeedback
from service.journal.recommendations import read_decision
from service.journal.withdrawals import withdrawn_among
from service.listener import ListenerKey
from service.parts import Parts
from service.recommend.predict import Interval, Prediction
from service.recommend.recommend import Recommendation
from service.recommend.road import Asked, Given

router = APIRouter(
    prefix="/v1/listeners/{listener_id}",
    tags=["recommendations"],
    route_class=StrictRoute,
    dependencies=[needs(Scope.APP)],
)

RecommendationIdPath = Annotated[RecommendationId, Path()]


@router.post("/sessions/{session_id}/recommendations", response_model=RecommendationsView, responses=CONFLICTS)
async def recommend(
    session_id: Annotated[Id, Path()], body: RecommendBody, listener: ListenerDep, parts: PartsDep
) -> Response:
    """Choose the next songs, and put them on record; the guardrails have the last word."""
    asked = Asked(
        listener=listener,
        session_id=session_id,
        request_id=body.request_id,
        count=body.count,
        exclude=tuple(body.exclude),
    )
    written = await parts.road.next_songs(
        asked, lambda given: view(body.request_id, given).model_dump_json().encode()
    )
    if not written.duplicate:
        return Response(written.answer, media_type="application/json")
    first = RecommendationsView.model_validate_json(written.answer)
    again = await _without_withdrawn(first.model_copy(update={"duplicate": True}), parts)
    return Response(again.model_dump_json(), media_type="application/json")


async def _without_withdrawn(first: RecommendationsView, parts: Parts) -> RecommendationsView:
    """Return an answer that was given before, less the songs that were withdrawn since."""
    asked = {each.song.song_id for each in first.recommendations}
    withdrawn = await parts.journal.read(lambda sql: withdrawn_among(sql, asked))
    if not withdrawn:
        return first
    kept = [each for each in first.recommendations if each.song.song_id not in withdrawn]
    reason = f"{len(withdrawn)} of the songs given before have been withdrawn since"
    return first.model_copy(update={"recommendations": kept, "reason": reason})


def view(request_id: str, given: Given) -> RecommendationsView:
    """Return what the road gives as it goes over the wire."""
    return RecommendationsView(
        request_id=request_id,
        duplicate=False,
        recommendations=[
            _recommendation(recommendation_id, position, each) for recommendation_id, position, each in given.songs
        ],
        bundle=given.bundle,
        degraded=list(given.degraded),
        reason=given.reason,
    )


def _recommendation(recommendation_id: str, position: int, each: Recommendation) -> RecommendationView:
    return RecommendationView(
        recommendation_id=recommendation_id,
        position=position,
        song=SongView(
            song_id=each.song.song_id,
            title=each.song.title,
            artist=each.song.artist,
            duration_seconds=each.song.duration_seconds,
        ),
        predicted=each.predicted and _predicted(each.predicted),
        guardrails=GuardrailsView(considered=each.considered, vetoed=dict(each.vetoed), fallback=each.fallback),
    )


def _predicted(prediction: Prediction) -> PredictedView:
    return PredictedView(
        engagement=_interval(prediction.engagement),
        valence=_interval(prediction.valence),
        arousal=_interval(prediction.arousal),
        rating=ProbabilityView(probability=prediction.rating),
        step=prediction.step,
    )


def _interval(interval: Interval) -> IntervalView:
    return IntervalView(mean=interval.mean, low=interval.low, high=interval.high)


@router.get("/recommendations/{recommendation_id}")
async def why(recommendation_id: RecommendationIdPath, listener: ListenerDep, parts: PartsDep) -> DecisionView:
    """Return the whole decision behind a recommendation, as it was taken."""
    token = parts.signer.read(listener, recommendation_id)
    at, settings = parts.clock(), parts.settings
    recorded = await parts.journal.read(
        lambda sql: read_decision(
            sql,
            listener,
            token,
            at=at,
            idle_limit_seconds=settings.idle_limit_seconds,
            expiry_seconds=settings.recommendation_expiry_seconds,
        )
    )
    return explain(recommendation_id, recorded, parts.live.song_id_of)


@router.post("/recommendations/{recommendation_id}/feedback", responses=CONFLICTS)
async def take_feedback(
    recommendation_id: RecommendationIdPath, body: FeedbackBody, listener: ListenerDep, parts: PartsDep
) -> AcknowledgedView:
    """Put on record what became of a song; a later event may add the rating or correct the engagement."""
    written = await parts.record(feedback_command(body, recommendation_id, listener, parts))
    return AcknowledgedView(event_id=body.event_id, duplicate=written.duplicate)


def feedback_command(
    body: FeedbackBody, recommendation_id: str, listener: ListenerKey, parts: Parts
) -> RecordFeedback:
    """Return the write that feedback asks for.

    Raises:
        UnknownRecommendation: the id was not made here for this listener.
    """
    return RecordFeedback(
        listener=listener,
        at=parts.clock(),
        token=parts.signer.read(listener, recommendation_id),
        event_id=body.event_id,
        played_seconds=body.played_seconds,
        engagement=body.engagement,
        rating=body.rating,
        occurred_at=body.occurred_at,
        idle_limit_seconds=parts.settings.idle_limit_seconds,
    )
