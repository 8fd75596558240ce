"""How BentoML is started and spoken to."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.bench.peers.job import JobConfig
from tests.bench.peers.serving import HOST, ROOT, Answer, Peer, PeerListener, Tuning, grid


@dataclass(slots=True)
class BentoMLListener(PeerListener):
    """Speaks JSON to batchable endpoints: a list of one in, a list of one out."""

    async def ask(self) -> Answer:
        status, said = await self.client.post("/recommend", {"listener_ids": [self.listener_id]})
        return (
            Answer(status, said[0]["recommendation_id"], said[0]["song_id"]) if status == 200 else Answer(status)
        )

    async def tell(self, recommendation_id: str, *, engagement: float, rating: float) -> int:
        body = {
            "recommendation_id": recommendation_id,
            "listener_id": self.listener_id,
            "engagement": engagement,
            "rating": rating,
        }
        status, _ = await self.client.post("/feedback", {"feedback": [body]})
        return status


def _command(python: Path, config: JobConfig, scratch: Path) -> list[str]:
    service = "tests.bench.peers.bentoml.service:Recommender"
    place = ["--working-dir", str(ROOT), "--host", HOST, "--port", str(config.port)]
    return [str(python), "-m", "bentoml", "serve", service, *place]


BENTOML: Final = Peer(
    name="BentoML",
    command=_command,
    listener=BentoMLListener,
    tuning=Tuning(workers=1, batch=16),
    grid=grid(waits_ms=(0,)),
    environment={"BENTOML_DO_NOT_TRACK": "True"},
)
