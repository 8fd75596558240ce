"""How LitServe is started and spoken to."""

from pathlib import Path
from typing import Final

from tests.bench.peers.job import JobConfig
from tests.bench.peers.serving import JsonListener, Peer, Tuning, grid


def _command(python: Path, config: JobConfig, scratch: Path) -> list[str]:
    return [str(python), "-m", "tests.bench.peers.litserve.server"]


LITSERVE: Final = Peer(
    name="LitServe",
    command=_command,
    listener=JsonListener,
    tuning=Tuning(workers=1, batch=16, wait_ms=0),
    grid=grid(),
)
