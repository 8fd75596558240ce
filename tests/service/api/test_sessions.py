"""A session over HTTP: it begins, songs come one by one, and it ends; every write may be sent again."""

from datetime import datetime

import pytest

from tests.service.server import Listener


def problem(answer):
    return answer.status_code, answer.json()["type"].removeprefix("urn:amrs:problem:")


def test_begins_as_it_was_asked_to(listener):
    answer = listener.start(
        mode="calm",
        report={"valence": 0.35, "arousal": 0.8},
        population="clinical",
        context={"local_time": "2026-11-20T21:10:00+01:00"},
    )

    body = answer.json()
    assert answer.status_code == 201
    assert (body["session_id"], body["listener_id"], body["mode"], body["duplicate"]) == (
        "s-1",
        "l-1",
        "calm",
        False,
    )
    assert body["started_at"].endswith("Z")
    assert datetime.fromisoformat(body["started_at"])


def test_gives_the_same_answer_to_the_same_start(listener):
    first, again = listener.start().json(), listener.start().json()

    assert again == first | {"duplicate": True}


def test_ends_an_open_session_when_the_next_begins(client, listener):
    listener.start()
    Listener(client, session_id="s-2").start()

    assert problem(listener.ask()) == (409, "session-ended")


def test_ends_once_with_a_report_and_says_so_again(listener):
    listener.start()
    body = {"event_id": "end-1", "report": {"valence": 0.55, "arousal": 0.4}}
    first, again = listener.end(**body), listener.end(**body)

    assert first.status_code == 200
    assert again.json() == first.json() | {"duplicate": True}
    assert problem(listener.end(event_id="end-2")) == (409, "session-ended")


def test_ends_by_itself_after_the_idle_limit(listener, clock):
    listener.start()
    listener.cycle()

    clock.put_forward(3601)

    assert problem(listener.ask()) == (409, "session-ended")


def test_a_change_of_mode_holds_for_the_next_song(client, listener):
    listener.start(mode="calm")
    changed = client.post(f"{listener.path}/sessions/s-1/mode", json={"event_id": "m-1", "mode": "sleep"})
    song = listener.cycle()

    why = client.get(f"{listener.path}/recommendations/{song['recommendation_id']}").json()
    assert changed.json()["mode"] == "sleep"
    assert why["mode"] == "sleep"


@pytest.mark.parametrize("count", [1, 3])
def test_gives_songs_with_predictions_and_reasons(listener, count):
    listener.start(mode="calm", report={"valence": 0.4, "arousal": 0.7})

    body = listener.ask(count=count, exclude=["song-1"]).json()

    songs = body["recommendations"]
    assert [song["position"] for song in songs] == list(range(count))
    assert len({song["song"]["song_id"] for song in songs} | {"song-1"}) == count + 1
    assert body["degraded"] == []
    for song in songs:
        predicted = song["predicted"]
        for signal in ("engagement", "valence", "arousal"):
            assert 0 <= predicted[signal]["low"] <= predicted[signal]["mean"] <= predicted[signal]["high"] <= 1
        assert 0 <= predicted["rating"]["probability"] <= 1
        assert song["song"]["title"].startswith("Song ")
        assert song["guardrails"]["considered"] >= 1
        assert len(song["recommendation_id"]) <= 512


def test_gives_the_same_songs_to_the_same_request_even_after_the_end(listener):
    listener.start()
    first = listener.ask(request_id="r-1", count=2).json()
    listener.tell(first["recommendations"][0]["recommendation_id"])
    listener.ask()

    again = listener.ask(request_id="r-1", count=2).json()
    listener.end()
    after = listener.ask(request_id="r-1", count=2).json()

    assert again == after == first | {"duplicate": True}
    assert problem(listener.ask(request_id="r-1", count=3)) == (409, "id-conflict")


def test_says_why_when_no_song_may_be_given(client, listener):
    for place in range(60):
        assert client.put(f"{listener.path}/blocks/song/song-{place}").status_code == 204
    listener.start(mode="calm")

    answer = listener.ask()

    assert answer.status_code == 200
    assert answer.json()["recommendations"] == []
    assert "blocked" in answer.json()["reason"]


def test_intervals_count_the_songs_whose_feedback_is_not_known(listener):
    """The tiny bundle's intervals have three steps; beyond them the widest is given, and the answer says so."""
    listener.start(mode="calm", report={"valence": 0.4, "arousal": 0.7})

    first = listener.ask(count=2).json()
    then = listener.ask(count=2).json()
    listener.tell(then["recommendations"][0]["recommendation_id"])
    after = listener.ask().json()

    steps = [[song["predicted"]["step"] for song in body["recommendations"]] for body in (first, then, after)]
    assert steps == [[1, 2], [3, 4], [2]]
    assert [body["degraded"] for body in (first, then, after)] == [[], ["intervals"], []]


def test_never_gives_what_is_blocked(client, listener):
    for path in ("song/song-7", "artist/Artist%203", "tag/piano"):
        assert client.put(f"{listener.path}/blocks/{path}").status_code == 204
    listener.start()

    given = [listener.cycle()["song"] for _ in range(15)]

    blocked = {"song-7"} | {f"song-{place}" for place in range(60) if place % 5 == 0 or place % 20 == 3}
    assert not {song["song_id"] for song in given} & blocked


def test_gives_an_unblocked_song_again_only_after_it_is_unblocked(client, listener):
    listener.start()
    path = f"{listener.path}/blocks/song/song-7"

    assert [client.put(path).status_code, client.put(path).status_code] == [204, 204]
    assert [client.delete(path).status_code, client.delete(path).status_code] == [204, 204]


def test_takes_feedback_in_parts_and_keeps_what_each_said(client, listener):
    listener.start()
    song = listener.ask().json()["recommendations"][0]
    recommendation = song["recommendation_id"]
    half = song["song"]["duration_seconds"] / 2

    played = listener.tell(recommendation, event_id="e-1", played_seconds=half)
    rated = listener.tell(recommendation, event_id="e-2", rating=1)
    again = listener.tell(recommendation, event_id="e-2", rating=1)

    (play,) = client.get(f"{listener.path}/history").json()["plays"]
    assert played.json() == {"event_id": "e-1", "duplicate": False}
    assert rated.json() == {"event_id": "e-2", "duplicate": False}
    assert again.json() == {"event_id": "e-2", "duplicate": True}
    assert play["engagement"] == pytest.approx(0.5)
    assert play["rating"] == 1
    assert problem(listener.tell(recommendation, event_id="e-2", rating=0)) == (409, "id-conflict")


def test_nobody_can_answer_for_another_listener(client, listener):
    listener.start()
    recommendation = listener.ask().json()["recommendations"][0]["recommendation_id"]
    other = Listener(client, "l-2", "s-2")
    other.start()

    assert problem(other.tell(recommendation)) == (404, "unknown-recommendation")
    assert problem(client.get(f"{other.path}/recommendations/{recommendation}")) == (404, "unknown-recommendation")
    altered = recommendation[:-1] + ("B" if recommendation.endswith("A") else "A")
    assert problem(listener.tell(altered)) == (404, "unknown-recommendation")


def test_pages_through_the_history_the_latest_first(client, listener):
    listener.start(report={"valence": 0.5, "arousal": 0.25})
    played = [listener.cycle()["song"]["song_id"] for _ in range(5)]

    pages, before = [], None
    while True:
        query = {"limit": 2} | ({"before": before} if before else {})
        page = client.get(f"{listener.path}/history", params=query).json()
        pages.append([play["song_id"] for play in page["plays"]])
        before = page["before"]
        if before is None:
            break

    assert pages == [played[:2:-1], played[2:0:-1], played[:1]]
    assert page["sessions"][0]["before"] == {"valence": 0.5, "arousal": 0.25}
