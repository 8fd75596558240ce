"""How Ray Serve is started and spoken to."""

from pathlib import Path
from typing import Final

from tests.bench.peers.job import JobConfig
from tests.bench.peers.serving import JsonListener, Peer, Tuning, free_port, grid


def _command(python: Path, config: JobConfig, scratch: Path) -> list[str]:
    return ["env", *_haproxy(scratch), str(python), "-m", "tests.bench.peers.ray_serve.server", str(scratch)]


def _haproxy(scratch: Path) -> list[str]:
    """Return the variables that put Ray's own HAProxy in front of the replicas, all its files in the folder.

    HAProxy's socket needs a short path: at most 97 bytes, of which Ray takes 57.
    """
    return [
        "RAY_SERVE_THROUGHPUT_OPTIMIZED=1",
        "RAY_SERVE_ENABLE_HA_PROXY=1",
        f"RAY_SERVE_HAPROXY_CONFIG_FILE_LOC={scratch / 'haproxy.cfg'}",
        f"RAY_SERVE_HAPROXY_SOCKET_PATH={scratch / 's'}",
        f"RAY_SERVE_HAPROXY_SERVER_STATE_BASE={scratch}",
        f"RAY_SERVE_HAPROXY_SERVER_STATE_FILE={scratch / 'server-state'}",
        f"RAY_SERVE_HAPROXY_METRICS_PORT={free_port()}",
        f"RAY_SERVE_HAPROXY_STATS_PORT={free_port()}",
    ]


RAY_SERVE: Final = Peer(
    name="Ray Serve",
    command=_command,
    listener=JsonListener,
    tuning=Tuning(workers=1, batch=16, wait_ms=1),
    grid=grid(),
    environment={
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_SERVE_PROXY_READY_CHECK_TIMEOUT_S": "60",
        "RAY_worker_niceness": "0",
    },
    may_stand_still=False,  # afterwards, connections through its HAProxy were cut
)
