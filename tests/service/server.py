"""A running service for tests: the app that production runs, on a real socket, in a thread of this process."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from socket import socket
from threading import Thread
from time import sleep
from typing import Any

import httpx
import uvicorn

from service.app import create_app
from service.clock import SECOND, Instant, system_clock
from service.serve import server_config
from service.settings import Settings


@dataclass
class SteppedClock:
    """The system's clock, which a test may put forward."""

    ahead: Instant = 0

    def __call__(self) -> Instant:
        return system_clock() + self.ahead

    def put_forward(self, seconds: float) -> None:
        """Let time pass."""
        self.ahead += int(seconds * SECOND)


@dataclass
class Listener:
    """A listener's app: the few requests that tests send again and again, with ids of their own."""

    client: httpx.Client
    listener_id: str = "l-1"
    session_id: str = "s-1"
    numbers: Any = field(default_factory=count)

    @property
    def path(self) -> str:
        return f"/v1/listeners/{self.listener_id}"

    def start(self, **body: Any) -> httpx.Response:
        """Begin the session."""
        body = {"session_id": self.session_id, "mode": "unspecified", **body}
        return self.client.post(f"{self.path}/sessions", json=body)

    def ask(self, **body: Any) -> httpx.Response:
        """Ask for the next song."""
        body = {"request_id": f"r-{next(self.numbers)}", **body}
        return self.client.post(f"{self.path}/sessions/{self.session_id}/recommendations", json=body)

    def tell(self, recommendation_id: str, **body: Any) -> httpx.Response:
        """Tell what became of a song."""
        body = {"event_id": f"e-{next(self.numbers)}", **(body or {"engagement": 0.9})}
        return self.client.post(f"{self.path}/recommendations/{recommendation_id}/feedback", json=body)

    def end(self, **body: Any) -> httpx.Response:
        """End the session."""
        body = {"event_id": f"e-{next(self.numbers)}", "report": None, **body}
        return self.client.post(f"{self.path}/sessions/{self.session_id}/end", json=body)

    def cycle(self) -> dict[str, Any]:
        """Ask for a song and play it; return the recommendation."""
        answer = self.ask()
        assert answer.status_code == 200, answer.text
        (song,) = answer.json()["recommendations"]
        told = self.tell(song["recommendation_id"])
        assert told.status_code == 200, told.text
        return song


@contextmanager
def serving(settings: Settings, *, clock: Any = system_clock) -> Iterator[httpx.Client]:
    """Serve; give a client."""
    app = create_app(settings, clock=clock)
    with socket() as listening:
        listening.bind(("127.0.0.1", 0))
        server = uvicorn.Server(server_config(settings, app))
        thread = Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            while not server.started and thread.is_alive():
                sleep(0.005)
            assert server.started, "the service did not start"
            port = listening.getsockname()[1]
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
                yield client
        finally:
            server.should_exit = True
            thread.join()
