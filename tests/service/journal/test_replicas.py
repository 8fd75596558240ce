"""Every worker says what it holds and what it could not load; who is silent is not shown, and later forgotten."""

from sqlalchemy import Engine, func, select

from service.clock import SECOND, Instant
from service.journal.replicas import Failure, ForgetReplica, ReplicaRecord, TellReplica, read_replicas
from service.journal.tables import replicas
from tests.service.journal.examples import NOON
from tests.service.journal.test_bundles import act


def told(name: str, at: Instant) -> ReplicaRecord:
    return ReplicaRecord(name, NOON, at, {"live": "a"}, {"b": Failure("golden", "differs", at)})


def test_what_a_worker_said_last_is_shown(engine: Engine) -> None:
    act(engine, TellReplica(record=told("one", NOON)))
    act(engine, TellReplica(record=told("one", NOON + SECOND)))

    assert act(engine, lambda sql: read_replicas(sql, at=NOON + 2 * SECOND)) == [told("one", NOON + SECOND)]


def test_a_silent_worker_is_not_shown_and_an_old_one_is_forgotten(engine: Engine) -> None:
    act(engine, TellReplica(record=told("one", NOON)))
    act(engine, TellReplica(record=told("two", NOON + 3601 * SECOND)))

    shown = act(engine, lambda sql: read_replicas(sql, at=NOON + 3601 * SECOND))
    assert [each.replica for each in shown] == ["two"]
    assert act(engine, lambda sql: sql.scalar(select(func.count()).select_from(replicas))) == 1


def test_a_worker_that_stops_says_so(engine: Engine) -> None:
    act(engine, TellReplica(record=told("one", NOON)))
    act(engine, ForgetReplica(replica="one"))

    assert act(engine, lambda sql: read_replicas(sql, at=NOON)) == []
