"""How LitServe is started and spoken to."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.bench.peers.job import JobConfig
from tests.bench.peers.serving import Answer, Peer, PeerListener, Tuning, grid


@dataclass(slots=True)
class LitServeListener(PeerListener):
    """Speaks JSON to two paths."""

    async def ask(self) -> Answer:
        status, said = await self.client.post("/recommend", {"listener_id": self.listener_id})
        return Answer(status, said["recommendation_id"], said["song_id"]) if status == 200 else Answer(status)

    async def tell(self, recommendation_id: str, *, engagement: float, rating: float) -> int:
        body = {
            "recommendation_id": recommendation_id,
            "listener_id": self.listener_id,
            "engagement": engagement,
            "rating": rating,
        }
        status, _ = await self.client.post("/feedback", body)
        return status


def _command(python: Path, config: JobConfig, scratch: Path) -> list[str]:
    return [str(python), "-m", "tests.bench.peers.litserve.server"]


LITSERVE: Final = Peer(
    name="LitServe",
    command=_command,
    listener=LitServeListener,
    tuning=Tuning(workers=1, batch=16, wait_ms=0),
    grid=grid(),
)
