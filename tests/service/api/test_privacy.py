"""A listener may consent, read everything that is held, and have it erased from every store there is."""

import logging
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
import structlog
from redis import Redis
from sqlalchemy import create_engine, inspect, select

from service.access.caller import Scope
from service.api.privacy import IN_MEMORY_BYTES
from service.journal.engine import database_of
from service.journal.held import TABLES
from service.journal.tables import decisions, listeners
from service.operations import create_key
from service.settings import Settings
from service.telemetry.logs import configure_logs
from tests.service.server import Listener, serving

WHO = "marked-listener-7319"
SESSION = "marked-session-4426"
VALENCE, AROUSAL, AFTER = 0.731942685, 0.264197357, 0.418273645
"""Reports nobody else makes: their digits are sought everywhere."""
MARKS = [WHO, SESSION, "731942", "264197", "418273", "marked-event", "marked-request", "marked-tag"]


@pytest.fixture
def logs(capsys: pytest.CaptureFixture[str]) -> Iterator[Callable[[], str]]:
    """What the service writes to standard error, asked for once."""
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    logging.getLogger("httpx").setLevel(logging.WARNING)  # the test's own client, in the same process
    configure_logs()
    yield lambda: capsys.readouterr().err
    structlog.reset_defaults()
    root.handlers, root.level = handlers, level
    logging.getLogger("httpx").setLevel(logging.NOTSET)


@pytest.fixture
def service(settings: Settings, logs: Callable[[], str]) -> Iterator[httpx.Client]:
    with serving(settings) as client:
        yield client


def live(client: httpx.Client) -> dict[str, object]:
    """A whole session of the marked listener; return the song they were given."""
    listener = Listener(client, WHO, SESSION)
    listener.start(mode="calm", population="clinical", report={"valence": VALENCE, "arousal": AROUSAL})
    song = listener.ask(request_id="marked-request-1").json()["recommendations"][0]
    listener.tell(song["recommendation_id"], event_id="marked-event-1", engagement=0.75, rating=1)
    client.post(f"{listener.path}/sessions/{SESSION}/mode", json={"event_id": "marked-event-2", "mode": "sleep"})
    client.put(f"{listener.path}/blocks/tag/marked-tag")
    client.put(f"/v1/models/canary/listeners/{WHO}", json={"clinical": True})
    client.put(f"{listener.path}/consent", json={"event_id": "marked-event-3", "consent": True})
    listener.end(event_id="marked-event-4", report={"valence": AFTER, "arousal": AROUSAL})
    assert client.get(f"{listener.path}/history").status_code == 200
    return song


def sql_contents(settings: Settings) -> str:
    """Every column of every row of every table; decisions without their packed bodies."""
    engine = create_engine(database_of(settings.database_url))
    with engine.begin() as sql:
        told = []
        for table in inspect(sql).get_table_names():
            for row in sql.exec_driver_sql(f'SELECT * FROM "{table}"').mappings():
                told += [f"{table}.{name}={value!r}" for name, value in row.items()]
    engine.dispose()
    return "\n".join(told)


def redis_contents(settings: Settings) -> bytes:
    """Every key and value below the prefix."""
    assert settings.redis_url
    with Redis.from_url(settings.redis_url) as redis:
        keys = list(redis.scan_iter(f"{settings.redis_prefix}*"))
        return b"\n".join([*keys, *(redis.dump(key) or b"" for key in keys)])


def file_contents(settings: Settings) -> bytes:
    """Every file below home, and SQLite's own files wherever they are."""
    files = [path for path in settings.home.rglob("*") if path.is_file()]
    if settings.database_url.startswith("sqlite"):
        database = Path(settings.database_url.removeprefix("sqlite:///"))
        files += [path for path in database.parent.iterdir() if path.name.startswith(database.name)]
    return b"\n".join(path.read_bytes() for path in files)


def traces(text: str | bytes) -> list[str]:
    """The marks that stand in a text, as words or as bytes."""
    whole = text.encode() if isinstance(text, str) else text
    return [mark for mark in MARKS if mark.encode() in whole]


def test_an_erasure_leaves_no_trace_in_any_store(service, settings, logs):
    song = live(service)
    held = set(traces(sql_contents(settings)))
    path = f"/v1/listeners/{WHO}"

    erased = service.delete(path)
    again = service.delete(path)

    assert held == set(MARKS), "the marks were not written, so finding none would prove nothing"
    assert (erased.status_code, again.status_code) == (204, 204)
    stores = {
        "sql": sql_contents(settings),
        "redis": redis_contents(settings),
        "files": file_contents(settings),
        "logs": logs(),
        "metrics": service.get("/metrics").text,
        "audit": service.get("/v1/audit").text,
    }
    assert {name: traces(contents) for name, contents in stores.items()} == {name: [] for name in stores}
    listener = Listener(service, WHO, SESSION)
    assert service.get(f"{path}/history").status_code == 404
    assert service.get(f"{path}/export").status_code == 404
    assert listener.tell(str(song["recommendation_id"])).status_code == 404
    assert service.get(f"{path}/recommendations/{song['recommendation_id']}").status_code == 404
    assert listener.ask().status_code == 404


def test_decisions_stay_for_the_audit_and_lead_to_nobody(service, settings):
    live(service)
    engine = create_engine(database_of(settings.database_url))
    with engine.begin() as sql:
        number = sql.scalar(select(listeners.c.listener_number).where(listeners.c.listener_id == WHO))

    service.delete(f"/v1/listeners/{WHO}")

    with engine.begin() as sql:
        (kept,) = sql.execute(select(decisions)).all()
    engine.dispose()
    assert kept.listener_number != number
    assert traces(kept.body) == []
    acts = service.get("/v1/audit").json()["acts"]
    assert [act["act"] for act in acts[:2]] == ["erase listener", "give consent"]
    assert acts[0]["subject"] == f"listener {number}"


def test_whoever_comes_back_is_somebody_new(service, settings):
    first = live(service)
    service.delete(f"/v1/listeners/{WHO}")

    listener = Listener(service, WHO, SESSION)
    started = listener.start(mode="calm", population="clinical", report={"valence": VALENCE, "arousal": AROUSAL})
    old = listener.tell(str(first["recommendation_id"]))
    song = listener.cycle()
    history = service.get(f"{listener.path}/history").json()
    exported = service.get(f"{listener.path}/export").json()

    assert (started.status_code, started.json()["duplicate"]) == (201, False)
    assert old.status_code == 404
    assert [play["song_id"] for play in history["plays"]] == [song["song"]["song_id"]]
    assert exported["sql"]["blocks"] == []
    assert exported["sql"]["listeners"][0]["consent"] in (False, 0)


def test_an_export_holds_every_table_and_memory_and_is_on_record(service, settings):
    song = live(service)

    answer = service.get(f"/v1/listeners/{WHO}/export")
    exported = answer.json()

    assert answer.headers["content-type"] == "application/json"
    assert set(exported["sql"]) == {table.name for table in TABLES}
    assert all(exported["sql"].values()), "every table holds something of the marked listener"
    assert set(traces(answer.content)) == set(MARKS)
    assert exported["sql"]["recommendations"][0]["song_id"] == song["song"]["song_id"]
    assert exported["sql"]["sessions"][0]["before_valence"] == VALENCE
    assert exported["memory"] is not None
    (act,) = [act for act in service.get("/v1/audit").json()["acts"] if act["act"] == "export listener"]
    number = exported["sql"]["listeners"][0]["listener_number"]
    assert (act["subject"], act["actor"]) == (f"listener {number}", "anybody on this machine")
    of_listener = service.get("/v1/audit", params={"listener_id": WHO}).json()["acts"]
    assert [each["act"] for each in of_listener] == ["export listener", "give consent", "enrol canary listener"]
    assert not list(settings.home.glob("tmp*"))


def test_a_long_export_is_whole(service):
    """Longer than what is kept in memory: it waits in a file without a name."""
    listener = Listener(service, WHO, SESSION)
    listener.start()
    for _ in range(25):
        listener.ask(count=20)

    answer = service.get(f"/v1/listeners/{WHO}/export")

    assert len(answer.content) > IN_MEMORY_BYTES
    assert len(answer.json()["sql"]["recommendations"]) > 50


def test_exports_and_the_audit_are_not_for_apps(service, settings):
    app, auditor = (create_key(settings, "default", [scope]) for scope in (Scope.APP, Scope.AUDITOR))
    with serving(settings) as another:
        statuses = {
            (name, path): another.get(path, headers={"authorization": f"Bearer {key}"}).status_code
            for name, key in (("app", app), ("auditor", auditor))
            for path in ("/v1/audit", f"/v1/listeners/{WHO}/export", f"/v1/listeners/{WHO}/history")
        }

    assert statuses == {
        ("app", "/v1/audit"): 403,
        ("app", f"/v1/listeners/{WHO}/export"): 403,
        ("app", f"/v1/listeners/{WHO}/history"): 404,
        ("auditor", "/v1/audit"): 200,
        ("auditor", f"/v1/listeners/{WHO}/export"): 404,
        ("auditor", f"/v1/listeners/{WHO}/history"): 403,
    }


def test_the_audit_is_read_page_by_page(service):
    for place in range(5):
        body = {"event_id": f"c-{place}", "consent": place % 2 == 0}
        service.put(f"/v1/listeners/{WHO}/consent", json=body)

    first = service.get("/v1/audit", params={"limit": 3}).json()
    rest = service.get("/v1/audit", params={"limit": 100, "before": first["before"]}).json()

    acts = [act["act"] for act in [*first["acts"], *rest["acts"]]]
    assert acts[:5] == ["give consent", "withdraw consent", "give consent", "withdraw consent", "give consent"]
    assert rest["before"] is None


def test_consent_is_said_once_however_often_it_is_sent(service):
    path = f"/v1/listeners/{WHO}/consent"

    answers = [service.put(path, json={"event_id": "c-1", "consent": True}).json() for _ in range(2)]
    other_body = service.put(path, json={"event_id": "c-1", "consent": False})
    wrong = service.put(path, json={"event_id": "c-2", "consent": "yes"})

    assert answers[0] == {"event_id": "c-1", "consent": True, "duplicate": False}
    assert answers[1] == {"event_id": "c-1", "consent": True, "duplicate": True}
    assert other_body.status_code == 409
    assert wrong.status_code == 422


def test_a_session_leaves_nothing_of_what_was_said_in_logs_or_metrics(service, logs):
    live(service)
    service.post(f"/v1/listeners/{WHO}/sessions", json={"session_id": SESSION, "report": {"valence": 1.7}})
    service.get(f"/v1/listeners/{WHO}/nothing")

    written = logs()
    assert written.count('"event":"request"') > 9
    assert traces(written) == []
    assert traces(service.get("/metrics").text) == []
