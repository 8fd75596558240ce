"""A verdict never passes on a number that is missing, not a number, or beyond its bound and chance."""

from dataclasses import replace

import pytest

from models.gates import GateReport
from models.listening import Population
from training.statistics import Interval
from training.stress.config import StressConfig
from training.stress.verdict import Facts, HostileFacts, TrueFacts, WorldFacts, gates_of

CONFIG = StressConfig()


def around(mean: float, reach: float = 0.005) -> Interval:
    return Interval(mean=mean, low=mean - reach, high=mean + reach, level=0.9)


GAINS = {"engagement": around(0.0), "rating": around(0.0), "valence": around(0.03), "arousal": around(0.03)}
TRUE = TrueFacts(
    gains=GAINS,
    guarded_gains=GAINS,
    farther=around(-0.02),
    guarded_farther=around(-0.02),
    excess=around(-0.01),
    meaningful={Population.CLINICAL: around(0.01), Population.CONSUMER: around(0.01)},
)
SOUND = Facts(
    world=WorldFacts(
        error=(0.02, 0.03),
        persistence_error=(0.03, 0.05),
        listener_mean_error=(0.04, 0.04),
        song_order=(0.6, 0.7),
    ),
    mode_aware=True,
    true=TRUE,
    excess=around(-0.05),
    difference=0.4,
    coverage=0.9,
    fallback=around(0.004),
    silence=around(0.0, 0.0),
    hostile=HostileFacts(forbidden_returned=0, far_proposed=9, far_returned=0, silence=0.0),
)
LINEAR = replace(SOUND, mode_aware=False)


def judged(facts: Facts) -> GateReport:
    return GateReport(gates=gates_of(facts, CONFIG))


@pytest.mark.parametrize("facts", [SOUND, LINEAR])
def test_a_sound_bundle_passes(facts: Facts):
    assert judged(facts).failures == ()


def true(**changes) -> dict:
    return {"true": replace(TRUE, **changes)}


def world(**changes) -> dict:
    return {"world": replace(SOUND.world, **changes)}


def hostile(**changes) -> dict:
    return {"hostile": replace(SOUND.hostile, **changes)}


@pytest.mark.parametrize(
    ("changed", "gate"),
    [
        (world(error=(0.031, 0.03)), "beats persistence and listener mean on valence"),
        (world(error=(0.02, 0.041)), "beats persistence and listener mean on arousal"),
        (world(error=(float("nan"), 0.03)), "valence"),
        (world(song_order=(0.5, 0.7)), "true effect on valence"),
        (world(song_order=(0.6, float("nan"))), "true effect on arousal"),
        (true(gains={**GAINS, "valence": around(-0.006)}), "the policy alone truly loses no valence"),
        (true(gains={**GAINS, "valence": None}), "the policy alone truly loses no valence"),
        (true(guarded_gains={**GAINS, "valence": around(-0.006)}), "under guardrails truly loses no valence"),
        (true(gains={**GAINS, "engagement": around(-0.016)}), "hardly any engagement"),
        (true(farther=around(0.006)), "the policy alone leads truly no farther"),
        (true(guarded_farther=around(0.006)), "under guardrails leads truly no farther"),
        (true(excess=around(0.006)), "no more often than Copycat's"),
        (true(meaningful={Population.CLINICAL: around(0.026)}), "as is tolerated: clinical"),
        (true(meaningful={Population.CONSUMER: None}), "as is tolerated: consumer"),
        ({"excess": around(0.006)}, "predicted steps"),
        ({"excess": None}, "predicted steps"),
        ({"difference": 0.05}, "differs from Copycat"),
        ({"coverage": 0.3}, "collapse"),
        ({"fallback": around(0.016)}, "ladder"),
        ({"silence": around(0.0021, 0.001)}, "nearly always a song"),
        (hostile(silence=0.06), "silence"),
        (hostile(forbidden_returned=1), "no forbidden song"),
        (hostile(far_returned=1), "far from all of training"),
        (hostile(far_proposed=0), "far from all of training"),
    ],
)
def test_one_failing_check_fails_the_bundle_and_is_named(changed: dict, gate: str):
    report = judged(replace(SOUND, **changed))

    assert len(report.failures) == 1
    assert gate in report.failures[0]


def test_what_is_within_chance_passes():
    """−0.4% of valence with an interval that reaches +0.1%: nobody knows that anything was lost."""
    assert judged(replace(SOUND, true=replace(TRUE, gains={**GAINS, "valence": around(-0.004)}))).passed


def test_a_policy_that_truly_lost_valence_while_promising_more_does_not_pass():
    """The paper's pair recipe once lost 3.6% of true valence, predicted +3.8%, and was passed."""
    lost = {**GAINS, "valence": Interval(mean=-0.036, low=-0.048, high=-0.024, level=0.9)}
    failures = judged(replace(LINEAR, true=replace(TRUE, gains=lost))).failures

    assert failures == (
        "the policy alone truly loses no valence against Copycat: required at least +0.0%, but for chance, "
        "measured -3.60 [-4.80, -2.40]%",
    )


def test_arousal_counts_where_the_utility_is_a_sum_and_its_region_where_it_is_a_mode():
    lost = replace(TRUE, gains={**GAINS, "arousal": around(-0.02)})

    assert judged(replace(SOUND, true=lost)).passed
    assert not judged(replace(LINEAR, true=lost)).passed
    assert judged(replace(LINEAR, true=replace(TRUE, farther=around(0.02)))).passed


def test_without_a_truth_nothing_true_is_asked():
    unknown = replace(SOUND, true=None, world=replace(SOUND.world, song_order=None))

    assert judged(unknown).passed
    assert not any("truly" in gate.name for gate in judged(unknown).gates)
