"""What the OpenAPI document says is what the service does: schemathesis walks through all of it, and along links.

It invents lawful and unlawful requests for every operation, and chains of them; every answer is held to the
document (status, headers, media type, body), every lawful request must be taken, every unlawful one refused.
"""

import os
from time import perf_counter
from typing import Any

import httpx
import pytest

from service.app import create_app
from service.settings import Settings
from tests.service.api.walk import KEY, STOOD_STILL, Walk, walk
from tests.service.server import serving

pytestmark = pytest.mark.filterwarnings(
    # The service runs in another thread of this process, and what shuffles there is no strategy's.
    "ignore:Do not use the `random` module:hypothesis.errors.HypothesisDeprecationWarning"
)


def walked(settings: Settings, **effort: Any) -> Walk:
    """Walk through a service with a key, whose rate is as good as unlimited."""
    changed = {"api_keys": (KEY,), "rate_limit_per_second": 1e6, "rate_limit_burst": 1e6}
    waits = ("head_timeout_seconds", "body_timeout_seconds", "write_timeout_seconds")
    changed |= dict.fromkeys(waits, STOOD_STILL)
    begun = perf_counter()
    with serving(Settings(**(settings.model_dump() | changed))) as client:
        found = walk(str(client.base_url).rstrip("/"), **effort)
    print(f"\n{found.cases} requests in {perf_counter() - begun:.1f} s: {dict(sorted(found.statuses.items()))}")
    return found


def hold(found: Walk) -> None:
    """Nothing failed, and nothing was left out."""
    document = create_app(Settings()).openapi()
    whole = {f"{method.upper()} {path}" for path, methods in document["paths"].items() for method in methods}
    assert not found.failures, "\n\n".join(f"{where}: {told}" for where, told in found.failures.items())
    assert not found.errors
    assert found.operations == whole
    assert not [status for status in found.statuses if status >= 500]


def test_every_answer_is_as_the_document_says(settings: Settings) -> None:
    hold(walked(settings, examples=3, chains=4, edges=False))


@pytest.mark.prove
@pytest.mark.timeout(1800)
def test_every_answer_to_a_long_walk_is_as_the_document_says(settings: Settings) -> None:
    """As many requests are invented for each operation as `AMRS_TEST_EXAMPLES` says, and twice as many chains."""
    examples = int(os.environ.get("AMRS_TEST_EXAMPLES", "100"))

    hold(walked(settings, examples=examples, chains=2 * examples, edges=True))


def test_a_name_that_leads_to_nothing_is_documented_in_a_query_as_in_a_path(shared_client: httpx.Client) -> None:
    refused = shared_client.get("/v1/audit", params={"listener_id": "nobody"})

    assert (refused.status_code, refused.json()["type"]) == (404, "urn:amrs:problem:unknown-listener")
    assert "404" in create_app(Settings()).openapi()["paths"]["/v1/audit"]["get"]["responses"]


def test_a_path_says_which_methods_it_knows(shared_client: httpx.Client) -> None:
    refused = shared_client.patch("/v1/songs/song-1")

    assert (refused.status_code, refused.headers["allow"]) == (405, "DELETE, GET, PUT")


def test_there_is_one_path_for_one_thing(shared_client: httpx.Client) -> None:
    assert shared_client.get("/v1/songs").status_code == 200
    assert shared_client.get("/v1/songs/").status_code == 404
