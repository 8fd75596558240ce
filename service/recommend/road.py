"""The road to the next song, on one page: remember, encode, match, predict, guard, choose, record.

Only the first step and the last touch the outside. The last one commits, before anything is answered, and
only if the choice rests on what SQL knows now: memory may be as old as it likes, it costs a second look and
never a wrong song.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from time import perf_counter
from typing import Final

from models.decision import pack_decision
from models.guardrails import Rung
from models.listening import Mode, Population
from service.clock import SECOND, Clock, Instant
from service.errors import StaleCatalogue, StaleMemory
from service.journal.command import Written
from service.journal.recommendations import Chosen, RecordRecommendations
from service.listener import ListenerKey
from service.live.engine import Engine
from service.memory.listeners import Listeners
from service.memory.state import ListenerState, OpenSession
from service.recommend.answering import Answering
from service.recommend.exposures import Exposures
from service.recommend.recommend import Recommendation, Recommended, recommend
from service.recommend.remember import view_of
from service.recommend.shadow import Sample, Shadow
from service.recommend.view import View
from service.recommendation_id import RecommendationToken, TokenSigner
from service.telemetry.metrics import Metrics
from service.telemetry.spans import Spans

ATTEMPTS: Final = 5
"""How often a choice is made again because the listener's state, or the catalogue, moved on meanwhile."""
REDIS: Final = "redis"
"""The name of memory among the dependencies a request may have to do without."""
INTERVALS: Final = "intervals"
"""Says that a song is more unanswered songs ahead than intervals are calibrated for: it gets the widest."""
_NOTHING_KNOWN: Final = -1
"""A sequence no listener has: a write that expects it finds its receipt, its refusal, or `StaleMemory`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a listener's app asks for."""

    listener: ListenerKey
    session_id: str
    request_id: str
    count: int
    exclude: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """What it is about to get."""

    songs: tuple[tuple[str, int, Recommendation], ...]
    """The id of each recommendation, its position in the session, and the song with its reasons."""
    reason: str | None
    """Why there are fewer songs than asked for."""
    bundle: str
    degraded: tuple[str, ...]


Tell = Callable[[Given], bytes]
"""Writes the answer down as it will be sent, now and whenever the same request comes again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Road:
    """The way of one request from a listener's id to a song on record."""

    listeners: Listeners
    answering: Answering
    shadow: Shadow
    exposures: Exposures
    signer: TokenSigner
    metrics: Metrics
    clock: Clock
    idle_limit_seconds: float
    spans: Spans | None = None

    async def next_songs(self, asked: Asked, tell: Tell) -> Written[bytes]:
        """Return the answer to a request for songs, as it was committed.

        Raises:
            NotFound, SessionEnded, IdConflict: the request cannot be met.
            Unavailable: no bundle is live, or the journal cannot commit.
            StaleMemory: the listener's state kept changing.
        """
        gone: tuple[str, ...] = ()
        for attempt in range(ATTEMPTS):
            with self._timed("remember"):
                state = await self._remember(asked.listener, afresh=attempt > 0)
            at = self.clock()
            command, recommended = self._choose(asked, state, tell, at=at, gone=gone)
            try:
                with self._timed("record"):
                    written = await self.listeners.write_from(state, command)
            except StaleCatalogue as withdrawn:
                self.metrics.recomputed.inc()
                gone += withdrawn.song_ids
                continue
            except StaleMemory:
                self.metrics.recomputed.inc()
                continue
            if recommended is not None and not written.duplicate:
                self._count(command.mode, recommended)
                self._show(asked, state, command.mode, recommended, at=at)
            return written
        raise StaleMemory(f"the state of listener {asked.listener.listener_id!r} changed {ATTEMPTS} times")

    async def _remember(self, listener: ListenerKey, *, afresh: bool) -> ListenerState:
        return await (self.listeners.rebuilt(listener) if afresh else self.listeners.state(listener))

    def _choose(
        self, asked: Asked, state: ListenerState, tell: Tell, *, at: Instant, gone: tuple[str, ...]
    ) -> tuple[RecordRecommendations, Recommended | None]:
        """Return the write that puts the choice on record, and the choice; both empty without an open session.

        `gone` are songs withdrawn since this worker last looked.
        """
        opened = state.open_at(at, idle_limit_seconds=self.idle_limit_seconds)
        if opened is None or opened.session_id != asked.session_id:
            return self._command(asked, (), None, b"", at=at, bundle="", mode=Mode.UNSPECIFIED), None
        engine, (view, recommended) = self.answering.ask(
            asked.listener,
            Population(state.population),
            lambda engine: self._recommend(engine, asked, state, opened, at=at, gone=gone),
        )
        self.answering.count_choices(engine, recommended)
        for step, seconds in recommended.seconds.items():
            self.metrics.steps[step].observe(seconds)
        bundle = engine.bundle.version
        songs = tuple(self._named(asked, opened, recommended, bundle=bundle, at=at))
        refusal = recommended.refusal
        given = Given(
            songs=songs,
            reason=refusal.reason if refusal else None,
            bundle=bundle,
            degraded=tuple(self._degraded(recommended)),
        )
        command = self._command(
            asked,
            tuple(
                Chosen(
                    position=position,
                    song_id=each.song.song_id,
                    artist_key=each.artist_key,
                    duration_seconds=each.song.duration_seconds,
                    decision=pack_decision(each.decision),
                )
                for _, position, each in songs
            ),
            pack_decision(refusal.decision) if refusal else None,
            tell(given),
            at=at,
            bundle=bundle,
            mode=view.mode,
            sequence=state.sequence,
        )
        return command, recommended

    def _recommend(
        self,
        engine: Engine,
        asked: Asked,
        state: ListenerState,
        opened: OpenSession,
        *,
        at: Instant,
        gone: tuple[str, ...],
    ) -> tuple[View, Recommended]:
        """Return the listener as one bundle reads them, and the songs it gives them."""
        with self._timed("remember"):
            view = view_of(state, opened, engine.bundle.manifest.context)
        exposures = self.exposures.of(view.mode)
        recommended = recommend(
            engine,
            view,
            exposures,
            now=at / SECOND,
            count=asked.count,
            exclude=(*asked.exclude, *gone),
            on_lap=self.spans.step if self.spans else None,
        )
        return view, recommended

    def _show(
        self, asked: Asked, state: ListenerState, mode: Mode, recommended: Recommended, *, at: Instant
    ) -> None:
        """Let the bundle in shadow see what was asked and given; nobody waits for it."""
        if state.open is not None:
            sample = Sample(
                state=state,
                opened=state.open,
                exposures=self.exposures.of(mode),
                exclude=asked.exclude,
                at=at,
                given=recommended,
            )
            self.shadow.show(sample)

    def _degraded(self, recommended: Recommended) -> Iterator[str]:
        if self.listeners.cache.is_degraded:
            yield REDIS
        if any(each.predicted and not each.predicted.is_calibrated for each in recommended.songs):
            yield INTERVALS

    def _named(
        self, asked: Asked, opened: OpenSession, recommended: Recommended, *, bundle: str, at: Instant
    ) -> Iterator[tuple[str, int, Recommendation]]:
        for position, each in enumerate(recommended.songs, opened.next_position):
            token = RecommendationToken(
                session_id=asked.session_id,
                position=position,
                song_id=each.song.song_id,
                bundle=bundle,
                offered_at=at,
            )
            yield self.signer.sign(asked.listener, token), position, each

    def _command(
        self,
        asked: Asked,
        chosen: tuple[Chosen, ...],
        refusal: bytes | None,
        reply: bytes,
        *,
        at: Instant,
        bundle: str,
        mode: Mode,
        sequence: int = _NOTHING_KNOWN,
    ) -> RecordRecommendations:
        return RecordRecommendations(
            listener=asked.listener,
            at=at,
            session_id=asked.session_id,
            request_id=asked.request_id,
            request=(asked.count, asked.exclude),
            expected_sequence=sequence,
            mode=mode,
            bundle=bundle,
            chosen=chosen,
            refusal=refusal,
            reply=reply,
            idle_limit_seconds=self.idle_limit_seconds,
        )

    def _count(self, mode: Mode, recommended: Recommended) -> None:
        self.metrics.recommended[mode.label].inc(len(recommended.songs))
        if INTERVALS in self._degraded(recommended):
            self.metrics.done_without[INTERVALS].inc()
        outcomes = [*recommended.songs, *([recommended.refusal] if recommended.refusal else [])]
        for outcome in outcomes:
            self.metrics.candidates.inc(outcome.considered)
            rung = outcome.decision.rung
            if rung is not Rung.POLICY:
                self.metrics.fallen_back[rung.value].inc()
            for rule, count in outcome.vetoed.items():
                self.metrics.vetoed[rule].inc(count)

    @contextmanager
    def _timed(self, step: str) -> Iterator[None]:
        begun = perf_counter()
        try:
            yield
        finally:
            ended = perf_counter()
            self.metrics.steps[step].observe(ended - begun)
            if self.spans is not None:
                self.spans.step(step, begun, ended)
