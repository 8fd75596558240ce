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
