"""The job on BentoML: `bentoml serve tests.bench.peers.bentoml.service:Recommender`.

Configured by the environment. One service with two batchable endpoints: what waits is dispatched together, for as
long as BentoML's dispatcher finds worth waiting. A batch is one read, one run of each graph and one commit.
"""

from typing import Any

import bentoml
from pydantic import BaseModel

from tests.bench.peers.job import Feedback, JobConfig, open_job

CONFIG = JobConfig.from_environment()
BATCHING: dict[str, Any] = {"batchable": True, "max_batch_size": CONFIG.batch, "max_latency_ms": 60_000}


class Given(BaseModel):
    """What a listener is answered."""

    recommendation_id: str
    song_id: str


class FeedbackBody(BaseModel):
    """What is told."""

    recommendation_id: str
    listener_id: str
    engagement: float
    rating: float


@bentoml.service(workers=CONFIG.workers, traffic={"timeout": 60}, logging={"access": {"enabled": False}})
class Recommender:
    """Both endpoints, and the job."""

    def __init__(self) -> None:
        self._job = open_job(JobConfig.from_environment())

    @bentoml.api(**BATCHING)
    def recommend(self, listener_ids: list[str]) -> list[Given]:
        return [
            Given(recommendation_id=each.recommendation_id, song_id=each.song_id)
            for each in self._job.recommending.recommend(listener_ids)
        ]

    @bentoml.api(**BATCHING)
    def feedback(self, feedback: list[FeedbackBody]) -> list[str]:
        self._job.learning.take([Feedback(**each.model_dump()) for each in feedback])
        return [each.recommendation_id for each in feedback]
