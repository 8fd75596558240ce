"""The small run's networks as a subject of the stress test: hardly trained, so ask them for laws, not quality."""

from functools import cache

import numpy as np

from models.gates import GateReport
from models.guardrails import GuardrailTable
from tests.training import small_run
from training.stress.derive import derived_table
from training.stress.stress import stress_test
from training.stress.tolerated import Tightened
from training.stress.trials import Trials, hostile_trials, typical_trials
from training.stress.verdict import WorldFacts

CONFIG = small_run.STRESS
WORLD = WorldFacts(
    error=(0.02, 0.03), persistence_error=(0.03, 0.05), listener_mean_error=(0.04, 0.04), song_order=(0.6, 0.7)
)


@cache
def derived() -> tuple[GuardrailTable, tuple[Tightened, ...]]:
    return derived_table(
        small_run.subject(), small_run.material(), small_run.PRESET.windows, CONFIG, np.random.default_rng(4)
    )


@cache
def trials() -> Trials:
    table, _ = derived()
    made = small_run.material()

    def silently(_: int) -> None: ...

    return Trials(
        typical=typical_trials(
            small_run.subject(),
            made,
            table,
            windows=small_run.PRESET.windows,
            config=CONFIG,
            seed=0,
            advance=silently,
        ),
        hostile=hostile_trials(small_run.subject(), made, table, config=CONFIG, seed=0, advance=silently),
        table=table,
    )


@cache
def report(seed: int = 0) -> GateReport:
    table, tightened = derived()
    return stress_test(
        small_run.subject(),
        small_run.material(),
        table,
        tightened=tightened,
        world=WORLD,
        windows=small_run.PRESET.windows,
        config=CONFIG,
        seed=seed,
    )
