"""The road to the next song, on one page: remember, encode, match, predict, guard, choose, record.

Only the first step and the last touch the outside; what lies between is done together for whoever waits
(`choosing`). The last one commits, before anything is answered, and only if the choice rests on what SQL knows
now: memory may be as old as it likes, it costs a second look and never a wrong song.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Final

from models.decision import pack_decision
from models.guardrails import Rung
from models.listening import Mode
from service.clock import Clock, Instant
from service.errors import StaleCatalogue, StaleMemory
from service.journal.command import Written
from service.journal.recommendations import Chosen, RecordRecommendations
from service.listener import ListenerKey
from service.memory.listeners import Listeners
from service.memory.state import ListenerState
from service.recommend.answering import Answered, Answering, Inquiry
from service.recommend.choosing import Choosing
from service.recommend.exposures import Exposures
from service.recommend.recommend import Recommendation, Recommended
from service.recommend.shadow import Shadow
from service.recommendation_id import RecommendationToken, TokenSigner
from service.telemetry.metrics import Metrics
from service.telemetry.spans import Spans

ATTEMPTS: Final = 5
"""How often a choice is made again because the listener's state, or the catalogue, moved on meanwhile."""
REDIS: Final = "redis"
"""The name of memory among the dependencies a request may have to do without."""
INTERVALS: Final = "intervals"
"""Says that a song is more unanswered songs ahead than intervals are calibrated for: it gets the widest."""
_BELOW_KNOWN_SAFE: Final = (Rung.APPROVED, Rung.SILENCE)
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
    choosing: Choosing
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
            ModelsFailed: the live bundle's models raised something.
            StaleMemory: the listener's state kept changing.
        """
        gone: tuple[str, ...] = ()
        for attempt in range(ATTEMPTS):
            with self._timed("remember"):
                state = await self._remember(asked.listener, afresh=attempt > 0)
            at = self.clock()
            inquiry = self._inquiry(asked, state, at=at, gone=gone)
            inquiry, answered = await self._choose(inquiry) if inquiry else (None, None)
            command = self._command(asked, tell, inquiry, answered, at=at)
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
            if inquiry and answered and not written.duplicate:
                _, recommended = answered
                self.answering.count(answered)
                self._count(inquiry.mode, recommended)
                self.shadow.show(inquiry, recommended)
            return written
        raise StaleMemory(f"the state of listener {asked.listener.listener_id!r} changed {ATTEMPTS} times")

    async def _remember(self, listener: ListenerKey, *, afresh: bool) -> ListenerState:
        return await (self.listeners.rebuilt(listener) if afresh else self.listeners.state(listener))

    def _inquiry(
        self, asked: Asked, state: ListenerState, *, at: Instant, gone: tuple[str, ...]
    ) -> Inquiry | None:
        """Return what to ask of a bundle; None without the open session that was named.

        `gone` are songs withdrawn since this worker last looked.
        """
        opened = state.open_at(at, idle_limit_seconds=self.idle_limit_seconds)
        if opened is None or opened.session_id != asked.session_id:
            return None
        return Inquiry(
            listener=asked.listener,
            state=state,
            opened=opened,
            snapshot=self.exposures.of(Mode(opened.mode)),
            at=at,
            count=asked.count,
            exclude=(*asked.exclude, *gone),
        )

    async def _choose(self, inquiry: Inquiry) -> tuple[Inquiry, Answered]:
        """Return the answer, and the inquiry that got it.

        Who would be given a song from the approved list, or none, is first asked for their known-safe songs: of a
        history longer than memory SQL alone knows them.
        """
        answered = await self._put(inquiry)
        if inquiry.state.is_whole or not any(
            each.decision.rung in _BELOW_KNOWN_SAFE for each in answered[1].outcomes
        ):
            return inquiry, answered
        informed = replace(inquiry, known_safe=await self.listeners.known_safe(inquiry.listener))
        return informed, await self._put(informed)

    async def _put(self, inquiry: Inquiry) -> Answered:
        engine, recommended = await self.choosing.choose(inquiry)
        for step, seconds in recommended.seconds.items():
            self.metrics.steps[step].observe(seconds)
        if self.spans is not None:
            for lap in recommended.laps:
                self.spans.step(lap.step, lap.began, lap.ended)
        return engine, recommended

    def _command(
        self, asked: Asked, tell: Tell, inquiry: Inquiry | None, answered: Answered | None, *, at: Instant
    ) -> RecordRecommendations:
        """Return the write that puts a choice on record; without one, it finds its receipt or is refused."""
        if inquiry is None or answered is None:
            given = Given(songs=(), reason=None, bundle="", degraded=())
            return self._write(
                asked, given, None, at=at, mode=Mode.UNSPECIFIED, sequence=_NOTHING_KNOWN, reply=b""
            )
        engine, recommended = answered
        bundle, refusal = engine.bundle.version, recommended.refusal
        given = Given(
            songs=tuple(self._named(asked, inquiry, recommended, bundle=bundle)),
            reason=refusal.reason if refusal else None,
            bundle=bundle,
            degraded=tuple(self._degraded(recommended)),
        )
        return self._write(
            asked,
            given,
            pack_decision(refusal.decision) if refusal else None,
            at=at,
            mode=inquiry.mode,
            sequence=inquiry.state.sequence,
            reply=tell(given),
        )

    def _write(
        self,
        asked: Asked,
        given: Given,
        refusal: bytes | None,
        *,
        at: Instant,
        mode: Mode,
        sequence: int,
        reply: bytes,
    ) -> RecordRecommendations:
        return RecordRecommendations(
            listener=asked.listener,
            at=at,
            session_id=asked.session_id,
            request_id=asked.request_id,
            request=(asked.count, asked.exclude),
            expected_sequence=sequence,
            mode=mode,
            bundle=given.bundle,
            chosen=tuple(
                Chosen(
                    position=position,
                    song_id=each.song.song_id,
                    artist_key=each.artist_key,
                    duration_seconds=each.song.duration_seconds,
                    decision=pack_decision(each.decision),
                )
                for _, position, each in given.songs
            ),
            refusal=refusal,
            reply=reply,
            idle_limit_seconds=self.idle_limit_seconds,
        )

    def _named(
        self, asked: Asked, inquiry: Inquiry, recommended: Recommended, *, bundle: str
    ) -> Iterator[tuple[str, int, Recommendation]]:
        for position, each in enumerate(recommended.songs, inquiry.opened.next_position):
            token = RecommendationToken(
                session_id=asked.session_id,
                position=position,
                song_id=each.song.song_id,
                bundle=bundle,
                offered_at=inquiry.at,
            )
            yield self.signer.sign(asked.listener, token), position, each

    def _degraded(self, recommended: Recommended) -> Iterator[str]:
        if self.listeners.cache.is_degraded:
            yield REDIS
        if any(each.predicted and not each.predicted.is_calibrated for each in recommended.songs):
            yield INTERVALS

    def _count(self, mode: Mode, recommended: Recommended) -> None:
        self.metrics.recommended[mode.label].inc(len(recommended.songs))
        if INTERVALS in self._degraded(recommended):
            self.metrics.done_without[INTERVALS].inc()
        for outcome in recommended.outcomes:
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
