"""Songs over HTTP: what is put can be given within two seconds; what is withdrawn is never given from then on."""

from collections.abc import Callable, Iterator
from time import monotonic, sleep
from typing import Any

import httpx
import pytest

from service.journal import notices
from service.live import follow_songs
from service.settings import Settings
from tests.bundles import SPACE, make_embeddings
from tests.service.server import Listener, serving

PROMISED_SECONDS = 2.0
PATIENCE_SECONDS = 20.0
"""The machine that runs the tests may be busy; what is promised is printed by `amrs bench catalogue`."""


def body(**changed: Any) -> dict[str, Any]:
    return {
        "title": "New",
        "artist": "Ann",
        "duration_seconds": 200.5,
        "tags": ["piano"],
        "embeddings": {SPACE.name: make_embeddings()[7].tolist()},
    } | changed


def comes_true(question: Callable[[], bool]) -> bool:
    until = monotonic() + PATIENCE_SECONDS
    while monotonic() < until:
        if question():
            return True
        sleep(0.05)
    return False


def song_count(client: httpx.Client) -> int:
    version = client.get("/readyz").json()["bundle"]
    return int(client.get(f"/v1/models/{version}/health").json()["song_count"])


@pytest.fixture
def two_replicas(settings: Settings, client: httpx.Client) -> Iterator[tuple[httpx.Client, httpx.Client]]:
    """Two services over one database and one Redis."""
    with serving(settings) as other:
        yield client, other


def test_a_song_that_is_put_can_be_recommended_on_every_replica(two_replicas):
    one, other = two_replicas

    answer = one.put("/v1/songs/new", json=body())

    assert (answer.status_code, answer.json()["title"], answer.json()["withdrawn"]) == (200, "New", False)
    assert one.get("/v1/songs/new").json() == answer.json()
    assert comes_true(lambda: (song_count(one), song_count(other)) == (61, 61))


def test_a_withdrawn_song_is_never_given_from_the_answer_on(two_replicas):
    """Asked at once, before any replica has followed; ten of sixty songs are withdrawn."""
    one, other = two_replicas
    listeners = [Listener(client, listener_id=f"l-{place}") for place, client in enumerate((one, other))]
    for listener in listeners:
        listener.start()
    withdrawn: set[str] = set()
    for place in range(10):
        assert one.delete(f"/v1/songs/song-{place}").status_code == 204
        withdrawn.add(f"song-{place}")
        for listener in listeners:
            answer = listener.ask(count=3)
            given = {each["song"]["song_id"] for each in answer.json().get("recommendations", [])}
            assert answer.status_code in (200, 503)
            assert not given & withdrawn

    assert comes_true(lambda: (song_count(one), song_count(other)) == (50, 50))
    assert one.get("/v1/songs/song-3").json()["withdrawn"]


def test_a_request_that_comes_again_is_not_given_what_was_withdrawn_since(client, listener):
    listener.start()
    first = listener.ask(request_id="r-again", count=2).json()
    gone, kept = (each["song"]["song_id"] for each in first["recommendations"])
    client.delete(f"/v1/songs/{gone}")

    again = listener.ask(request_id="r-again", count=2).json()

    assert again["duplicate"]
    assert [each["song"]["song_id"] for each in again["recommendations"]] == [kept]
    assert "withdrawn since" in again["reason"]


def test_a_withdrawn_song_is_still_read_in_histories(client, listener):
    listener.start()
    song = listener.cycle()["song"]["song_id"]
    client.delete(f"/v1/songs/{song}")

    assert comes_true(lambda: song_count(client) == 59)
    assert listener.ask().status_code == 200
    assert client.get(f"{listener.path}/history").json()["plays"][0]["song_id"] == song


def test_withdrawing_again_changes_nothing_and_an_unknown_song_is_told(client):
    assert [client.delete("/v1/songs/song-1").status_code for _ in range(2)] == [204, 204]
    unknown = client.delete("/v1/songs/no-such")
    assert (unknown.status_code, unknown.json()["type"]) == (404, "urn:amrs:problem:unknown-song")


def test_putting_a_withdrawn_song_is_refused(client):
    client.delete("/v1/songs/song-1")
    refused = client.put("/v1/songs/song-1", json=body())

    assert (refused.status_code, refused.json()["type"]) == (409, "urn:amrs:problem:song-withdrawn")
    assert client.get("/v1/songs/song-1").json()["withdrawn"]


VECTOR = [0.5] * SPACE.width


@pytest.mark.parametrize(
    ("changed", "path", "message"),
    [
        ({"embeddings": {"tiny": VECTOR[:-1]}}, "embeddings.tiny", "width 8; got 7"),
        ({"embeddings": {"tiny": [*VECTOR[:-1], "x"]}}, "embeddings.tiny.7", "expected a number from"),
        ({"embeddings": {"tiny": [*VECTOR[:-1], None]}}, "embeddings.tiny.7", "expected a number from"),
        ({"embeddings": {"tiny": [*VECTOR[:-1], True]}}, "embeddings.tiny.7", "got true"),
        ({"embeddings": {"tiny": [*VECTOR[:-1], 1e39]}}, "embeddings.tiny.7", "got 1e+39"),
        ({"embeddings": {"tiny": []}}, "embeddings.tiny", "at least 1 item"),
        ({"embeddings": {}}, "embeddings.tiny", "expected an embedding, which bundle"),
        ({"embeddings": {"tiny": VECTOR, "tyni": VECTOR}}, "embeddings.tyni", "nobody knows 'tyni'"),
        ({"embeddings": {"tiny": VECTOR, "no space": VECTOR}}, "embeddings.no space.[key]", "expected an id"),
        ({"embeddings": [VECTOR]}, "embeddings", "expected an object"),
        ({"title": ""}, "title", "1 to 1024 characters"),
        ({"title": "a\x00b"}, "title", "without U+0000"),
        ({"artist": "a" * 257}, "artist", "1 to 256 characters"),
        ({"duration_seconds": 0}, "duration_seconds", "above 0"),
        ({"duration_seconds": "200"}, "duration_seconds", 'got "200"'),
        ({"tags": ["a", "a"]}, "tags", 'expected each tag once, got "a"'),
        ({"tags": ["a", 1]}, "tags.1", "expected a name"),
        ({"tags": "piano"}, "tags", "expected a list"),
        ({"withdrawn": False}, "withdrawn", "expected no field of this name"),
        ({"song_id": "new"}, "song_id", "expected no field of this name"),
    ],
)
def test_a_malformed_song_is_refused_whole_with_its_place(shared_client, changed, path, message):
    refused = shared_client.put("/v1/songs/new", json=body(**changed))

    assert refused.status_code == 422
    (error,) = refused.json()["errors"]
    assert error["path"] == path
    assert message in error["message"]
    assert shared_client.get("/v1/songs/new").status_code == 404


def test_a_song_with_numbers_that_are_none_is_not_json(shared_client):
    headers = {"content-type": "application/json"}
    for number in ("NaN", "Infinity", "-Infinity"):
        content = f'{{"embeddings": {{"tiny": [{number}, 1, 1, 1, 1, 1, 1, 1]}}}}'
        refused = shared_client.put("/v1/songs/new", content=content, headers=headers)
        assert (refused.status_code, refused.json()["type"]) == (400, "urn:amrs:problem:malformed-body")


def test_a_song_may_take_two_mebibytes_and_no_more(shared_client):
    headers = {"content-type": "application/json"}
    fits = shared_client.put("/v1/songs/new", content=b'{"title": ' + b" " * 1_900_000 + b"1}", headers=headers)
    exceeds = shared_client.put("/v1/songs/new", content=b" " * (2 * 1024 * 1024 + 1), headers=headers)

    assert (fits.status_code, exceeds.status_code) == (422, 413)


def test_a_replica_that_is_behind_chooses_again(settings: Settings, monkeypatch: pytest.MonkeyPatch):
    """It never looks at the songs again here, and hears of no change; the commit tells it what is withdrawn."""
    monkeypatch.setattr(follow_songs, "LOOK_SECONDS", 3600.0)
    monkeypatch.setattr(notices, "CHANNEL", "another")
    with serving(settings) as client:
        listeners = [Listener(client, listener_id=f"l-{place}") for place in range(4)]
        withdrawn: list[str] = []
        for listener in listeners:
            listener.start()
            answer = listener.ask().json()
            withdrawn.append(answer["recommendations"][0]["song"]["song_id"])
            client.delete(f"/v1/songs/{withdrawn[-1]}")

        assert song_count(client) == 60
        assert len(set(withdrawn)) == 4
        (line,) = [
            line
            for line in client.get("/metrics").text.splitlines()
            if line.startswith("amrs_recommendations_recomputed_total")
        ]
        assert float(line.split()[1]) >= 3
