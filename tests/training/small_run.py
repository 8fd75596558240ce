"""One small run, made once for all tests that need trained networks: a platform of 60 listeners.

The networks are hardly trained: the tests ask for laws, not for quality.
"""

from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import numpy as np

from models.decoder import POLICY_ORDER
from models.repository import Repository
from training.choosing import Setting
from training.copycat import Copycat, CopycatConfig
from training.decoding import policy_order
from training.dpo import DpoConfig
from training.judging import serving_utility
from training.learning import Recipe, copycat_of, policy_over, train_world
from training.material import Material, prepare
from training.networks.encoder import EncoderConfig
from training.networks.reading import ReadingConfig
from training.networks.world import WorldModelConfig
from training.pairs import SupportPairs
from training.platform.as_log import simulated_log
from training.platform.parameters import PlatformParameters, sized_like_paper
from training.platform.simulate import simulate
from training.presets import Preset
from training.rollout import Start
from training.run import TrainRequest
from training.situations import WindowConfig, draw_windows
from training.stages import setting_with, start_of
from training.stress.config import StressConfig
from training.stress.derive import quantile_limits
from training.stress.histories import CASES
from training.stress.subject import Subject, over_any
from training.trained import PolicyOver, WorldOver
from training.world_model import WorldPreset, WorldTrainingConfig

PRESET = Preset(
    name="test",
    world=WorldPreset(
        reading=ReadingConfig(components=8),
        architecture=WorldModelConfig(encoder=EncoderConfig(width=8, blocks=1, heads=2), hidden=8),
        training=WorldTrainingConfig(lookback=32, epochs=1),
        member_count=2,
    ),
    copycat=CopycatConfig(
        encoder=EncoderConfig(width=16, blocks=1, heads=2),
        target=ReadingConfig(components=8, spread=1.0),
        epochs=2,
    ),
    dpo=DpoConfig(steps=6, learning_rate=1e-3),
    windows=WindowConfig(windows_per_listener=2, shortest=5, longest=20),
    candidate_count=20,
)
STRESS = StressConfig(
    cases=(CASES[1], CASES[6], CASES[-1]),
    song_count=4,
    typical_rollouts=12,
    derivation_starts=60,
    derivation_songs=4,
)
RECIPE = Recipe(utility_in=serving_utility, pairs=SupportPairs(candidate_count=12))


def request(log: Path, bundles: Path) -> TrainRequest:
    """What asks for a bundle of the small run's preset."""
    return TrainRequest(
        log=log,
        repository=Repository(bundles),
        preset=PRESET,
        recipe=RECIPE,
        decoder_in=policy_order,
        stress=STRESS,
        seed=0,
        now=datetime(2025, 1, 1, tzinfo=UTC),
    )


@cache
def material() -> Material:
    log = simulated_log(simulate(PlatformParameters(), sized_like_paper(60, 200), seed=3))
    return prepare(log, space=None, reading=PRESET.world.reading, held_out=(), rng=np.random.default_rng(0))


@cache
def world() -> WorldOver:
    return train_world(material(), PRESET, seed=0)


@cache
def copycat() -> Copycat:
    return copycat_of(material(), PRESET, np.random.default_rng(1))


@cache
def reference() -> PolicyOver:
    return policy_over(copycat(), material())


@cache
def start() -> Start:
    made = material()
    windows = draw_windows(made.listening, made.split.test, PRESET.windows, np.random.default_rng(2))
    return start_of(made, windows)


@cache
def subject() -> Subject:
    """The policy is Copycat itself."""
    made, cloned = material(), copycat()
    return Subject(
        over=over_any(world().ensemble, cloned.network, cloned, made.reading),
        support=world().songs[made.heard],
        context=made.log.description.context,
        lookback=PRESET.lookback,
        candidate_count=PRESET.candidate_count,
        decoder=POLICY_ORDER,
        utility=UTILITY,
    )


@cache
def setting() -> Setting:
    made = material()
    table = quantile_limits(subject(), made, PRESET.windows, STRESS, np.random.default_rng(4))
    return setting_with(made, world(), PRESET, table)


UTILITY = serving_utility((0.01, 0.01, 0.01, 0.01))
