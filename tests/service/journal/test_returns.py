"""A new bundle that errs or falls back too often is returned from: once, by one worker, and not twice in a row."""

from threading import Thread

import pytest
from sqlalchemy import Engine, select

from service.clock import SECOND, Instant
from service.errors import StageConflict
from service.journal.bundles import BundleRecord, live_bundle, read_bundle
from service.journal.measurements import DAY, AddMeasurements, Measured, Subject, read_measurements
from service.journal.returns import ACTOR, ReturnBounds, ReturnBundle, crossed
from service.journal.tables import audit
from tests.service.journal.examples import NOON
from tests.service.journal.test_bundles import ROLL_BACK, act, promote, stage
from tests.service.journal.test_bundles import three as three

BOUNDS = ReturnBounds(error_share=0.1, fallback_share=0.5, minimum_count=20, window_seconds=600.0)


def saw(engine: Engine, version: str, measure: str, count: int, total: float, *, at: Instant = NOON) -> None:
    since = act(engine, lambda sql: read_bundle(sql, version)).staged_at
    act(engine, AddMeasurements(measured={Subject(version, since, measure): Measured(count, float(total))}, at=at))


def judge(engine: Engine, version: str, *, at: Instant = NOON + SECOND) -> BundleRecord | None:
    found: BundleRecord | None = act(engine, ReturnBundle(version=version, bounds=BOUNDS, at=at))
    return found


@pytest.mark.parametrize(
    ("count", "total", "is_crossed"), [(19, 19.0, False), (20, 2.0, False), (20, 3.0, True), (1000, 100.0, False)]
)
def test_a_bound_is_crossed_by_enough_requests_and_more_than_its_share(count: int, total: float, is_crossed: bool):
    assert (crossed({"error": Measured(count, total)}, BOUNDS) is not None) == is_crossed


def test_errors_lead_back_to_the_bundle_before_and_mark_the_one_left(three: Engine) -> None:
    saw(three, "b", "error", 40, 8)

    answering = judge(three, "b")

    assert answering is not None
    assert (answering.version, answering.stage) == ("a", "live")
    left = act(three, lambda sql: read_bundle(sql, "b"))
    assert (left.stage, left.returned_at) == ("retired", NOON + SECOND)
    assert left.returned_reason == "error: 8 of 40 requests, more than 10.0%"
    assert act(three, lambda sql: sql.scalars(select(audit.c.act).where(audit.c.actor == ACTOR)).all()) == [
        "return"
    ]


def test_fallbacks_lead_back_too(three: Engine) -> None:
    saw(three, "b", "fallback", 40, 21)

    assert judge(three, "b") is not None


def test_workers_see_together_what_none_of_them_saw_alone(three: Engine) -> None:
    for _ in range(4):
        saw(three, "b", "error", 10, 2)

    assert judge(three, "b") is not None


def test_what_was_left_is_not_promoted_until_it_is_made_a_candidate(three: Engine) -> None:
    saw(three, "b", "error", 40, 8)
    judge(three, "b")

    for what in (promote("b"), stage("b", "canary")):
        with pytest.raises(StageConflict, match="was returned from"):
            act(three, what)
    assert act(three, stage("b", "shadow")).stage == "shadow"
    act(three, stage("b", "candidate"))
    assert act(three, promote("b")).stage == "live"


def test_it_does_not_go_back_twice_by_itself(three: Engine) -> None:
    act(three, promote("c"))
    saw(three, "c", "error", 40, 8)
    judge(three, "c")
    saw(three, "b", "error", 40, 40)

    assert judge(three, "b") is None
    assert act(three, live_bundle).version == "b"


def test_an_operators_rollback_stands(three: Engine) -> None:
    act(three, ROLL_BACK)
    saw(three, "a", "error", 40, 40)

    assert judge(three, "a") is None


def test_what_a_bundle_showed_before_it_was_promoted_again_does_not_count(three: Engine) -> None:
    saw(three, "b", "error", 40, 8)
    act(three, promote("c"))
    again = promote("b")
    act(three, type(again)(version="b", digest="d", at=NOON + 5 * SECOND, actor="ops"))

    assert judge(three, "b", at=NOON + 6 * SECOND) is None


def test_after_the_window_a_bundle_is_no_longer_watched(three: Engine) -> None:
    saw(three, "b", "error", 40, 8)

    assert judge(three, "b", at=NOON + 601 * SECOND) is None


def test_a_canary_that_errs_is_retired_and_the_live_bundle_stays(three: Engine) -> None:
    act(three, stage("c", "canary"))
    saw(three, "c", "error", 40, 8)

    answering = judge(three, "c")

    assert answering is not None
    assert answering.version == "b"
    assert act(three, lambda sql: read_bundle(sql, "c")).stage == "retired"


def test_of_many_workers_one_returns(three: Engine) -> None:
    saw(three, "b", "error", 40, 8)
    found: list[BundleRecord | None] = []
    workers = [Thread(target=lambda: found.append(judge(three, "b"))) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()

    assert sum(each is not None for each in found) == 1
    assert act(three, live_bundle).version == "a"


def test_measurements_are_sums_by_day(engine: Engine) -> None:
    subject = Subject("a", 0, "error")
    for at in (NOON, NOON + DAY):
        act(engine, AddMeasurements(measured={subject: Measured(2, 1.0)}, at=at))
        act(engine, AddMeasurements(measured={subject: Measured(3, 0.5)}, at=at))

    assert act(engine, lambda sql: read_measurements(sql, "a", since=0)) == {"error": Measured(10, 3.0)}
    later = act(engine, lambda sql: read_measurements(sql, "a", since=0, from_day=NOON))
    assert later == {"error": Measured(5, 1.5)}
