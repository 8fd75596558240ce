"""How MLServer is started and spoken to."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.bench.peers.job import JobConfig
from tests.bench.peers.serving import Answer, Peer, PeerListener, Tuning, grid

HERE: Final = Path(__file__).parent


@dataclass(slots=True)
class MLServerListener(PeerListener):
    """Speaks the V2 inference protocol."""

    async def ask(self) -> Answer:
        status, said = await self.client.post(
            "/v2/models/recommend/infer", {"inputs": [_one("listener_id", "BYTES", self.listener_id)]}
        )
        if status != 200:
            return Answer(status)
        outputs = {each["name"]: each["data"][0] for each in said["outputs"]}
        return Answer(status, outputs["recommendation_id"], outputs["song_id"])

    async def tell(self, recommendation_id: str, *, engagement: float, rating: float) -> int:
        inputs = [
            _one("recommendation_id", "BYTES", recommendation_id),
            _one("listener_id", "BYTES", self.listener_id),
            _one("engagement", "FP64", engagement),
            _one("rating", "FP64", rating),
        ]
        status, _ = await self.client.post("/v2/models/feedback/infer", {"inputs": inputs})
        return status


def _one(name: str, datatype: str, value: str | float) -> dict[str, Any]:
    return {"name": name, "shape": [1, 1], "datatype": datatype, "data": [value]}


def _command(python: Path, config: JobConfig, scratch: Path) -> list[str]:
    """Write the settings with the tuning in them, as MLServer reads them: from files in a folder.

    One worker is the server's own process.
    """
    settings = json.loads((HERE / "settings.json").read_text())
    apart = config.workers if config.workers > 1 else 0
    settings |= {"http_port": config.port, "parallel_workers": apart}
    (scratch / "settings.json").write_text(json.dumps(settings))
    for name in ("recommend", "feedback"):
        model = json.loads((HERE / name / "model-settings.json").read_text())
        model |= {"max_batch_size": config.batch, "max_batch_time": config.wait_ms / 1000}
        (scratch / name).mkdir()
        (scratch / name / "model-settings.json").write_text(json.dumps(model))
    return [str(python), "-m", "mlserver.cli.main", "start", str(scratch)]


MLSERVER: Final = Peer(
    name="MLServer",
    command=_command,
    listener=MLServerListener,
    tuning=Tuning(workers=1, batch=8, wait_ms=2),
    grid=grid(),
)
