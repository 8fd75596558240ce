"""One command per listener goes into a batch, in order; nobody's fault is another's."""

from collections import deque
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any

import pytest
from sqlalchemy import Engine, event, text

from models.errors import DataError, Unavailable
from service.errors import StaleMemory
from service.journal.command import Command, Turn, Written
from service.journal.engine import open_writer
from service.journal.watch import Unwatched
from service.journal.writer import (
    AdministrationWork,
    CommandWork,
    GroupCommitWriter,
    SeriesWork,
    Waiting,
    Work,
    take_batch,
)
from service.listener import ListenerKey
from tests.service.journal.examples import NOON, recommend, start


@dataclass(frozen=True, slots=True, kw_only=True)
class AskNonsense(Command[None]):
    """A command that the database refuses."""

    answer_type = None

    @property
    def receipt(self) -> None:
        return None

    @property
    def body(self) -> tuple[Any, ...]:
        return ()

    def run(self, turn: Turn) -> tuple[None, None]:
        turn.sql.execute(text("SELECT nothing FROM nowhere"))
        return None, None


def of(name: str) -> ListenerKey:
    return ListenerKey("default", name)


class Commits(Unwatched):
    """Keeps the size of each commit."""

    def __init__(self, sizes: list[int]) -> None:
        self._sizes = sizes

    def committed(self, size: int, seconds: float) -> None:
        self._sizes.append(size)


def settle_all(engine: Engine, *works: Work, commits: list[int] | None = None) -> list[Any]:
    """Hand in all works at once; return their outcomes."""
    outcomes: SimpleQueue[tuple[int, Any]] = SimpleQueue()
    writer = GroupCommitWriter(
        engine,
        batch_limit=64,
        on_settled=lambda settled: [outcomes.put(pair) for pair in settled],
        watch=Commits([] if commits is None else commits),
    )
    for ticket, work in enumerate(works):
        writer.submit(Waiting(work, ticket))
    writer.close()
    found = dict(outcomes.get_nowait() for _ in works)
    return [found[ticket] for ticket in range(len(works))]


def names(batch: list[Waiting]) -> list[Any]:
    return [waiting.ticket for waiting in batch]


def test_a_batch_takes_one_command_per_listener_and_keeps_the_order_of_the_rest() -> None:
    waiting = deque(
        Waiting(CommandWork(start(listener=of(name))), name + str(n)) for n, name in enumerate("bacab")
    )

    assert names(take_batch(waiting, 64)) == ["a1", "b0", "c2"]
    assert names(list(waiting)) == ["a3", "b4"]


def test_a_batch_has_a_limit() -> None:
    waiting = deque(Waiting(CommandWork(start(listener=of(name))), name) for name in "abc")

    assert names(take_batch(waiting, 2)) == ["a", "b"]
    assert names(list(waiting)) == ["c"]


def test_work_on_the_catalogue_goes_alone_and_is_not_overtaken() -> None:
    waiting = deque(
        [
            Waiting(CommandWork(start(listener=of("a"))), "a"),
            Waiting(AdministrationWork(lambda sql: None), "songs"),
            Waiting(CommandWork(start(listener=of("b"))), "b"),
        ]
    )

    assert [names(take_batch(waiting, 64)) for _ in range(3)] == [["a"], ["songs"], ["b"]]


def test_what_waits_together_is_committed_together(engine: Engine) -> None:
    commits: list[int] = []
    outcomes = settle_all(engine, *(CommandWork(start(listener=of(f"l-{n}"))) for n in range(30)), commits=commits)

    assert all(isinstance(outcome, Written) for outcome in outcomes)
    assert sum(commits) == 30
    assert len(commits) < 30


def test_a_command_the_database_refuses_harms_no_other(engine: Engine) -> None:
    works = [CommandWork(start(listener=of(name))) for name in "abcd"]
    broken = CommandWork(AskNonsense(listener=of("x"), at=NOON))
    outcomes = settle_all(engine, *works[:2], broken, *works[2:])

    assert [isinstance(outcome, Written) for outcome in outcomes] == [True, True, False, True, True]
    assert isinstance(outcomes[2], Exception)


def test_a_series_sees_its_own_earlier_commands(engine: Engine) -> None:
    series = SeriesWork(
        (
            start(),
            recommend("song-1", expected_sequence=1, request_id="r-1"),
            recommend("song-2", expected_sequence=1, request_id="r-2"),
            recommend("song-2", expected_sequence=2, request_id="r-3", first=1),
        )
    )
    (outcomes,) = settle_all(engine, series)

    assert [type(outcome) for outcome in outcomes] == [Written, Written, StaleMemory, Written]


def test_a_refused_act_is_rolled_back(engine: Engine) -> None:
    def act(sql: Any) -> None:
        sql.execute(text("UPDATE revisions SET number = 7"))
        raise DataError("no")

    (outcome,) = settle_all(engine, AdministrationWork(act))

    assert isinstance(outcome, DataError)
    with engine.begin() as sql:
        assert sql.scalar(text("SELECT max(number) FROM revisions")) == 0


def test_what_cannot_be_committed_was_not_written(engine: Engine) -> None:
    failing = [True, True]

    def refuse_to_commit(_: object) -> None:
        if failing:
            failing.pop()
            raise RuntimeError("the disk is full")

    event.listen(engine, "commit", refuse_to_commit)
    first, second = settle_all(engine, CommandWork(start())), settle_all(engine, CommandWork(start()))

    assert isinstance(first[0], RuntimeError)
    assert second[0].duplicate is False


def test_a_database_out_of_reach_is_said_to_be(tmp_path: Any) -> None:
    engine = open_writer("postgresql://nobody@127.0.0.1:1/nothing")
    outcomes = settle_all(engine, *(CommandWork(start(listener=of(name))) for name in "abc"))
    engine.dispose()

    assert [type(outcome) for outcome in outcomes] == [Unavailable] * 3


@pytest.mark.parametrize("count", [1, 7])
def test_closing_settles_what_is_waiting(engine: Engine, count: int) -> None:
    outcomes = settle_all(engine, *(CommandWork(start(f"s-{n}", at=NOON + n)) for n in range(count)))

    assert all(isinstance(outcome, Written) for outcome in outcomes)
