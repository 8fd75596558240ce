"""What the journal tells of itself: each commit, each wait, each read, and each failure by its kind."""

from typing import Final, Protocol, runtime_checkable

from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout


@runtime_checkable
class JournalWatch(Protocol):
    """Whoever wants to know; called from the writer's thread and from readers' threads, and never raises."""

    def committed(self, size: int, seconds: float) -> None:
        """A group commit of so many pieces of work ended, well or not."""

    def waited(self, seconds: float) -> None:
        """A piece of work stood in line so long."""

    def read(self, seconds: float) -> None:
        """A question was answered, or could not be."""

    def failed(self, kind: str) -> None:
        """Something failed: see `kind_of`, or `timeout` or `queue_full`, which the journal itself decides."""


class Unwatched:
    """The null twin."""

    def committed(self, size: int, seconds: float) -> None:
        pass

    def waited(self, seconds: float) -> None:
        pass

    def read(self, seconds: float) -> None:
        pass

    def failed(self, kind: str) -> None:
        pass


def kind_of(problem: BaseException | None) -> str:
    """Return what kind of failure the database's error is, in one word of a small set.

    `unreachable` (no connection, or it broke), `pool` (none was free), `lock` (another holds it), `timeout` (a
    statement took too long), `disk_full`, or `other`.
    """
    if isinstance(problem, PoolTimeout):
        return "pool"
    if not isinstance(problem, DBAPIError):
        return "unreachable" if isinstance(problem, SQLAlchemyError) else "other"
    code = getattr(problem.orig, "sqlstate", None) or getattr(problem.orig, "sqlite_errorname", None)
    if code is None:
        return "unreachable"
    return _KINDS.get(code) or _KINDS.get(code[:2], "other")


_KINDS: Final = {
    "08": "unreachable",  # connection exceptions
    "57P01": "unreachable",  # the server shuts down
    "57P02": "unreachable",
    "57P03": "unreachable",  # it starts up
    "53300": "unreachable",  # too many connections
    "57014": "timeout",
    "55P03": "lock",
    "40P01": "lock",
    "40001": "lock",
    "53100": "disk_full",
    "SQLITE_BUSY": "lock",
    "SQLITE_LOCKED": "lock",
    "SQLITE_FULL": "disk_full",
    "SQLITE_CANTOPEN": "unreachable",
}
