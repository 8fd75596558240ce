"""Whoever holds a key may call; without keys, the settings let nobody but this machine reach the service."""

import pytest

from service.access.keys import Door, Unauthorized
from service.settings import Settings

KEY, OTHER = "k" * 16, "o" * 16


def test_lets_everybody_in_when_no_keys_are_configured():
    Door(Settings()).check({})


def test_lets_in_each_of_the_keys():
    door = Door(Settings(api_keys=(KEY, OTHER)))

    for key in (KEY, OTHER):
        door.check({"authorization": f"Bearer {key}"})


@pytest.mark.parametrize(
    "headers", [{}, {"authorization": ""}, {"authorization": f"Basic {KEY}"}, {"authorization": f"Bearer {KEY}x"}]
)
def test_keeps_everybody_else_out(headers):
    with pytest.raises(Unauthorized) as caught:
        Door(Settings(api_keys=(KEY,))).check(headers)

    assert KEY not in str(caught.value)
