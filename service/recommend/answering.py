"""Which bundle answers a question, and what is counted of it.

The canary bundle answers the listeners enrolled for it, the live one everybody else. Questions of one bundle are
answered together; where its models fail, each is asked again alone, so that one question harms no other. Where the
canary bundle's models fail, the live one answers after all; where the live one's do, the request is refused, to be
sent again. Both are counted, and enough of them lead back to the bundle before (`service.journal.returns`).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from traceback import format_exception
from typing import Final

import structlog
from jaxtyping import Int
from numpy import ndarray

from models.errors import Unavailable
from models.exposure import ExposureSnapshot
from models.guardrails import PROPOSED_RUNGS
from models.listening import Mode, Population
from service.clock import SECOND, Instant
from service.errors import ModelsFailed
from service.journal.returns import ERROR, FALLBACK
from service.listener import ListenerKey
from service.live.canary import CanaryRoster
from service.live.engine import Engine
from service.live.live import Live, Loaded
from service.live.tally import Tally
from service.memory.state import ListenerState, OpenSession
from service.recommend.recommend import Question, Recommended, recommend_all
from service.recommend.remember import view_of
from service.recommend.view import NO_SONGS
from service.telemetry.model_metrics import ModelMetrics

_FRAMES: Final = 4

_log = structlog.get_logger("amrs.recommend")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Inquiry:
    """A listener as memory has them, and what they are to be given: whichever bundle will read it."""

    listener: ListenerKey
    state: ListenerState
    opened: OpenSession
    snapshot: ExposureSnapshot
    at: Instant
    count: int
    exclude: tuple[str, ...]
    known_safe: Int[ndarray, " n"] = field(default_factory=lambda: NO_SONGS)
    """By the whole history, where it was asked for: memory holds the newest part."""

    @property
    def mode(self) -> Mode:
        """The mode now in force."""
        return Mode(self.opened.mode)

    def read_by(self, engine: Engine) -> Question:
        """Return the question as a bundle reads it."""
        return Question(
            view=view_of(self.state, self.opened, engine.bundle.manifest.context, self.known_safe),
            snapshot=self.snapshot,
            now=self.at / SECOND,
            count=self.count,
            exclude=self.exclude,
        )


Answered = tuple[Engine, Recommended]
"""An answer, and the engine that gave it, one and the same for the whole inquiry."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answering:
    """Puts inquiries to the bundles that are to answer them."""

    live: Live
    roster: CanaryRoster
    tally: Tally
    metrics: ModelMetrics

    def ask(self, inquiries: Sequence[Inquiry]) -> list[Answered | Exception]:
        """Return each inquiry's answer, or why there is none.

        `Unavailable`: no bundle is live. `ModelsFailed`: the live bundle's models raised something; what it was is
        logged.
        """
        loaded = self.live.loaded
        outcomes: list[Answered | Exception] = [Unavailable("no bundle is live") for _ in inquiries]
        if loaded.canary is not None:
            admitted = [place for place, each in enumerate(inquiries) if self._is_admitted(each)]
            self._put(loaded, loaded.canary, inquiries, admitted, outcomes)
        if loaded.current is not None:
            left = [place for place, outcome in enumerate(outcomes) if isinstance(outcome, Exception)]
            self._put(loaded, loaded.current, inquiries, left, outcomes)
        return outcomes

    def _is_admitted(self, inquiry: Inquiry) -> bool:
        return self.roster.admits(inquiry.listener, Population(inquiry.state.population))

    def _put(
        self,
        loaded: Loaded,
        engine: Engine,
        inquiries: Sequence[Inquiry],
        places: Sequence[int],
        outcomes: list[Answered | Exception],
    ) -> None:
        """Put the inquiries at some places to one engine, and its outcomes in theirs."""
        if not places:
            return
        role = "live" if engine is loaded.current else "canary"
        self.metrics.requests.labels(role).inc(len(places))
        try:
            answers = recommend_all(engine, [inquiries[place].read_by(engine) for place in places])
        except Exception:  # noqa: BLE001  whosever it was, it must not harm the others
            for place in places:
                outcomes[place] = self._alone(engine, role, inquiries[place])
        else:
            for place, answer in zip(places, answers, strict=True):
                outcomes[place] = engine, answer

    def _alone(self, engine: Engine, role: str, inquiry: Inquiry) -> Answered | Exception:
        try:
            (answer,) = recommend_all(engine, [inquiry.read_by(engine)])
        except Exception as problem:  # noqa: BLE001  the one who waits raises it
            self.metrics.errors.labels(role).inc()
            self._count(engine, ERROR, 1.0)
            trace = "".join(format_exception(problem, limit=-_FRAMES, chain=False))  # never local variables
            _log.error("a bundle's models failed", version=engine.bundle.version, role=role, exception=trace)
            return ModelsFailed(f"bundle {engine.bundle.version!r} could not make a choice")
        return engine, answer

    def count(self, answered: Answered) -> None:
        """Count that a bundle answered, and for how many choices it fell back.

        Asked of the answers that listeners got: one that was chosen again is counted once, as it was given.
        """
        engine, answer = answered
        self._count(engine, ERROR, 0.0)
        for outcome in answer.outcomes:
            self._count(engine, FALLBACK, float(outcome.decision.rung not in PROPOSED_RUNGS))

    def _count(self, engine: Engine, measure: str, total: float) -> None:
        version = engine.bundle.version
        since = self.live.loaded.since.get(version)
        if since is not None:
            self.tally.add(version, since, measure, total)
