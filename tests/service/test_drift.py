"""Drift is what was predicted beside what came of it, summed over listeners, read once, by one worker."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.affect import Affect
from models.reference import TrainingReference
from models.repository import Repository
from service.clock import SECOND
from service.drift import figures, observed
from service.journal.drift import SETTLE_SECONDS, AddDrift, EndedPlay, EndedSession, ended_sessions
from service.journal.duties import TakeDuty
from service.journal.measurements import FIELD, Measured, Subject, read_measurements
from tests.service.api.test_canary import comes_true
from tests.service.journal.conftest import engine as engine
from tests.service.journal.examples import MINUTE, NOON, end, feed_back, recommend, start, token, write
from tests.service.journal.test_bundles import act
from tests.service.server import Listener, SteppedClock, serving

SETTLED = NOON + 2 * MINUTE + round(SETTLE_SECONDS * SECOND)

REFERENCE = TrainingReference(
    schema="amrs-reference/1",
    mean_squared_error={"engagement": 0.04},
    mode_shares={"calm": 0.5, "sleep": 0.5},
    neighbour_distance=0.2,
)


def test_ended_sessions_are_read_with_how_far_ahead_each_song_was(engine) -> None:
    """Of four songs the first two were asked for together; the third after the first one's feedback."""
    write(engine, start())
    write(engine, recommend("song-1", "song-2", expected_sequence=1))
    write(engine, feed_back(about=token("song-1")))
    write(engine, recommend("song-3", expected_sequence=3, request_id="r-2", first=2))
    write(engine, end(report=Affect(0.6, 0.3)))

    ((session,), done_to) = act(engine, lambda sql: ended_sessions(sql, after=0, at=SETTLED))

    assert session.report == (0.6, 0.3)
    assert [(play.position, play.step, play.was_played) for play in session.plays] == [
        (0, 1, True),
        (1, 2, False),
        (2, 2, False),
    ]
    assert session.plays[0].decision == b"why song-1"
    assert done_to == NOON + 2 * MINUTE


def test_a_session_is_read_only_when_it_has_settled_and_once(engine) -> None:
    write(engine, start())
    write(engine, end())

    assert act(engine, lambda sql: ended_sessions(sql, after=0, at=SETTLED - 1))[0] == []
    assert len(act(engine, lambda sql: ended_sessions(sql, after=0, at=SETTLED))[0]) == 1
    assert act(engine, lambda sql: ended_sessions(sql, after=NOON + 2 * MINUTE, at=SETTLED))[0] == []


def test_what_was_read_is_added_once(engine) -> None:
    act(engine, TakeDuty(duty="drift", holder="one", at=NOON, seconds=1.0))
    measured = {Subject("a", FIELD, "mode calm"): Measured(3, 3.0)}
    add = AddDrift(measured=measured, begun=0, done_to=9, at=NOON)
    act(engine, add)

    with pytest.raises(Exception, match="another worker"):
        act(engine, add)
    assert act(engine, lambda sql: read_measurements(sql, "a", since=FIELD))["mode calm"].count == 3


def play(**given: Any) -> EndedPlay:
    values = {"engagement": 0.5, "rating": None, "was_played": True, "decision": None} | given
    return EndedPlay(position=0, bundle="a", mode="calm", song_key=7, step=1, **values)


def test_without_a_decision_on_record_the_mode_and_the_distance_are_still_counted() -> None:
    ended = [EndedSession(NOON, (0.5, 0.5), (play(), play(was_played=False)))]

    found = observed(ended, lambda _: None, lambda _, key: key / 10)

    assert found == {
        Subject("a", FIELD, "mode calm"): Measured(1, 1.0),
        Subject("a", FIELD, "embedding distance"): Measured(1, 0.7),
    }


def test_figures_stand_beside_what_they_were_in_training() -> None:
    """Root of 0.09 beside root of 0.04; three quarters calm and none asleep where it was half and half."""
    measured = {
        "engagement error": Measured(4, 0.36),
        "valence covered": Measured(10, 8.0),
        "mode calm": Measured(3, 3.0),
        "mode focus": Measured(1, 1.0),
    }

    found = figures(measured, REFERENCE, level=0.9)

    assert (found["engagement error"].value, found["engagement error"].reference) == pytest.approx((0.3, 0.2))
    assert (found["valence covered"].value, found["valence covered"].reference) == (0.8, 0.9)
    assert found["mode distance"].value == pytest.approx(0.5)
    assert figures(measured, None, level=None)["engagement error"].reference is None
    assert "mode distance" not in figures(measured, None, level=None)


@pytest.fixture
def clock() -> SteppedClock:
    return SteppedClock()


def test_the_field_is_told_in_health(
    tmp_path: Path,
    tiny_repository: Repository,
    furnished_sqlite: Path,
    redis_url: str,
    redis_prefix: str,
    clock: SteppedClock,
) -> None:
    """A session of two songs and a report, ended a while ago: both engagements and the report were predicted."""
    from tests.service.homes import home_settings

    (tmp_path / "amrs.sqlite3").write_bytes(furnished_sqlite.read_bytes())
    settings = home_settings(
        tmp_path / "home",
        tiny_repository,
        database_url=f"sqlite:///{tmp_path / 'amrs.sqlite3'}",
        redis_url=redis_url,
        redis_prefix=redis_prefix,
    )
    version = tiny_repository.versions()[0]
    with serving(settings, clock=clock) as client:
        listener = Listener(client)
        listener.start(mode="calm")
        songs = [listener.cycle() for _ in range(2)]
        listener.end(report={"valence": 0.9, "arousal": 0.2})
        clock.put_forward(SETTLE_SECONDS + 1)

        def drift_of() -> dict[str, Any]:
            found: dict[str, Any] = client.get(f"/v1/models/{version}/health").json()["drift"]
            return found

        assert comes_true(lambda: drift_of().get("engagement error", {}).get("count") == 2)
        found = drift_of()
        metrics = client.get("/metrics").text

    valence = songs[1]["predicted"]["valence"]
    assert found["valence error"]["value"] == pytest.approx(abs(valence["mean"] - 0.9), abs=1e-5)
    assert found["valence covered"]["value"] == float(valence["low"] <= 0.9 <= valence["high"])
    errors = np.array([song["predicted"]["engagement"]["mean"] - 0.9 for song in songs])
    assert found["engagement bias"]["value"] == pytest.approx(errors.mean(), abs=1e-5)
    assert found["valence covered"]["reference"] == 0.9
    assert found["embedding distance"]["count"] == 2
    assert 'amrs_drift{measure="valence error"}' in metrics
