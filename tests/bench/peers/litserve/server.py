"""The job on LitServe: `python -m tests.bench.peers.litserve.server`, configured by the environment.

Two `LitAPI`s on two paths, each with workers of its own behind LitServe's queues; a batch of requests is one call
of `predict`, so one read, one run of each graph and one commit.
"""

from collections.abc import Sequence
from typing import Any

import litserve
from pydantic import BaseModel

from tests.bench.peers.job import Feedback, JobConfig, Recommended, open_job, open_learning


class RecommendBody(BaseModel):
    """What is asked."""

    listener_id: str


class FeedbackBody(BaseModel):
    """What is told."""

    recommendation_id: str
    listener_id: str
    engagement: float
    rating: float


class _InLists(litserve.LitAPI):
    """Takes batches as lists, and a request that comes alone as a list of one."""

    def batch(self, inputs: Sequence[Any]) -> list[Any]:
        return list(inputs)

    def unbatch(self, output: list[Any]) -> list[Any]:
        return output

    def predict(self, given: Any) -> Any:
        if self.max_batch_size > 1:
            return self.answer(given)
        return self.answer([given])[0]

    def answer(self, given: list[Any]) -> list[Any]:
        raise NotImplementedError


class Recommend(_InLists):
    """A listener's id in, a song out."""

    def setup(self, device: str) -> None:
        self.recommending = open_job(JobConfig.from_environment()).recommending

    def decode_request(self, request: RecommendBody) -> str:
        return request.listener_id

    def answer(self, given: list[str]) -> list[Recommended]:
        return self.recommending.recommend(given)

    def encode_response(self, output: Recommended) -> dict[str, str]:
        return {"recommendation_id": output.recommendation_id, "song_id": output.song_id}


class TakeFeedback(_InLists):
    """Feedback in, committed."""

    def setup(self, device: str) -> None:
        self.learning = open_learning(JobConfig.from_environment())

    def decode_request(self, request: FeedbackBody) -> Feedback:
        return Feedback(**request.model_dump())

    def answer(self, given: list[Feedback]) -> list[str]:
        self.learning.take(given)
        return [each.recommendation_id for each in given]

    def encode_response(self, output: str) -> dict[str, str]:
        return {"recommendation_id": output}


def main() -> None:
    """Serve until told to stop."""
    config = JobConfig.from_environment()
    batching = {"max_batch_size": config.batch, "batch_timeout": config.wait_ms / 1000}
    recommend = Recommend(api_path="/recommend", **batching)
    feedback = TakeFeedback(api_path="/feedback", **batching)
    server = litserve.LitServer(
        [recommend, feedback],
        accelerator="cpu",
        workers_per_device=config.workers,
        fast_queue=True,
        track_requests=False,
    )
    server.run(
        host="127.0.0.1",
        port=config.port,
        generate_client_file=False,
        log_level="warning",
        access_log=False,
    )


if __name__ == "__main__":
    main()
