"""Logs: one JSON object a line on standard error, each with its request id, none with a listener's words.

What is logged is chosen field by field where it is logged; nothing dumps a body, a path with ids in it, or the
local variables of a traceback.
"""

import logging
import sys
import traceback
from collections.abc import MutableMapping
from typing import Any, Final

import orjson
import structlog

from models.errors import BundleError, ConfigError, Unavailable

_HARMLESS: Final = (OSError, ConfigError, BundleError, Unavailable)
"""Errors whose messages are about machines. Any other may repeat what it was given: an id, a row, a report."""


def tell_exception(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Return the event with its exception as where and of what kind it was; in its own words only if harmless."""
    given = event.pop("exc_info", None)
    error = given[1] if isinstance(given, tuple) else given if isinstance(given, BaseException) else None
    if given and error is None:
        error = sys.exc_info()[1]
    lines: list[str] = []
    while error is not None:
        words = f": {error}" if isinstance(error, _HARMLESS) else ""
        kind = type(error)
        lines = [
            *traceback.format_tb(error.__traceback__),
            f"{kind.__module__}.{kind.__qualname__}{words}\n",
            *lines,
        ]
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if lines:
        event["exception"] = "".join(lines)
    return event


_SHARED: Final = (
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    tell_exception,
)


class _StandardError:
    """Writes lines to whatever standard error is at that moment."""

    def info(self, line: str) -> None:
        """Write one line, in one call, so that workers do not cut into each other's."""
        sys.stderr.write(f"{line}\n")

    debug = warning = error = critical = exception = msg = info


def _dumps(event: dict[str, Any], **_: Any) -> str:
    return orjson.dumps(event, default=str).decode()


def configure_logs(level: int = logging.INFO) -> None:
    """Send everything the process logs, ours and the libraries', to standard error as JSON lines."""
    structlog.configure(
        processors=[*_SHARED, structlog.processors.JSONRenderer(serializer=_dumps)],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=lambda *_: _StandardError(),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=_SHARED,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(serializer=_dumps),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
    logging.getLogger("alembic").setLevel(logging.WARNING)
    logging.getLogger("uvicorn.access").disabled = True  # the requests' own line says more, and says it safely
