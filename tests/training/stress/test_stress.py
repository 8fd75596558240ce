"""The stress test tries what it says, with and without guardrails, and says what came of it."""

from dataclasses import replace

import numpy as np

from models.gates import GateReport
from models.guardrails import RUNG_RULES, Rule
from models.listening import NO_SONG
from tests.training import small_run
from tests.training.small_run import subject
from tests.training.stress import small_subject
from tests.training.stress.small_subject import CONFIG, derived, report, trials
from training.choosing import RUNGS
from training.stress.facts import facts_of, far_count
from training.stress.histories import CASES
from training.stress.measure import against_limits, forbidden_returned
from training.stress.stress import stress_test
from training.stress.trials import hostile_trials, song_total


def facts():
    return facts_of(trials(), small_subject.WORLD, small_run.UTILITY, CONFIG, np.random.default_rng(0))


def test_no_forbidden_and_no_far_song_comes_back_whatever_the_history():
    every = replace(CONFIG, cases=CASES, song_count=2)
    table, _ = derived()
    hostile = hostile_trials(subject(), small_run.material(), table, config=every, seed=0, advance=lambda _: None)
    rollouts, catalogue = hostile.guarded.rollouts, hostile.songs.catalogue

    wrong = forbidden_returned(rollouts, hostile.hostile.listening, catalogue.withdrawn, table, catalogue.keys)
    assert len(np.unique(hostile.hostile.case)) == len(CASES)
    assert wrong.sum() == 0
    assert far_count(rollouts, hostile) == 0


def test_without_guardrails_far_songs_are_played():
    """So the test would notice if nobody vetoed them."""
    assert facts().hostile.far_proposed > 0


def test_guarded_hostile_rollouts_keep_the_rules_of_their_rung():
    rollouts = trials().hostile.guarded.rollouts
    binding = np.array([int(RUNG_RULES.get(rung, Rule(0))) for rung in RUNGS])[rollouts.rung]

    assert not (rollouts.forbidden & binding).any()


def test_the_three_typical_rollouts_begin_alike():
    typical = trials().typical

    assert (typical.policy.rollouts.mode == typical.copycat.rollouts.mode).all()
    assert np.array_equal(typical.policy.rollouts.song, typical.copycat.rollouts.song)  # here they are one policy


def test_guardrails_leave_fewer_predicted_steps_past_the_limits():
    hostile = trials().hostile

    assert against_limits(hostile.guarded.rollouts).mean() < against_limits(hostile.policy.rollouts).mean()


def test_a_policy_that_is_copycat_gains_nothing_and_differs_in_nothing():
    found = facts()

    assert found.difference == 0.0
    assert found.true.gains["valence"].mean == 0.0
    assert found.true.farther.mean == 0.0


def test_the_report_names_every_case_and_every_requirement():
    found = report()
    hostile = found.tables[0]

    assert [row[0] for row in hostile.rows] == [case.name for case in CONFIG.cases]
    assert len(found.gates) == 21
    assert any("simulated" in note for note in found.notes)
    assert not found.passed  # Copycat against itself learned nothing


def test_the_report_survives_being_written_down():
    assert GateReport.model_validate_json(report().model_dump_json()) == report()


def test_the_same_seed_gives_the_same_report_and_progress_is_counted_in_songs():
    table, tightened = derived()
    played: list[int] = []
    again = stress_test(
        subject(),
        small_run.material(),
        table,
        tightened=tightened,
        world=small_subject.WORLD,
        windows=small_run.PRESET.windows,
        config=CONFIG,
        seed=0,
        advance=played.append,
    )

    assert again == report()
    silent = (trials().hostile.guarded.rollouts.song == NO_SONG).any()
    listeners = len(np.unique(trials().typical.windows.listener))
    assert silent or sum(played) == song_total(listeners, CONFIG)


def test_without_a_truth_the_report_says_so_and_asks_nothing_true():
    blind = replace(small_run.material(), truth=None)
    table, tightened = derived()
    found = stress_test(
        subject(),
        blind,
        table,
        tightened=tightened,
        world=replace(small_subject.WORLD, song_order=None),
        windows=small_run.PRESET.windows,
        config=CONFIG,
        seed=0,
    )

    assert any("is not known of this log" in note for note in found.notes)
    assert not any("truly" in gate.name for gate in found.gates)
    assert found.tables[0].rows[0][4] is None
