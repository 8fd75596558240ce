"""Every route says who may call it; a key reaches its own app's listeners and no others'."""

from collections.abc import Iterator
from time import monotonic, sleep

import httpx
import pytest
from fastapi.routing import APIRoute

from service.access.caller import Scope
from service.api.dependencies import Needs
from service.app import create_app
from service.operations import create_key, revoke_key
from service.settings import Settings
from tests.service.server import Listener, serving

OPEN = {"/healthz", "/readyz", "/startupz"}
FOLLOWED_WITHIN_SECONDS = 2.0


def declared() -> dict[tuple[str, str], frozenset[Scope]]:
    """The scopes of each method and path; none where none are declared."""
    app = create_app(Settings())
    routers = [each.original_router for each in app.routes if hasattr(each, "original_router")]
    found = {}
    for route in (route for router in routers for route in router.routes if isinstance(route, APIRoute)):
        needs = [each.call for each in route.dependant.dependencies if isinstance(each.call, Needs)]
        scopes = frozenset.intersection(*(each.scopes for each in needs)) if needs else frozenset()
        found |= {(method, route.path_format): scopes for method in route.methods}
    assert {path for _, path in found} == set(app.openapi()["paths"])
    return found


def test_every_route_but_health_declares_who_may_call_it():
    assert {path for (_, path), scopes in declared().items() if not scopes} == OPEN


def test_only_operators_change_what_all_apps_share():
    for (method, path), scopes in declared().items():
        if method != "GET" and not path.startswith("/v1/listeners/"):
            assert scopes == {Scope.OPERATOR}, (method, path)


def test_the_document_says_that_a_key_is_needed():
    document = create_app(Settings()).openapi()

    assert document["components"]["securitySchemes"]["key"]["scheme"] == "bearer"
    for path, methods in document["paths"].items():
        for operation in methods.values():
            assert ("security" in operation) == (path not in OPEN)


@pytest.fixture
def keys(settings: Settings) -> dict[str, str]:
    """A key of each scope, and one of another app."""
    made = {scope.value: create_key(settings, "clinic", [scope]) for scope in Scope}
    return made | {"other": create_key(settings, "choir", [Scope.APP])}


@pytest.fixture
def service(settings: Settings, keys: dict[str, str]) -> Iterator[httpx.Client]:
    """A service that was started with the keys in SQL."""
    with serving(settings) as client:
        yield client


def with_key(client: httpx.Client, key: str) -> httpx.Client:
    return httpx.Client(base_url=client.base_url, headers={"authorization": f"Bearer {key}"}, timeout=30)


def test_a_key_opens_what_its_scope_says_and_403_tells_the_rest(service, keys):
    asked = {
        "start": lambda client: Listener(client).start(),
        "songs": lambda client: client.get("/v1/songs"),
        "models": lambda client: client.get("/v1/models"),
        "metrics": lambda client: client.get("/metrics"),
        "rollback": lambda client: client.post("/v1/models/rollback"),
    }
    statuses = {}
    for scope in ("app", "operator", "auditor"):
        with with_key(service, keys[scope]) as client:
            statuses[scope] = {name: ask(client).status_code for name, ask in asked.items()}
    with with_key(service, keys["app"]) as client:
        refused = client.get("/v1/models").json()

    assert statuses == {
        "app": {"start": 201, "songs": 200, "models": 403, "metrics": 403, "rollback": 403},
        "operator": {"start": 403, "songs": 200, "models": 200, "metrics": 200, "rollback": 409},
        "auditor": {"start": 403, "songs": 200, "models": 200, "metrics": 200, "rollback": 403},
    }
    assert refused["type"] == "urn:amrs:problem:forbidden"
    assert refused["detail"] == "expected a key of scope auditor or operator; this one has app"
    assert service.get("/v1/songs").status_code == 401


def test_two_apps_may_call_different_listeners_by_one_id(service, keys):
    with with_key(service, keys["app"]) as ours, with_key(service, keys["other"]) as theirs:
        our, their = Listener(ours), Listener(theirs)
        our.start(mode="calm")
        song = our.cycle()
        before = theirs.get(f"{their.path}/history")
        unknown = theirs.get("/v1/listeners/nobody/history")
        stolen = [
            their.ask(),
            their.tell(song["recommendation_id"]),
            theirs.get(f"{their.path}/recommendations/{song['recommendation_id']}"),
            their.end(),
        ]
        started = their.start(mode="sleep")
        stolen_again = their.tell(song["recommendation_id"])
        their.cycle()

        assert {answer.status_code for answer in [*stolen, before, unknown, stolen_again]} == {404}
        assert before.json()["type"] == unknown.json()["type"]
        assert (started.status_code, started.json()["mode"]) == (201, "sleep")
        assert len(ours.get(f"{our.path}/history").json()["plays"]) == 1
        assert ours.get(f"{our.path}/history").json()["plays"][0]["mode"] == "calm"
        assert theirs.get(f"{their.path}/history").json()["plays"][0]["mode"] == "sleep"


def test_a_key_made_or_revoked_while_the_service_runs_counts_within_two_seconds(service, settings, keys):
    fresh = create_key(settings, "clinic", [Scope.APP])
    with with_key(service, fresh) as client:
        assert comes_to_answer(client, 200)
        revoke_key(settings, fresh.split("_")[1])
        assert comes_to_answer(client, 401)
        with with_key(service, keys["app"]) as another:
            assert another.get("/v1/songs").status_code == 200


def comes_to_answer(client: httpx.Client, status: int) -> bool:
    until = monotonic() + FOLLOWED_WITHIN_SECONDS
    while monotonic() < until:
        if client.get("/v1/songs").status_code == status:
            return True
        sleep(0.05)
    return False
