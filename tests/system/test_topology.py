"""What `docker compose up` starts, as local processes: songs through the proxy, whatever happens to one replica.

The proxy's configuration is the repository's own file; PostgreSQL and Redis are started for the purpose.
"""

from time import monotonic, sleep

import httpx
import pytest

from models.repository import Repository
from service.operations import promote_bundle
from tests.bundles import ENDLESS, seal_bundle
from tests.docker.test_prometheus import OF_PROXY
from tests.processes.listeners import listening, reconcile
from tests.processes.postgresql import needs_postgresql
from tests.processes.proxy import needs_haproxy
from tests.service.server import Listener
from tests.system.topology import Topology

SESSIONS = "/v1/listeners/{listener_id}/sessions"

pytestmark = [needs_haproxy, needs_postgresql, pytest.mark.timeout(180)]


def test_songs_come_through_the_proxy_from_both_replicas(running: Topology):
    before = [each.numbers() for each in running.replicas]
    for place in range(6):
        with httpx.Client(base_url=running.address, timeout=30) as client:
            listener = Listener(client, f"through-{place}", "s")
            assert listener.start().status_code == 201
            listener.cycle()
            assert listener.end().status_code == 200

    after = [each.numbers() for each in running.replicas]
    for method, route, status in (
        ("POST", SESSIONS, 201),
        ("POST", f"{SESSIONS}/{{session_id}}/recommendations", 200),
    ):
        name = f'amrs_http_requests_total{{method="{method}",route="{route}",status="{status}"}}'
        assert sum(each.get(name, 0) for each in after) - sum(each.get(name, 0) for each in before) == 6
    assert all(_asked(told) > _asked(earlier) for told, earlier in zip(after, before, strict=True))


def _asked(told: dict[str, float]) -> float:
    """Return how often a replica was asked about sessions."""
    return sum(value for name, value in told.items() if SESSIONS in name)


def test_a_session_goes_on_at_the_other_replica(running: Topology):
    """Replicas share what a listener said and the secret that signs recommendation ids."""
    with running.replicas[0].client() as one, running.replicas[1].client() as other:
        assert Listener(one, "moving").start().status_code == 201
        (song,) = Listener(one, "moving").ask(request_id="asked-here").json()["recommendations"]
        told = Listener(other, "moving").tell(song["recommendation_id"])
        repeated = Listener(other, "moving").ask(request_id="asked-here").json()

    assert told.status_code == 200
    assert (repeated["duplicate"], repeated["recommendations"][0]["song"]) == (True, song["song"])


def test_numbers_and_readiness_are_not_for_apps(running: Topology):
    with httpx.Client(base_url=running.address) as client:
        answers = [client.get(path) for path in ("/metrics", "/readyz", "/startupz")]

    assert {answer.status_code for answer in answers} == {404}
    assert {answer.headers["content-type"] for answer in answers} == {"application/problem+json"}


def test_every_part_tells_its_numbers(running: Topology):
    for replica in running.replicas:
        told = replica.numbers()
        assert [told[f'amrs_up{{part="{part}"}}'] for part in ("bundle", "journal", "redis")] == [1, 1, 1]
        assert (told["amrs_ready"], told["amrs_workers"]) == (1, 1)
    of_proxy = httpx.get(f"{running.numbers_address}/metrics").text
    assert 'haproxy_backend_active_servers{proxy="replicas"} 2' in of_proxy
    assert all(f"\n{name}{{" in of_proxy for name in OF_PROXY)


def test_a_promoted_bundle_is_followed_by_both_replicas_under_load(running: Topology):
    version = seal_bundle(Repository(running.settings.home / "bundles"), seed=1, limits=ENDLESS)

    with listening(running.address, count=2, name="promoted") as ledgers:
        promote_bundle(running.settings, version)
        until = monotonic() + 10
        while not all(r.numbers().get(f'amrs_bundle_info{{version="{version}"}}') for r in running.replicas):
            assert monotonic() < until
            sleep(0.1)

    reconcile(ledgers, running.database_url)
    assert not any(ledger.seen for ledger in ledgers)


def test_killing_a_replica_fails_no_request(running: Topology):
    """In flight, on idle connections, or new: the proxy asks the other replica, and the app sees an answer.

    What no proxy can mend is an answer that broke off in the middle: that app sends its request once more.
    """
    killed = running.replicas[0].process

    with listening(running.address, count=4, name="killed") as ledgers:
        sleep(0.5)
        killed.kill()
        running.await_replicas(1)
        sleep(0.5)
        killed.start()
        running.await_replicas(2)

    reconcile(ledgers, running.database_url)
    assert all(ledger.seen.total() <= ledger.seen["broken"] <= 1 for ledger in ledgers)
    assert all(len(ledger.told) > 3 for ledger in ledgers)


def test_with_no_replica_ready_the_proxy_says_when_to_come_again(running: Topology):
    """An outage of SQL takes readiness away: apps get the API's own kind of answer, from the proxy."""
    running.postgresql.freeze()
    try:
        running.await_replicas(0)
        with httpx.Client(base_url=running.address, timeout=30) as client:
            refused = Listener(client, "nobody").start()
    finally:
        running.postgresql.thaw()
    running.await_replicas(2)

    assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
    assert refused.json()["type"] == "urn:amrs:problem:unavailable"
    assert refused.headers["content-type"] == "application/problem+json"


def test_no_log_of_the_proxy_names_a_listener(running: Topology):
    said = (running.replicas[0].settings.home.parent / "haproxy.log").read_text()

    assert '"status":201' in said
    assert "through-0" not in said
    assert "listeners" not in said
