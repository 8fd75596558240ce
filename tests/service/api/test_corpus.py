"""However a request is spoilt: it is refused in words that name the place, or taken; and a refusal leaves nothing.

Twenty thousand under `make prove`, a thousand always, on every database (`tests/service/api/corpus.py`).
"""

from collections import Counter
from collections.abc import Callable, Iterator
from time import perf_counter

import httpx
import pytest
from sqlalchemy import create_engine, func, select

from service.app import create_app
from service.journal.engine import database_of
from service.journal.tables import metadata
from service.settings import Settings
from tests.service.api.corpus import Sent, corpus
from tests.service.api.walk import STOOD_STILL
from tests.service.server import Listener

OF_THE_SERVICE_ITSELF = {"replicas", "measurements", "duties"}
"""Written by workers whenever they like."""

Count = Callable[[], tuple[int, ...]]


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Settings of a service that waits as long as the machine makes it."""
    waits = ("head_timeout_seconds", "body_timeout_seconds", "write_timeout_seconds")
    return settings.model_copy(update=dict.fromkeys(waits, STOOD_STILL))


@pytest.fixture
def client(client: httpx.Client) -> httpx.Client:
    """A client that does so too."""
    client.timeout = httpx.Timeout(STOOD_STILL)
    return client


@pytest.fixture
def rows(settings: Settings) -> Iterator[Count]:
    """Count the rows of every table that requests write."""
    tables = [table for name, table in sorted(metadata.tables.items()) if name not in OF_THE_SERVICE_ITSELF]
    question = select(*(select(func.count()).select_from(table).scalar_subquery() for table in tables))
    engine = create_engine(database_of(settings.database_url))
    with engine.connect() as sql:

        def count() -> tuple[int, ...]:
            with sql.begin():
                return tuple(sql.execute(question).one())

        yield count
    engine.dispose()


def documented() -> dict[str, set[int]]:
    """Operation → the statuses that the document names."""
    paths = create_app(Settings()).openapi()["paths"]
    return {
        f"{method.upper()} {path}": {int(status) for status in operation["responses"]}
        for path, methods in paths.items()
        for method, operation in methods.items()
    }


def check(sent: Sent, answer: httpx.Response, statuses: set[int]) -> None:
    """Hold one answer to the document and to RFC 9457."""
    told = f"{sent.operation} ({sent.spoilt}) {sent.path[:200]} {sent.body[:400]!r}: {answer.text[:400]}"
    assert answer.status_code in statuses, told
    assert answer.status_code < 500, told
    if answer.status_code < 400:
        return
    assert answer.headers["content-type"] == "application/problem+json", told
    problem = answer.json()
    assert problem["status"] == answer.status_code, told
    assert problem["request_id"] == answer.headers["x-request-id"], told
    assert problem["type"].startswith("urn:amrs:problem:"), told
    assert problem["title"], told
    assert problem["detail"], told
    assert len(answer.content) < 64 * 1024, told
    if answer.status_code == 422:
        assert problem.get("errors"), told
        assert all(set(each) == {"path", "message"} and each["message"] for each in problem["errors"]), told


def meet(client: httpx.Client, rows: Count, count: int, *, seed: int) -> Counter:
    """Send so many bad requests; return how many were answered with each status."""
    listener = Listener(client)
    listener.start()
    (song,) = listener.ask().json()["recommendations"]
    known, met, begun = documented(), Counter(), perf_counter()
    before = rows()
    for sent in corpus(count, seed=seed, recommendation_id=song["recommendation_id"]):
        headers = {} if sent.content_type is None else {"content-type": sent.content_type}
        answer = client.request(sent.method, sent.path, content=sent.body, headers=headers)
        check(sent, answer, known[sent.operation])
        after = rows()
        if answer.status_code >= 400:
            assert after == before, f"{sent} was refused with {answer.status_code}, and left something"
        before = after
        met[answer.status_code] += 1
    seconds = perf_counter() - begun
    print(f"\n{count} bad requests in {seconds:.1f} s, {count / seconds:.0f}/s: {dict(sorted(met.items()))}")
    return met


def test_a_bad_request_is_refused_whole_with_the_place(client: httpx.Client, rows: Count) -> None:
    met = meet(client, rows, 1_000, seed=1)

    assert {400, 404, 413, 415, 422} <= set(met)


@pytest.mark.prove
@pytest.mark.timeout(1800)
def test_twenty_thousand_bad_requests_are_refused_whole(client: httpx.Client, rows: Count) -> None:
    met = meet(client, rows, 20_000, seed=2)

    assert sum(met.values()) == 20_000


def test_the_same_seed_draws_the_same_requests() -> None:
    first, again = (list(corpus(200, seed=3, recommendation_id="r")) for _ in range(2))

    assert first == again
    assert len({(each.path, each.body, each.content_type) for each in first}) > 190
