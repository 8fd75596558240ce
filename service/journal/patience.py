"""A connection to PostgreSQL that has patience, and not for ever.

A server limits how long a statement may take, and the kernel notices a peer that acknowledges nothing. Neither
helps where something in between (a balancer, a pooler) holds the connection open and passes nothing on: whoever
waits would wait for ever, and the journal's only writer is one of them. So silence is bounded here, on this side:
a statement that gets no sign of life for longer than the server would let it run breaks its connection.
"""

from collections.abc import Generator
from time import monotonic
from typing import Any, ClassVar, Final, TypeVar

import psycopg
from psycopg.abc import PQGen
from psycopg.waiting import Ready, Wait

STATEMENT_TIMEOUT_SECONDS: Final = 10
"""How long the server lets a statement run."""
_LOOK_SECONDS: Final = 0.25

Result = TypeVar("Result")


class PatientConnection(psycopg.Connection[Any]):
    """A connection that counts as broken once nothing has come through it for too long."""

    silence_seconds: ClassVar[float] = STATEMENT_TIMEOUT_SECONDS + 2
    """How long the server may say nothing: a little longer than it lets a statement run."""

    def wait(self, gen: PQGen[Result], interval: float = _LOOK_SECONDS, timeout: float | None = None) -> Result:
        """Return what a step of the protocol gives.

        Raises:
            psycopg.OperationalError: nothing came for too long; the connection is closed.
        """
        return super().wait(self._while_heard(gen), interval, timeout)

    def _while_heard(self, steps: PQGen[Result]) -> Generator[Wait, Ready | int, Result]:
        try:
            wanted = next(steps)
            heard = monotonic()
            while True:
                ready = yield wanted
                if ready:
                    heard = monotonic()
                elif monotonic() - heard > self.silence_seconds:
                    self.pgconn.finish()
                    raise psycopg.OperationalError(f"the database said nothing for {self.silence_seconds:g} s")
                wanted = steps.send(ready)
        except StopIteration as end:
            result: Result = end.value
            return result
