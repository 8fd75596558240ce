"""Spans, as the rest of the service knows them: a request, and the steps of the road inside it.

Nothing here knows OpenTelemetry. Where no endpoint is named there are no spans at all (None), and what would make
them is not even imported.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Protocol, runtime_checkable

Headers = Sequence[tuple[bytes, bytes]]


@runtime_checkable
class RequestSpan(Protocol):
    """One request's span, while the request is under way."""

    @property
    def trace_id(self) -> str:
        """32 hexadecimal digits: what ties log lines to the trace."""

    @property
    def traceparent(self) -> str:
        """The span as W3C Trace Context writes it: what is told to the caller."""

    def answered(self, *, route: str, method: str, status: int) -> None:
        """Say what became of it; a route's template holds no id."""


@runtime_checkable
class Spans(Protocol):
    """Whoever keeps spans."""

    def request(self, headers: Headers) -> AbstractContextManager[RequestSpan]:
        """Give a request's span, a child of the caller's where `traceparent` names one; it ends with the block."""

    def step(self, name: str, began: float, ended: float) -> None:
        """Keep a step of the request under way in this task, between two readings of `perf_counter`."""
