"""The small run's networks as a subject of the stress test: hardly trained, so ask them for laws, not quality."""

from functools import cache

import numpy as np

from models.gates import GateReport
from models.guardrails import GuardrailTable
from tests.training import small_run
from training.policies.plain import Learned
from training.stress.config import StressConfig
from training.stress.derive import derived_table
from training.stress.stress import stress_test
from training.stress.subject import Models, Subject
from training.stress.tolerated import Tightened
from training.stress.trials import Trials, hostile_trials, typical_trials
from training.stress.verdict import WorldFacts
from training.trained import PolicyOver, WorldOver, unit_targets

CONFIG = StressConfig(song_count=6, typical_rollouts=12, derivation_starts=60, derivation_songs=3)
WORLD = WorldFacts(
    error=(0.02, 0.03), persistence_error=(0.03, 0.05), listener_mean_error=(0.04, 0.04), song_order=(0.6, 0.7)
)


def over(embeddings: np.ndarray) -> Models:
    reading, reference = small_run.material().reading, small_run.reference()
    songs = reading(embeddings)
    targets = unit_targets(small_run.copycat().target, embeddings)
    policy = Learned(PolicyOver(network=reference.network, songs=songs, targets=targets))
    return Models(world=WorldOver(ensemble=small_run.world().ensemble, songs=songs), policy=policy, copycat=policy)


@cache
def subject() -> Subject:
    made, preset = small_run.material(), small_run.PRESET
    return Subject(
        over=over,
        support=small_run.world().songs[made.heard],
        context=made.log.description.context,
        lookback=preset.lookback,
        candidate_count=preset.candidate_count,
        utility=small_run.UTILITY,
    )


@cache
def derived() -> tuple[GuardrailTable, tuple[Tightened, ...]]:
    return derived_table(
        subject(), small_run.material(), small_run.PRESET.windows, CONFIG, np.random.default_rng(4)
    )


@cache
def trials() -> Trials:
    table, _ = derived()
    made = small_run.material()

    def silently(_: int) -> None: ...

    return Trials(
        typical=typical_trials(
            subject(), made, table, windows=small_run.PRESET.windows, config=CONFIG, seed=0, advance=silently
        ),
        hostile=hostile_trials(subject(), made, table, config=CONFIG, seed=0, advance=silently),
        table=table,
    )


@cache
def report(seed: int = 0) -> GateReport:
    table, tightened = derived()
    return stress_test(
        subject(),
        small_run.material(),
        table,
        tightened=tightened,
        world=WORLD,
        windows=small_run.PRESET.windows,
        config=CONFIG,
        seed=seed,
    )
