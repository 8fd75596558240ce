"""Listeners whose apps keep a ledger: every write that was acknowledged, to be reconciled with SQL at the end.

An app sends each request again, the very same, until it is answered: that is what the API asks of apps. What it
saw meanwhile is counted. A request that was never answered may or may not be in SQL; one that was must be, once.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Event, Thread
from time import monotonic, sleep
from typing import Any

import httpx
from sqlalchemy import Column, NullPool, create_engine, select

from service.journal.engine import database_of
from service.journal.tables import feedback, listeners, plays, receipts, recommendations, sessions

AGAIN = frozenset({429, 502, 503, 504})
"""The statuses after which the same request is sent again."""
PAUSE_SECONDS = 0.05


@dataclass
class Ledger:
    """What one app was told."""

    listener_id: str
    offered: dict[int, str] = field(default_factory=dict)
    """Position → song, of every acknowledged recommendation."""
    told: dict[str, int] = field(default_factory=dict)
    """Event → position, of every acknowledged feedback."""
    open_requests: set[str] = field(default_factory=set)
    """Ids of writes that were sent and not answered."""
    seen: Counter[str] = field(default_factory=Counter)
    """What came instead of an answer: a status, or `broken` for a connection that ended."""
    wrong: list[str] = field(default_factory=list)
    """Answers that an app could not have done anything about: any one is a failure of the service."""
    seconds: list[float] = field(default_factory=list)
    """How long each answer took that was one."""
    degraded: Counter[str] = field(default_factory=Counter)
    """What recommendations said they were made without."""


class App(Thread):
    """One listener's app, going round until it is told to stop."""

    def __init__(
        self, client: httpx.Client, listener_id: str, stopped: Event, *, give_up_seconds: float = 30.0
    ) -> None:
        super().__init__(name=listener_id, daemon=True)
        self.ledger = Ledger(listener_id)
        self._client = client
        self._stopped = stopped
        self._give_up_seconds = give_up_seconds
        self._path = f"/v1/listeners/{listener_id}"

    def run(self) -> None:
        """Start a session, then ask and tell in turn."""
        with self._client:
            begin = {"session_id": "s", "mode": "unspecified", "report": {"valence": 0.5, "arousal": 0.5}}
            if self._send("session", f"{self._path}/sessions", begin) is None:
                return
            number = 0
            while not self._stopped.is_set():
                self._cycle(number)
                number += 1

    def _cycle(self, number: int) -> None:
        request_id = f"r-{number}"
        answer = self._send(request_id, f"{self._path}/sessions/s/recommendations", {"request_id": request_id})
        if answer is None:
            return
        if not answer["recommendations"]:
            self.ledger.wrong.append(f"{request_id}: no song: {answer['reason']}")
            return
        self.ledger.degraded.update(answer["degraded"])
        (song,) = answer["recommendations"]
        position = song["position"]
        if position in self.ledger.offered:
            self.ledger.wrong.append(f"{request_id}: position {position} came twice")
        self.ledger.offered[position] = song["song"]["song_id"]
        event_id = f"e-{number}"
        told = {"event_id": event_id, "engagement": (number % 10) / 10, "rating": number % 2}
        where = f"{self._path}/recommendations/{song['recommendation_id']}/feedback"
        if self._send(event_id, where, told) is not None:
            self.ledger.told[event_id] = position

    def _send(self, name: str, path: str, body: dict[str, Any]) -> Any | None:
        """Return the answer; None where the test ends, or patience does, before there is one."""
        began = monotonic()
        self.ledger.open_requests.add(name)
        while True:
            asked = monotonic()
            try:
                response = self._client.post(path, json=body)
                if response.status_code in (200, 201):
                    self.ledger.open_requests.discard(name)
                    self.ledger.seconds.append(monotonic() - asked)
                    return response.json()
                self.ledger.seen[str(response.status_code)] += 1
                if response.status_code not in AGAIN:
                    self.ledger.wrong.append(f"{name}: {response.status_code} {response.text}")
                    return None
            except httpx.TransportError:
                self.ledger.seen["broken"] += 1
            if monotonic() - began > self._give_up_seconds:
                self.ledger.wrong.append(f"{name}: no answer in {self._give_up_seconds:g} s")
                return None
            if self._stopped.wait(PAUSE_SECONDS):
                return None


@contextmanager
def listening(address: str, *, count: int, name: str = "l", key: str | None = None) -> Iterator[list[Ledger]]:
    """Let so many listeners go round during the block, with an access key if any; give their ledgers."""
    headers = {} if key is None else {"Authorization": f"Bearer {key}"}
    stopped = Event()
    apps = [
        App(httpx.Client(base_url=address, timeout=8, headers=headers), f"{name}-{place}", stopped)
        for place in range(count)
    ]
    for app in apps:
        app.start()
    try:
        yield [app.ledger for app in apps]
    finally:
        stopped.set()
        for app in apps:
            app.join(60)


@contextmanager
def under_load(
    address: str, database_url: str, *, name: str, count: int = 4, key: str | None = None
) -> Iterator[list[Ledger]]:
    """Let listeners go round during the block and a while after it, then reconcile their ledgers with SQL."""
    with listening(address, count=count, name=name, key=key) as ledgers:
        until(lambda: all(len(ledger.told) >= 2 for ledger in ledgers))
        yield ledgers
        told = [len(ledger.told) for ledger in ledgers]
        until(lambda: all(len(ledger.told) >= n + 2 for ledger, n in zip(ledgers, told, strict=True)))
    reconcile(ledgers, database_url)


def until(holds: Callable[[], bool], *, seconds: float = 60.0) -> None:
    """Wait until something holds; a test that waits in vain fails."""
    end = monotonic() + seconds
    while not holds():
        assert monotonic() < end, f"waited {seconds:g} s in vain"
        sleep(0.05)


@dataclass
class Found:
    """What SQL holds of one listener."""

    offered: dict[int, str]
    """Position → song."""
    told: dict[str, int]
    """Event → position."""
    played: list[int]
    """The positions of plays, as often as they are there."""
    session_count: int
    written: set[str]
    """The ids of writes that left a receipt."""


def found_in(database_url: str, listener_id: str) -> Found:
    """Return what a database holds of a listener."""
    engine = create_engine(database_of(database_url), poolclass=NullPool)
    with engine.connect() as sql:
        number = sql.scalar(select(listeners.c.listener_number).where(listeners.c.listener_id == listener_id))

        def rows(*columns: Column[Any]) -> Sequence[Any]:
            return sql.execute(select(*columns).where(columns[0].table.c.listener_number == number)).all()

        offered = rows(recommendations.c.position, recommendations.c.song_id)
        told = rows(feedback.c.event_id, feedback.c.position)
        found = Found(
            offered=dict(offered),
            told=dict(told),
            played=[row.position for row in rows(plays.c.position)],
            session_count=len(rows(sessions.c.session_id)),
            written={row.client_id for row in rows(receipts.c.client_id)},
        )
    assert (len(found.offered), len(found.told)) == (len(offered), len(told)), f"{listener_id}: counted twice"
    return found


def reconcile(ledgers: Sequence[Ledger], database_url: str) -> None:
    """Compare ledgers with SQL: nothing acknowledged is missing or twice; nothing is there that nobody sent."""
    for ledger in ledgers:
        who, found = ledger.listener_id, found_in(database_url, ledger.listener_id)
        assert not ledger.wrong, f"{who}: {ledger.wrong}"
        assert found.session_count == 1, who
        assert ledger.offered.items() <= found.offered.items(), f"{who}: a recommendation was lost or changed"
        assert ledger.told.items() <= found.told.items(), f"{who}: feedback was lost or moved"
        assert sorted(found.played) == sorted(found.told.values()), f"{who}: a play is missing or counted twice"
        extra = len(found.offered) - len(ledger.offered) + len(found.told) - len(ledger.told)
        assert extra <= len(ledger.open_requests & found.written), f"{who}: {extra} writes that nobody sent"
        assert sorted(found.offered) == list(range(len(found.offered))), f"{who}: a gap"
