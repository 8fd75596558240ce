"""Where predictions allow nothing, songs known safe come next; memory may have forgotten why one is not.

Every prediction is forbidden here, so that songs come from the approved list, whose first is song-3, until the
listener has known-safe songs of their own.
"""

import pytest

from models.repository import Repository
from service.memory import state
from service.operations import upgrade_database
from tests.bundles import ENDLESS, seal_bundle
from tests.service.homes import furnish, home_settings
from tests.service.server import Listener, serving

NOTHING = ENDLESS.model_copy(
    update={"arousal_rise": 1e-9, "arousal_fall": 1e-9, "arousal_band": 1e-9, "song_gap": 0}
)


@pytest.mark.parametrize(("first_rating", "rung"), [(0, "approved"), (1, "known_safe")])
def test_what_was_once_disliked_is_not_safe_though_memory_has_forgotten_it(
    tmp_path, redis_server, monkeypatch: pytest.MonkeyPatch, first_rating: int, rung: str
) -> None:
    """Memory holds two plays, both heard out; the first of all, which it forgot, was disliked or was not."""
    monkeypatch.setattr(state, "PLAYS", 2)
    repository = Repository(tmp_path / "bundles")
    repository.root.mkdir()
    seal_bundle(repository, limits=NOTHING)
    settings = home_settings(
        tmp_path / "home", repository, redis_url=redis_server, redis_prefix=f"{tmp_path.name}:"
    )
    upgrade_database(settings)
    furnish(settings, repository)
    with serving(settings) as client:
        listener = Listener(client)
        listener.start(mode="calm")
        for rating in (first_rating, None, None):
            (given,) = listener.ask().json()["recommendations"]
            assert given["song"]["song_id"] == "song-3"
            told = {"engagement": 1.0} | ({} if rating is None else {"rating": rating})
            assert listener.tell(given["recommendation_id"], **told).status_code == 200

        (given,) = listener.ask().json()["recommendations"]

    assert (given["song"]["song_id"], given["guardrails"]["fallback"]) == ("song-3", rung)
