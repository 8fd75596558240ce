"""Names are what people wrote: whatever a listener is not to be given can be named in a path."""

import pytest

from tests.service.server import Listener


@pytest.mark.parametrize("name", ["AC%2FDC", "AC/DC", "Guns%20N'%20Roses", "%C3%89dith%20Piaf", "%2F", "..%2F.."])
def test_an_artist_of_any_name_can_be_blocked_and_unblocked(shared_client, name):
    listener = Listener(shared_client, f"l-{abs(hash(name))}")

    blocked = shared_client.put(f"{listener.path}/blocks/artist/{name}")
    unblocked = shared_client.delete(f"{listener.path}/blocks/artist/{name}")

    assert (blocked.status_code, unblocked.status_code) == (204, 204)


def test_no_name_holds_what_no_database_does(client):
    refused = client.put("/v1/listeners/l-1/blocks/artist/A%00B")

    assert refused.status_code == 422
    assert refused.json()["errors"] == [
        {"path": "value", "message": 'expected a name of 1 to 256 characters, without U+0000, got "A\\u0000B"'}
    ]


@pytest.mark.parametrize("song_id", ["song-9%20", "a" * 200, "s%C3%B6ng"])
def test_a_mistyped_song_never_passes_for_a_block(client, song_id):
    refused = client.put(f"/v1/listeners/l-1/blocks/song/{song_id}")

    assert refused.status_code == 422
    assert refused.json()["errors"][0]["path"] == "song_id"


def test_a_song_with_a_slash_too_many_is_no_song(client):
    assert client.put("/v1/listeners/l-1/blocks/song/song-9/").status_code == 422
