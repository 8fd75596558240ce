"""Bodies of the listener's routes, in and out, as HTTP version 1 draws them."""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from service.api.fields import (
    EXPECTED,
    Figure,
    Id,
    Incoming,
    ModeName,
    Moment,
    Outgoing,
    PopulationName,
    Rating,
    RecommendationId,
    Report,
    SongCount,
    Time,
    Unit,
    expected,
)

Seconds = Annotated[float, Field(ge=0, le=86_400), expected("a number of seconds from 0 to 86400")]


class StartSessionBody(Incoming):
    """A session begins."""

    session_id: Id
    mode: ModeName = "unspecified"
    report: Report | None = None
    """Before listening; null or absent where nobody asked or answered."""
    population: PopulationName | None = None
    """Remembered for the listener."""
    context: Annotated[dict[str, str | float | None], expected("an object of strings and numbers")] = Field(
        default_factory=dict
    )
    """Keys the live bundle declares; others are refused."""


class StartedView(Outgoing):
    """The session that began."""

    session_id: str
    listener_id: str
    mode: str
    started_at: Time
    duplicate: bool


class RecommendBody(Incoming):
    """The next songs are wanted."""

    request_id: Id
    count: SongCount = 1
    exclude: Annotated[list[Id], Field(max_length=1000)] = Field(default_factory=list)


class SongView(Outgoing):
    """A song, as a player shows it."""

    song_id: str
    title: str | None
    artist: str | None
    duration_seconds: float | None


class IntervalView(Outgoing):
    """A predicted signal and where, by calibration, the truth is likely to lie."""

    mean: Figure
    low: Figure
    high: Figure


class ProbabilityView(Outgoing):
    """The predicted probability of a like."""

    probability: Figure


class PredictedView(Outgoing):
    """What the world model predicts of a song."""

    engagement: IntervalView
    valence: IntervalView
    arousal: IntervalView
    rating: ProbabilityView
    step: int | None = None
    """1 plus the songs before it whose feedback is not known; the intervals widen with it. Null in answers given
    before intervals had steps."""


class GuardrailsView(Outgoing):
    """What the guardrails did on the way to a song."""

    considered: int
    vetoed: dict[str, int]
    fallback: Literal["wider", "known_safe", "approved"] | None


class RecommendationView(Outgoing):
    """One song to play."""

    recommendation_id: str
    position: int
    song: SongView
    predicted: PredictedView | None
    """Null on a rung that does not rest on predictions, where there were none."""
    guardrails: GuardrailsView


class RecommendationsView(Outgoing):
    """The next songs; none, with the reason, where no song may be given."""

    request_id: str
    duplicate: bool
    recommendations: list[RecommendationView]
    bundle: str
    degraded: list[str]
    reason: str | None = None


_SAYS_SOMETHING = [
    {"required": [name], "properties": {name: {"not": {"type": "null"}}}}
    for name in ("played_seconds", "engagement", "rating")
]


class FeedbackBody(Incoming):
    """What became of a recommended song: how much was heard, or how engaged, and perhaps a rating."""

    model_config = ConfigDict(json_schema_extra={"anyOf": _SAYS_SOMETHING})  # type: ignore[dict-item]

    event_id: Id
    played_seconds: Seconds | None = None
    """Engagement follows from the song's duration, unless it is given."""
    engagement: Unit | None = None
    rating: Rating | None = None
    occurred_at: Moment | None = None

    @model_validator(mode="after")
    def _says_something(self) -> "FeedbackBody":
        if self.played_seconds is None and self.engagement is None and self.rating is None:
            raise PydanticCustomError(EXPECTED, "expected played_seconds, engagement or rating, got none of them")
        return self


class AcknowledgedView(Outgoing):
    """An event was written down."""

    event_id: str
    duplicate: bool


class ModeBody(Incoming):
    """The listener wants another mode from here on."""

    event_id: Id
    mode: ModeName
    occurred_at: Moment | None = None


class ModeView(Outgoing):
    """The mode now in force."""

    event_id: str
    session_id: str
    mode: str
    duplicate: bool


class EndSessionBody(Incoming):
    """The session is over."""

    event_id: Id
    report: Report | None = None
    """After listening; null or absent where nobody asked or answered."""
    occurred_at: Moment | None = None


class EndedView(Outgoing):
    """The session that ended."""

    session_id: str
    ended_at: Time
    duplicate: bool


class FeedbackEvent(FeedbackBody):
    """Feedback that waited on the listener's device."""

    type: Literal["feedback"]
    recommendation_id: RecommendationId


class ModeEvent(ModeBody):
    """A change of mode that waited."""

    type: Literal["mode"]
    session_id: Id


class EndEvent(EndSessionBody):
    """A session's end that waited."""

    type: Literal["end"]
    session_id: Id


OfflineEvent = Annotated[FeedbackEvent | ModeEvent | EndEvent, Field(discriminator="type")]


class EventsBody(Incoming):
    """What happened while the app was offline, oldest first."""

    events: Annotated[list[OfflineEvent], Field(min_length=1, max_length=500)]


class EventResultView(Outgoing):
    """What became of one event: the status it would have had by itself."""

    event_id: str
    status: int
    duplicate: bool
    detail: str | None = None


class EventsView(Outgoing):
    """What became of each event, in the order they came."""

    results: list[EventResultView]


class PlayView(Outgoing):
    """One song that was played."""

    session_id: str
    position: int
    song_id: str
    title: str | None
    artist: str | None
    mode: str
    bundle: str
    state: Literal["played", "skipped"]
    offered_at: Time
    played_at: Time
    engagement: float | None
    rating: int | None


class ReportView(Outgoing):
    """What a listener said."""

    valence: float
    arousal: float


class SessionView(Outgoing):
    """A session, and what the listener said at either end of it."""

    session_id: str
    mode: str
    started_at: Time
    ended_at: Time | None
    before: ReportView | None
    after: ReportView | None


class HistoryView(Outgoing):
    """A page of plays, the latest first, and the sessions they belong to; `before` leads to the next page."""

    listener_id: str
    plays: list[PlayView]
    sessions: list[SessionView]
    before: str | None
