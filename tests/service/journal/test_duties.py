"""A duty is one worker's at a time, is handed on when its holder is silent, and is never done twice."""

import pytest
from sqlalchemy import Engine

from service.clock import SECOND, Instant
from service.errors import Conflict
from service.journal.duties import TakeDuty, advance_duty
from tests.service.journal.examples import NOON
from tests.service.journal.test_bundles import act


def take(holder: str, *, at: Instant = NOON) -> TakeDuty:
    return TakeDuty(duty="watch", holder=holder, at=at, seconds=30.0)


def test_one_worker_at_a_time_has_a_duty(engine: Engine) -> None:
    assert act(engine, take("one")) == 0
    assert act(engine, take("two")) is None
    assert act(engine, take("one", at=NOON + 20 * SECOND)) == 0
    assert act(engine, take("two", at=NOON + 40 * SECOND)) is None
    assert act(engine, take("two", at=NOON + 50 * SECOND)) == 0


def test_work_begins_where_the_last_worker_left_off(engine: Engine) -> None:
    act(engine, take("one"))
    act(engine, lambda sql: advance_duty(sql, "watch", begun=0, done_to=7))

    assert act(engine, take("two", at=NOON + 60 * SECOND)) == 7


def test_what_was_done_meanwhile_is_not_done_again(engine: Engine) -> None:
    act(engine, take("one"))
    act(engine, lambda sql: advance_duty(sql, "watch", begun=0, done_to=7))

    with pytest.raises(Conflict, match="another worker"):
        act(engine, lambda sql: advance_duty(sql, "watch", begun=0, done_to=7))
