"""The stress test of one subject, from models to a verdict."""

import numpy as np

from models.gates import GateReport
from models.guardrails import GuardrailTable
from training.material import Material
from training.rollout import Advance
from training.situations import WindowConfig
from training.stress.config import StressConfig
from training.stress.facts import facts_of
from training.stress.subject import Subject
from training.stress.tables import notes_of, tables_of
from training.stress.tolerated import Tightened
from training.stress.trials import Trials, hostile_trials, typical_trials
from training.stress.verdict import WorldFacts, gates_of


def stress_test(
    subject: Subject,
    material: Material,
    table: GuardrailTable,
    *,
    tightened: tuple[Tightened, ...],
    world: WorldFacts,
    windows: WindowConfig,
    config: StressConfig,
    seed: int,
    advance: Advance = lambda _: None,
) -> GateReport:
    """Return what the subject did under stress, and which gates it passed; the same seed gives the same report.

    Args:
        subject: whose models.
        material: the log; its test listeners are the typical ones.
        table: the limits under which the subject serves, or is about to.
        tightened: how the truth had a say in them; empty where it had none.
        world: how good the world models are.
        windows: how typical rollouts begin.
        config: how much is tried, and what must hold.
        seed: of every draw.
        advance: told of every song played; `training.stress.trials.song_total` says how many there are at most.
    """
    trials = Trials(
        typical=typical_trials(
            subject, material, table, windows=windows, config=config, seed=seed, advance=advance
        ),
        hostile=hostile_trials(subject, material, table, config=config, seed=seed, advance=advance),
        table=table,
    )
    facts = facts_of(trials, world, subject.utility, config, np.random.default_rng([seed, 4]))
    return GateReport(
        gates=gates_of(facts, config),
        notes=notes_of(trials, tightened, config, seed=seed),
        tables=tables_of(trials, facts, tightened, config),
    )
