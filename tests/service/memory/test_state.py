"""A state that follows every committed event is the state SQL would rebuild, at every point."""

from collections.abc import Callable, Iterator
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import Engine

from models.affect import Affect
from models.errors import AmrsError
from models.listening import Mode, Population
from service.clock import SECOND
from service.journal.blocks import SetBlock
from service.journal.command import Command, Written
from service.journal.engine import open_writer
from service.journal.events import BlockChanged
from service.journal.feedback import RecordFeedback
from service.journal.recommendations import Chosen, RecordRecommendations
from service.journal.sessions import ChangeMode, EndIdleSession, EndSession, StartSession
from service.journal.settle import settle
from service.listener import ListenerKey
from service.memory.rebuild import rebuild
from service.memory.state import OFFERS, PLAYS, ListenerState, apply
from service.recommendation_id import RecommendationToken
from tests.service.journal.examples import feed_back, recommend, start, token

IDLE_LIMIT = 600.0
units = st.floats(0, 1, allow_nan=False)
reports = st.none() | st.builds(Affect, units, units)
modes = st.sampled_from(list(Mode))
songs = st.sampled_from([f"song-{n}" for n in range(6)])


class FollowingSql(RuleBasedStateMachine):
    """One listener's life; memory applies what is committed, and is compared with SQL after every step."""

    engine: Engine

    def __init__(self) -> None:
        super().__init__()
        self.listener = ListenerKey("default", f"l-{next(COUNTER)}")
        self.state = ListenerState()
        self.now = 1_790_000_000 * SECOND
        self.count = 0
        self.dies_before_the_next_commit = False
        self.sessions: list[str] = []
        self.tokens: list[RecommendationToken] = []
        self.acknowledged: list[Command[Any]] = []

    def fresh(self, kind: str) -> str:
        self.count += 1
        return f"{kind}-{self.count}"

    def write(self, command: Command[Any]) -> Written[Any] | AmrsError:
        if self.dies_before_the_next_commit:
            self.dies_before_the_next_commit = False
            with self.engine.connect() as sql:
                settle(sql, [command])  # never committed, never acknowledged: it will be sent again
        with self.engine.begin() as sql:
            (outcome,) = settle(sql, [command])
        if isinstance(outcome, Written):
            if outcome.event is not None:
                after = apply(self.state, outcome.event)
                assert after is not None
                self.state = after
            self.acknowledged.append(command)
        return outcome

    @rule()
    def a_worker_will_die(self) -> None:
        self.dies_before_the_next_commit = True

    @rule(seconds=st.floats(0, 500))
    def time_passes(self, seconds: float) -> None:
        self.now += int(seconds * SECOND)

    @rule(mode=modes, report=reports, population=st.none() | st.sampled_from(list(Population)))
    def start_session(self, mode: Mode, report: Affect | None, population: Population | None) -> None:
        session_id = self.fresh("s")
        self.sessions.append(session_id)
        self.write(
            StartSession(
                listener=self.listener,
                at=self.now,
                session_id=session_id,
                mode=mode,
                report=report,
                population=population,
                context={"local_time": "2026-11-20T21:10:00+01:00", "steps": 0.25},
                check_context=lambda: None,
                idle_limit_seconds=IDLE_LIMIT,
            )
        )

    @precondition(lambda self: self.sessions)
    @rule(songs=st.lists(songs, max_size=5), stale=st.booleans())
    def recommend(self, songs: list[str], stale: bool) -> None:
        opened = self.state.open
        first = opened.next_position if opened else 0
        command = RecordRecommendations(
            listener=self.listener,
            at=self.now,
            session_id=self.sessions[-1],
            request_id=self.fresh("r"),
            request=(len(songs), ()),
            expected_sequence=self.state.sequence - stale,
            mode=Mode.CALM,
            bundle="bundle-1",
            chosen=tuple(
                Chosen(
                    position=first + place,
                    song_id=song_id,
                    artist_key=7,
                    duration_seconds=200.0,
                    decision=b"why",
                )
                for place, song_id in enumerate(songs)
            ),
            refusal=None,
            reply=b"{}",
            idle_limit_seconds=IDLE_LIMIT,
        )
        if isinstance(self.write(command), Written):
            assert not stale
            self.tokens += [
                RecommendationToken(
                    session_id=self.sessions[-1],
                    position=chosen.position,
                    song_id=chosen.song_id,
                    bundle="bundle-1",
                    offered_at=self.now,
                )
                for chosen in command.chosen
            ]

    @precondition(lambda self: self.tokens)
    @rule(
        data=st.data(), engagement=st.none() | units, rating=st.none() | st.integers(0, 1), ago=st.floats(0, 900)
    )
    def feed_back(self, data: st.DataObject, engagement: float | None, rating: int | None, ago: float) -> None:
        self.write(
            RecordFeedback(
                listener=self.listener,
                at=self.now,
                token=data.draw(st.sampled_from(self.tokens)),
                event_id=self.fresh("e"),
                played_seconds=None,
                engagement=engagement,
                rating=rating,
                occurred_at=self.now - int(ago * SECOND),
                idle_limit_seconds=IDLE_LIMIT,
            )
        )

    @precondition(lambda self: self.sessions)
    @rule(data=st.data(), position=st.integers(0, 8), song_id=songs)
    def feed_back_on_a_row_that_never_came(self, data: st.DataObject, position: int, song_id: str) -> None:
        token = RecommendationToken(
            session_id=data.draw(st.sampled_from(self.sessions)),
            position=position,
            song_id=song_id,
            bundle="bundle-1",
            offered_at=self.now - 1,
        )
        self.tokens.append(token)
        self.write(
            RecordFeedback(
                listener=self.listener,
                at=self.now,
                token=token,
                event_id=self.fresh("e"),
                played_seconds=None,
                engagement=0.5,
                rating=None,
                occurred_at=None,
                idle_limit_seconds=IDLE_LIMIT,
            )
        )

    @precondition(lambda self: self.sessions)
    @rule(data=st.data(), mode=modes, ago=st.floats(0, 300))
    def change_mode(self, data: st.DataObject, mode: Mode, ago: float) -> None:
        self.write(
            ChangeMode(
                listener=self.listener,
                at=self.now,
                session_id=data.draw(st.sampled_from(self.sessions)),
                event_id=self.fresh("e"),
                mode=mode,
                occurred_at=self.now - int(ago * SECOND),
                idle_limit_seconds=IDLE_LIMIT,
            )
        )

    @precondition(lambda self: self.sessions)
    @rule(data=st.data(), report=reports)
    def end_session(self, data: st.DataObject, report: Affect | None) -> None:
        self.write(
            EndSession(
                listener=self.listener,
                at=self.now,
                session_id=data.draw(st.sampled_from(self.sessions)),
                event_id=self.fresh("e"),
                report=report,
                occurred_at=None,
                idle_limit_seconds=IDLE_LIMIT,
            )
        )

    @precondition(lambda self: self.sessions)
    @rule()
    def sweep(self) -> None:
        self.write(
            EndIdleSession(
                listener=self.listener,
                at=self.now,
                session_id=self.sessions[-1],
                idle_limit_seconds=IDLE_LIMIT,
            )
        )

    @rule(kind=st.sampled_from(["song", "artist", "tag"]), value=st.sampled_from("abc"), blocked=st.booleans())
    def set_block(self, kind: Any, value: str, blocked: bool) -> None:
        self.write(SetBlock(listener=self.listener, at=self.now, kind=kind, value=value, blocked=blocked))

    @precondition(lambda self: self.acknowledged)
    @rule(data=st.data())
    def retry(self, data: st.DataObject) -> None:
        command = data.draw(st.sampled_from(self.acknowledged))
        if command.receipt is None:
            return
        outcome = self.write(command)
        assert isinstance(outcome, Written)
        assert outcome.duplicate
        assert outcome.event is None

    @invariant()
    def is_what_sql_would_rebuild(self) -> None:
        with self.engine.begin() as sql:
            assert rebuild(sql, self.listener) == self.state


COUNTER = iter(range(1_000_000))


def test_following_is_rebuilding(database_url: str) -> None:
    engine = open_writer(database_url)

    class Machine(FollowingSql):
        pass

    Machine.engine = engine
    try:
        run_state_machine_as_test(Machine, settings=settings(max_examples=30, stateful_step_count=40))
    finally:
        engine.dispose()


def test_a_long_history_is_cut_the_same_way(database_url: str) -> None:
    engine = open_writer(database_url)
    listener, now, state = ListenerKey("default", "l-long"), 1_790_000_000 * SECOND, ListenerState()
    try:
        for session in range(5):
            for command in _long_session(listener, f"s-{session}", now + session * SECOND):
                state = _followed(engine, state, command(state))
            with engine.begin() as sql:
                assert rebuild(sql, listener) == state
    finally:
        engine.dispose()
    assert sum(len(session.plays) for session in state.sessions) == PLAYS
    assert len(state.sessions) == 4


def test_many_offers_are_cut_the_same_way(database_url: str) -> None:
    """An app that asks for twenty songs at a time, and plays none."""
    engine = open_writer(database_url)
    listener, now, state = ListenerKey("default", "l-offered"), 1_790_000_000 * SECOND, ListenerState()
    asked = OFFERS // 20 + 2
    try:
        for n in range(asked + 1):
            command = start("s-1", listener=listener, at=now)
            if n:
                songs = [f"song-{n}-{place}" for place in range(20)]
                offered = {"expected_sequence": state.sequence, "request_id": f"r-{n}", "first": 20 * (n - 1)}
                command = recommend(*songs, listener=listener, at=now + n * SECOND, **offered)
            state = _followed(engine, state, command)
        with engine.begin() as sql:
            assert rebuild(sql, listener) == state
    finally:
        engine.dispose()
    assert len(state.offers) == OFFERS
    assert state.offers[-1].offered_at == now + asked * SECOND


def _followed(engine: Engine, state: ListenerState, command: Command[Any]) -> ListenerState:
    """Commit a write, and return the state after it."""
    with engine.begin() as sql:
        (outcome,) = settle(sql, [command])
    assert isinstance(outcome, Written)
    assert outcome.event is not None
    after = apply(state, outcome.event)
    assert after is not None
    return after


def _long_session(
    listener: ListenerKey, session_id: str, at: int
) -> Iterator[Callable[[ListenerState], Command[Any]]]:
    """Give the commands of a session of 80 plays."""
    yield lambda state: start(session_id, listener=listener, at=at)
    for n in range(4):
        songs = [f"song-{session_id}-{n}-{place}" for place in range(20)]
        yield lambda state, n=n, songs=songs: recommend(
            *songs,
            expected_sequence=state.sequence,
            listener=listener,
            session_id=session_id,
            request_id=f"r-{session_id}-{n}",
            first=20 * n,
            at=at,
        )
        for place, song_id in enumerate(songs, 20 * n):
            about = token(song_id, position=place, session_id=session_id, offered_at=at)
            yield lambda state, about=about, place=place: feed_back(
                f"e-{session_id}-{place}", listener=listener, about=about, at=at
            )


def test_an_event_after_a_gap_does_not_apply() -> None:
    event = BlockChanged(sequence=2, active_at=0, kind="tag", value="drums", blocked=True)

    assert apply(ListenerState(), event) is None
