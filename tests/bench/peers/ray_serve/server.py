"""The job on Ray Serve: `python -m tests.bench.peers.ray_serve.server FOLDER`, configured by the environment.

A FastAPI ingress whose replicas batch what waits with `serve.batch`; the batch runs in a thread, so that the
replica's loop goes on taking requests, and is one read, one run of each graph and one commit. A cluster of its
own, below FOLDER, which ends with this process.
"""

import asyncio
import signal
import sys
from typing import Any

import ray
from fastapi import FastAPI, HTTPException
from pydantic import BaseModel
from ray import serve

from tests.bench.peers.job import Feedback, JobConfig, Recommended, open_job

CONFIG = JobConfig.from_environment()
BATCHING: dict[str, Any] = {
    "max_batch_size": CONFIG.batch,
    "batch_wait_timeout_s": CONFIG.wait_ms / 1000,
}
app = FastAPI()


class RecommendBody(BaseModel):
    """What is asked."""

    listener_id: str


class FeedbackBody(BaseModel):
    """What is told."""

    recommendation_id: str
    listener_id: str
    engagement: float
    rating: float


@serve.deployment(
    num_replicas=CONFIG.workers, max_ongoing_requests=64, ray_actor_options={"num_cpus": 1 / CONFIG.workers}
)
@serve.ingress(app)
class Recommender:
    """Both routes, and the job."""

    def __init__(self) -> None:
        self._job = open_job(JobConfig.from_environment())

    @app.post("/recommend")
    async def recommend(self, body: RecommendBody) -> dict[str, str]:
        given = await self._recommend(body.listener_id)
        return {"recommendation_id": given.recommendation_id, "song_id": given.song_id}

    @app.post("/feedback")
    async def feedback(self, body: FeedbackBody) -> dict[str, str]:
        try:
            await self._learn(Feedback(**body.model_dump()))
        except KeyError:
            raise HTTPException(404) from None
        return {"recommendation_id": body.recommendation_id}

    @serve.batch(**BATCHING)
    async def _recommend(self, listener_ids: list[str]) -> list[Recommended]:
        return await asyncio.to_thread(self._job.recommending.recommend, listener_ids)

    @serve.batch(**BATCHING)
    async def _learn(self, feedback: list[Feedback]) -> list[None]:
        await asyncio.to_thread(self._job.learning.take, feedback)
        return [None] * len(feedback)


def main(folder: str) -> None:
    """Serve until told to stop."""
    ray.init(
        address="local",
        num_cpus=2,
        include_dashboard=False,
        log_to_driver=False,
        object_store_memory=100_000_000,
        _temp_dir=folder,
    )
    serve.start(http_options={"host": "127.0.0.1", "port": CONFIG.port, "access_log": False})
    serve.run(Recommender.bind(), name="recommender", route_prefix="/")
    signal.sigwait({signal.SIGTERM, signal.SIGINT})
    ray.shutdown()


if __name__ == "__main__":
    main(sys.argv[1])
