"""While SQL cannot commit nothing is acknowledged; the same request, sent again, has its whole effect once."""

import sqlite3

import pytest

from tests.service.server import Listener


@pytest.fixture
def settings(settings, request):
    """SQLite only: there a lock held elsewhere is an outage that a test can make."""
    if not settings.database_url.startswith("sqlite"):
        pytest.skip("the lock that makes the outage is SQLite's")
    return settings


def test_refuses_with_retry_after_and_keeps_nothing(settings, client):
    listener = Listener(client)
    listener.start()
    song = listener.cycle()
    holder = sqlite3.connect(settings.database_url.removeprefix("sqlite:///"), isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    try:
        asked = listener.ask(request_id="r-outage")
        told = listener.tell(song["recommendation_id"], event_id="e-outage", rating=1)
    finally:
        holder.execute("ROLLBACK")
        holder.close()

    asked_again = listener.ask(request_id="r-outage")
    told_again = listener.tell(song["recommendation_id"], event_id="e-outage", rating=1)

    for refused in (asked, told):
        assert refused.status_code == 503
        assert refused.headers["retry-after"] == "1"
        assert refused.json()["type"] == "urn:amrs:problem:unavailable"
    assert (asked_again.status_code, asked_again.json()["duplicate"]) == (200, False)
    assert asked_again.json()["recommendations"][0]["position"] == 1
    assert told_again.json() == {"event_id": "e-outage", "duplicate": False}
