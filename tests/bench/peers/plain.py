"""The job over the standard library's HTTP server, one request at a time: what the tests compare with."""

import json
import sys
from dataclasses import asdict, dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final

from tests.bench.peers.job import Feedback, JobConfig, open_job
from tests.bench.peers.serving import HOST, Answer, Peer, PeerListener, Tuning


@dataclass(slots=True)
class PlainListener(PeerListener):
    """Speaks JSON to two paths."""

    async def ask(self) -> Answer:
        status, said = await self.client.post("/recommend", {"listener_id": self.listener_id})
        return Answer(status, said["recommendation_id"], said["song_id"])

    async def tell(self, recommendation_id: str, *, engagement: float, rating: float) -> int:
        feedback = Feedback(recommendation_id, self.listener_id, engagement, rating)
        status, _ = await self.client.post("/feedback", asdict(feedback))
        return status


PLAIN: Final = Peer(
    name="Plain",
    command=lambda python, config, scratch: [str(python), "-m", "tests.bench.peers.plain"],
    listener=PlainListener,
    tuning=Tuning(batch=1),
    grid=(Tuning(batch=1), Tuning(batch=8)),
)


def main() -> None:
    """Serve until told to stop."""
    config = JobConfig.from_environment()
    job = open_job(config)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            if self.path == "/recommend":
                (given,) = job.recommending.recommend([body["listener_id"]])
                answer = asdict(given)
            else:
                job.learning.take([Feedback(**body)])
                answer = {}
            said = json.dumps(answer).encode()
            self.send_response(200)
            self.send_header("content-length", str(len(said)))
            self.end_headers()
            self.wfile.write(said)

        def log_message(self, *_: object) -> None:
            sys.stderr.flush()

    ThreadingHTTPServer((HOST, config.port), Handler).serve_forever()


if __name__ == "__main__":
    main()
