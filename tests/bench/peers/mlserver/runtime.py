"""The job on MLServer: two models of the V2 inference protocol, batched by MLServer.

A batch is one read, one run of each graph and one commit, in a thread, so that the server's loop goes on taking
requests. Both models live in one process and share the job.
"""

import asyncio
from functools import cache

import numpy as np
from mlserver import MLModel
from mlserver.codecs import NumpyCodec, StringCodec
from mlserver.types import InferenceRequest, InferenceResponse, ResponseOutput

from tests.bench.peers.job import Feedback, Job, JobConfig, open_job


@cache
def job() -> Job:
    """Return the job of this process."""
    return open_job(JobConfig.from_environment())


class Recommend(MLModel):
    """`listener_id` in, `recommendation_id` and `song_id` out."""

    async def load(self) -> bool:
        job()
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        (listener_ids,) = (StringCodec.decode_input(each) for each in payload.inputs)
        given = await asyncio.to_thread(job().recommending.recommend, listener_ids)
        return InferenceResponse(
            model_name=self.name,
            outputs=[
                _strings("recommendation_id", [each.recommendation_id for each in given]),
                _strings("song_id", [each.song_id for each in given]),
            ],
        )


class TakeFeedback(MLModel):
    """`recommendation_id`, `listener_id`, `engagement` and `rating` in, `recommendation_id` out."""

    async def load(self) -> bool:
        job()
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        inputs = {each.name: each for each in payload.inputs}
        recommendation_ids = StringCodec.decode_input(inputs["recommendation_id"])
        listener_ids = StringCodec.decode_input(inputs["listener_id"])
        signals = np.column_stack(
            [NumpyCodec.decode_input(inputs[name]).ravel() for name in ("engagement", "rating")]
        )
        feedback = [
            Feedback(*each, *both)
            for *each, both in zip(recommendation_ids, listener_ids, signals.tolist(), strict=True)
        ]
        await asyncio.to_thread(job().learning.take, feedback)
        return InferenceResponse(model_name=self.name, outputs=[_strings("recommendation_id", recommendation_ids)])


def _strings(name: str, values: list[str]) -> ResponseOutput:
    return StringCodec.encode_output(name, values)
