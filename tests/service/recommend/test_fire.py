"""Whatever a listener does, no song is given that breaks a rule, on any rung, by a second reading of SAFETY.

The long form: `python -m tests.service.recommend.fire --sessions 100000`.
"""

import os

import pytest

from tests.service.recommend.fire import HOSTILE, TYPICAL, Fire, table

MOST_FALLBACK = 0.06
"""On typical sessions of this bundle: trained for two epochs on sixty listeners, it knows little of newcomers.
A bundle that is to go before listeners is held to 1% by its own stress test (`training/stress/verdict.py`)."""


def hold(fire: Fire) -> None:
    """Nothing broken on any session; typical ones seldom fall back."""
    told = table(fire.tallies)
    print(f"\n{told}")
    assert not any(tally.broken for tally in fire.tallies.values()), told
    assert fire.tallies[TYPICAL].fallback <= MOST_FALLBACK, told


def test_no_song_breaks_a_rule_in_a_hundred_sessions() -> None:
    fire = Fire(seed=0)
    fire.run(120)

    hold(fire)
    assert all(fire.tallies[kind].asked for kind in HOSTILE)


@pytest.mark.prove
@pytest.mark.timeout(7200)
def test_no_song_breaks_a_rule_in_many_thousand_sessions() -> None:
    fire = Fire(seed=1)
    fire.run(int(os.environ.get("AMRS_TEST_SESSIONS", "100000")))

    hold(fire)
