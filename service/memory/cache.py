"""Memory's store: one packed state per listener, in Redis or nowhere.

It fails open: an error or a slow answer is a miss, seen by the watch and by `is_degraded`, and never an
exception. What it returns may be old; what is recorded on the strength of it is checked against SQL.
"""

from typing import Protocol, runtime_checkable

from service.journal.events import Event
from service.listener import ListenerKey
from service.memory.state import ListenerState


@runtime_checkable
class CacheWatch(Protocol):
    """Whoever wants to know what became of each call, `read` or `write`; called from the event loop."""

    def called(self, call: str, seconds: float) -> None:
        """A round trip ended, well or not."""

    def failed(self, call: str, kind: str) -> None:
        """It failed: `timeout`, `connection`, or `refused` by a Redis that answers."""

    def done_without(self) -> None:
        """A call failed, or was not made because the last one did."""


class Unwatched:
    """The null twin."""

    def called(self, call: str, seconds: float) -> None:
        pass

    def failed(self, call: str, kind: str) -> None:
        pass

    def done_without(self) -> None:
        pass


@runtime_checkable
class Cache(Protocol):
    """Where states are kept between requests."""

    @property
    def is_degraded(self) -> bool:
        """Whether it is being left alone just now, because it did not answer."""

    async def answers(self) -> bool:
        """Whether it answers, asked now, whether or not it is being left alone."""

    async def recall(self, listener: ListenerKey) -> ListenerState | None:
        """Return the listener's state as last remembered; None if there is none, or it is out of reach."""

    async def remember(self, listener: ListenerKey, state: ListenerState) -> None:
        """Keep a state, unless a later one is kept already."""

    async def follow(self, listener: ListenerKey, event: Event) -> None:
        """Bring the kept state forward by the event if it is the one just before it; else forget an older one."""

    async def forget(self, listener: ListenerKey) -> None:
        """Drop what is kept of the listener."""

    async def erase(self, listener: ListenerKey, sequence: int) -> None:
        """Drop what is kept of the listener, and for a while keep out what comes late, up to this sequence.

        Raises:
            Unavailable: nobody can say that it is gone. This alone does not fail open.
        """


class NoCache:
    """The null twin: remembers nothing, and is right every time."""

    is_degraded = False

    async def answers(self) -> bool:
        return True

    async def recall(self, listener: ListenerKey) -> ListenerState | None:  # noqa: ARG002
        return None

    async def remember(self, listener: ListenerKey, state: ListenerState) -> None:
        pass

    async def follow(self, listener: ListenerKey, event: Event) -> None:
        pass

    async def forget(self, listener: ListenerKey) -> None:
        pass

    async def erase(self, listener: ListenerKey, sequence: int) -> None:
        pass
