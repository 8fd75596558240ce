"""What an app that was offline tells later has the effect it would have had in time."""


def test_takes_each_event_as_if_it_had_come_alone(client, listener):
    listener.start(mode="calm")
    first, second = [song["recommendation_id"] for song in listener.ask(count=2).json()["recommendations"]]
    events = [
        {"type": "feedback", "event_id": "e-1", "recommendation_id": first, "engagement": 0.8},
        {"type": "mode", "event_id": "e-2", "session_id": "s-1", "mode": "sleep"},
        {"type": "feedback", "event_id": "e-3", "recommendation_id": second, "rating": 1, "engagement": 1.0},
        {"type": "feedback", "event_id": "e-4", "recommendation_id": "nonsense", "engagement": 1.0},
        {"type": "end", "event_id": "e-5", "session_id": "s-1", "report": {"valence": 0.6, "arousal": 0.3}},
        {"type": "mode", "event_id": "e-6", "session_id": "s-1", "mode": "focus"},
    ]

    first_time = client.post(f"{listener.path}/events", json={"events": events}).json()["results"]
    again = client.post(f"{listener.path}/events", json={"events": events}).json()["results"]

    assert [result["status"] for result in first_time] == [200, 200, 200, 404, 200, 409]
    assert not any(result["duplicate"] for result in first_time)
    assert [result["duplicate"] for result in again] == [True, True, True, False, True, False]
    history = client.get(f"{listener.path}/history").json()
    assert len(history["plays"]) == 2
    assert history["sessions"][0]["after"] == {"valence": 0.6, "arousal": 0.3}


def test_takes_five_hundred_events_and_not_one_more(client, listener):
    listener.start()
    songs = listener.ask(count=20).json()["recommendations"]
    events = [
        {
            "type": "feedback",
            "event_id": f"e-{place}",
            "recommendation_id": songs[place % 20]["recommendation_id"],
            "rating": place % 2,
        }
        for place in range(501)
    ]

    taken = client.post(f"{listener.path}/events", json={"events": events[:500]})
    refused = client.post(f"{listener.path}/events", json={"events": events})

    assert {result["status"] for result in taken.json()["results"]} == {200}
    assert refused.status_code == 422
