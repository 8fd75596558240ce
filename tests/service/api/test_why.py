"""Why: the record of a decision tells every candidate, what was predicted of it, and what spoke against it."""


def test_tells_the_whole_decision(client, listener):
    listener.start(mode="calm", report={"valence": 0.4, "arousal": 0.7})
    listener.cycle()
    song = listener.ask().json()["recommendations"][0]

    why = client.get(f"{listener.path}/recommendations/{song['recommendation_id']}").json()

    assert why["song_id"] == song["song"]["song_id"]
    assert (why["mode"], why["history_length"], why["state"]) == ("calm", 1, "offered")
    assert why["estimate"]["source"] == "world_model"
    assert why["estimate"]["valence"] == round(why["estimate"]["valence"], 6)
    assert why["probability"] == "deterministic"
    assert why["limits"]["arousal_rise"] == 0.5
    candidates = why["candidates"]
    assert len(candidates) == song["guardrails"]["considered"]
    allowed = [candidate for candidate in candidates if not candidate["vetoed_by"]]
    assert allowed[0]["song_id"] == song["song"]["song_id"]
    assert sum("repetition" in candidate["vetoed_by"] for candidate in candidates) == song["guardrails"][
        "vetoed"
    ].get("repetition", 0)
    assert all(abs(candidate["score"]) <= 1.0001 for candidate in candidates)
    assert why["decoder"] == "policy"
    assert [candidate["order"] for candidate in candidates] == list(range(len(candidates)))


def test_tells_where_the_estimate_came_from(client, listener):
    listener.start()
    unreported = listener.ask().json()["recommendations"][0]["recommendation_id"]

    assert client.get(f"{listener.path}/recommendations/{unreported}").json()["estimate"]["source"] == "prior"


def test_tells_what_became_of_the_song(client, listener, clock):
    listener.start()
    played, skipped, expired = [
        song["recommendation_id"] for song in listener.ask(count=3).json()["recommendations"]
    ]
    listener.tell(played, engagement=0.9)
    listener.tell(skipped, engagement=0)
    listener.end()

    def state(recommendation_id):
        return client.get(f"{listener.path}/recommendations/{recommendation_id}").json()["state"]

    before = state(expired)
    clock.put_forward(7201)

    assert (state(played), state(skipped), before, state(expired)) == ("played", "skipped", "offered", "expired")
