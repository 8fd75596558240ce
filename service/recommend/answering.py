"""Which bundle answers a request, and what is counted of it.

The canary bundle answers the listeners enrolled for it, the live one everybody else. Where the canary bundle's
models fail, the live one answers after all; where the live one's do, the request is refused, to be sent again.
Both are counted, and enough of them lead back to the bundle before (`service.journal.returns`).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from traceback import format_exception
from typing import Final, TypeVar

import structlog

from models.errors import Unavailable
from models.guardrails import Rung
from models.listening import Population
from service.errors import ModelsFailed
from service.journal.returns import ERROR, FALLBACK
from service.listener import ListenerKey
from service.live.canary import CanaryRoster
from service.live.engine import Engine
from service.live.live import Live, Loaded
from service.live.tally import Tally
from service.recommend.recommend import Recommended
from service.telemetry.model_metrics import ModelMetrics

OWN_RUNGS: Final = (Rung.POLICY, Rung.WIDER)
"""The rungs on which a song is the policy's own; below them, the bundle fell back."""

_FRAMES: Final = 4

Result = TypeVar("Result")

_log = structlog.get_logger("amrs.recommend")


@dataclass(frozen=True, slots=True, kw_only=True)
class Answering:
    """Puts requests to the bundle that is to answer them."""

    live: Live
    roster: CanaryRoster
    tally: Tally
    metrics: ModelMetrics

    def ask(
        self, listener: ListenerKey, population: Population, question: Callable[[Engine], Result]
    ) -> tuple[Engine, Result]:
        """Return the engine that answered, one and the same for the whole request, and its answer.

        Raises:
            Unavailable: no bundle is live.
            ModelsFailed: the live bundle's models raised something; what it was is logged.
        """
        loaded = self.live.loaded
        for engine in self._in_turn(loaded, listener, population):
            role = "live" if engine is loaded.current else "canary"
            self.metrics.requests.labels(role).inc()
            try:
                answer = question(engine)
            except Exception as problem:
                self.metrics.errors.labels(role).inc()
                self._count(loaded, engine, ERROR, 1.0)
                trace = "".join(format_exception(problem, limit=-_FRAMES, chain=False))  # never local variables
                _log.error("a bundle's models failed", version=engine.bundle.version, role=role, exception=trace)
                if engine is loaded.current:
                    raise ModelsFailed(f"bundle {engine.bundle.version!r} could not make a choice") from problem
            else:
                self._count(loaded, engine, ERROR, 0.0)
                return engine, answer
        raise Unavailable("no bundle is live")

    def count_choices(self, engine: Engine, recommended: Recommended) -> None:
        """Count for how many choices a bundle fell back."""
        loaded = self.live.loaded
        outcomes = [*recommended.songs, *([recommended.refusal] if recommended.refusal else [])]
        for outcome in outcomes:
            self._count(loaded, engine, FALLBACK, float(outcome.decision.rung not in OWN_RUNGS))

    def _in_turn(self, loaded: Loaded, listener: ListenerKey, population: Population) -> Iterator[Engine]:
        if loaded.canary is not None and self.roster.admits(listener, population):
            yield loaded.canary
        if loaded.current is not None:
            yield loaded.current

    def _count(self, loaded: Loaded, engine: Engine, measure: str, total: float) -> None:
        version = engine.bundle.version
        since = loaded.since.get(version)
        if since is not None:
            self.tally.add(version, since, measure, total)
