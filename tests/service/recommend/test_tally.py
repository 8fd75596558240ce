"""What sessions met is counted as by hand, and shards add up to what one run would have counted."""

import numpy as np
import pytest

from models.guardrails import Choice, Rule, Rung, Steps
from models.listening import Population
from tests.bundles import WIDE
from tests.service.recommend.tally import Fall, Place, Tallies, Tally, add_up, alone, falls_table, rungs_table
from tests.service.recommend.tally import Steps as TrueSteps

PLACE = Place("clinical", "calm", "second, world_model")


def choice(*forbidden: int) -> Choice:
    """Return what a rung made of candidates that these rules forbid."""
    nothing = np.zeros((1, len(forbidden), 2))
    return Choice(
        chosen=np.array([-1]),
        forbidden=np.array([forbidden]),
        steps=Steps(estimate=nothing, step=nothing, spread=nothing),
        dealt=np.zeros((1, len(forbidden))),
    )


def test_a_rule_stands_alone_in_the_way_where_some_song_breaks_no_other() -> None:
    both = int(Rule.AROUSAL_STEP | Rule.REPETITION)

    assert alone(choice(both, int(Rule.AROUSAL_STEP))) == ("arousal_step",)
    assert alone(choice(both, both)) == ()


def test_a_true_step_is_over_by_what_it_passes_its_nearest_limit_by() -> None:
    """WIDE allows half a scale; a clinical listener's song may move arousal by a sixteenth by itself."""
    steps = TrueSteps()
    steps.count(np.array([-0.6, 0.1]), np.array([-0.01, 0.07]), WIDE, Population.CLINICAL)
    steps.count(np.array([0.9, 0.5]), np.array([0.9, 0.0625]), WIDE, Population.CLINICAL)

    assert (steps.songs, steps.over, steps.meaningful) == (2, 1, 1)
    assert steps.excess == pytest.approx(0.1)


def test_a_request_that_only_lists_answered_is_a_fall_and_says_why() -> None:
    tally = Tally()
    tally.count(PLACE, Rung.POLICY, [choice(0)])
    tally.count(PLACE, Rung.APPROVED, [choice(1), choice(1), choice(0)])

    assert (tally.asked, tally.fallback) == (2, 0.5)
    assert dict(tally.falls) == {Fall(PLACE, ("arousal_step",)): 1}
    assert "clinical" in falls_table(tally)


def test_shards_add_up() -> None:
    total: Tallies = {}
    for rung in (Rung.POLICY, Rung.SILENCE):
        tally = Tally(sessions=1)
        tally.count(PLACE, rung, [choice(8), choice(8)])
        tally.broken["blocked"] += 1
        add_up(total, {"typical": tally})

    (told,) = total.values()
    assert (told.sessions, told.asked, told.broken["blocked"], told.rungs[Rung.SILENCE]) == (2, 2, 2, 1)
    assert "50.00%" in rungs_table(total)
