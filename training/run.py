"""One run of `amrs train`: what was asked for, the log made ready for it, and what is learned from that."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np

from models.log import read_log
from models.repository import Repository
from training.copycat import Copycat
from training.decoding import DecoderRecipe
from training.learning import (
    Draws,
    FineTuned,
    PolicyWindows,
    Recipe,
    copycat_of,
    fine_tune,
    over_songs,
    policy_over,
    train_members,
)
from training.material import Material, prepare
from training.networks.world import WorldModel
from training.presets import Preset
from training.report import Stages
from training.situations import StartWindows, draw_windows
from training.streams import TrainStream
from training.stress.config import StressConfig
from training.trained import PolicyOver, WorldOver
from training.world_model import TrainedWorldModel


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainRequest:
    """One bundle to be trained, judged and sealed."""

    log: Path
    """The folder of the listening log."""
    repository: Repository
    """Where the bundle is sealed."""
    preset: Preset
    recipe: Recipe
    """How Copycat is fine-tuned."""
    decoder_in: DecoderRecipe
    """In which order the policy's songs come before the guardrails."""
    stress: StressConfig
    """How much the stress test tries, and what must hold."""
    seed: int
    """The same one gives the same numbers."""
    space: str | None = None
    """The embedding space; the log's first when None."""
    held_out: Collection[str] = ()
    """Ids of listeners who are kept out of everything."""
    processes: int = 1
    """For the members of the ensemble; changes no number."""
    now: datetime
    """When the bundle is made."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Run:
    """A request, and the log made ready for it."""

    request: TrainRequest
    material: Material
    windows: PolicyWindows
    test_windows: StartWindows
    """Where rollouts begin."""

    @classmethod
    def of(cls, request: TrainRequest) -> "Run":
        """Read the log and draw the split and the windows.

        Raises:
            LogError: the log breaks its schema.
            DataError: it has too few listeners, or not what was asked for.
        """
        preset, seed = request.preset, request.seed
        material = prepare(
            read_log(request.log),
            space=request.space,
            reading=preset.world.reading,
            held_out=request.held_out,
            rng=TrainStream.SPLIT.begin(seed),
        )
        return cls(
            request=request,
            material=material,
            windows=PolicyWindows.of(material, preset, seed=seed),
            test_windows=draw_windows(
                material.listening, material.split.test, preset.windows, TrainStream.WINDOWS.begin(seed)
            ),
        )

    @property
    def listener_counts(self) -> dict[str, int]:
        """How many listeners served which purpose."""
        split = self.material.split
        return {
            "training": len(split.train),
            "validation": len(split.validation),
            "test": len(split.test),
            "training windows left out for too few plays": self.windows.train.left_out_count,
        }

    def stream(self, stage: TrainStream) -> np.random.Generator:
        """Return a stage's stream from its start."""
        return stage.begin(self.request.seed)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LearnedModels:
    """Everything a run learns."""

    members: Sequence[TrainedWorldModel[WorldModel]]
    world: WorldOver
    """The members, over the log's catalogue."""
    copycat: Copycat
    reference: PolicyOver
    """Copycat, over the same songs."""
    tuned: FineTuned


def learn(run: Run, stages: Stages) -> LearnedModels:
    """Train the world models, clone Copycat, and fine-tune it.

    Raises:
        DataError: the recipe finds no pair to learn from.
    """
    material, preset, seed = run.material, run.request.preset, run.request.seed
    epochs = preset.world.training.epochs * preset.world.member_count
    token_count = len(material.histories.tokens_of(material.split.train))
    members = train_members(
        material,
        preset,
        seed=seed,
        processes=run.request.processes,
        advance=stages.stage("world models", total=epochs * token_count, unit="tokens"),
    )
    world = over_songs(members, material)

    cloned = stages.stage("Copycat", total=preset.copycat.epochs, unit="epochs")
    copycat = copycat_of(material, preset, run.stream(TrainStream.COPYCAT), lambda _: cloned(1))
    reference = policy_over(copycat, material)

    looked = stages.stage("DPO", total=preset.dpo.steps, unit="steps")
    tuned = fine_tune(
        reference,
        run.request.recipe,
        material,
        run.windows,
        world,
        preset,
        Draws.of_run(seed),
        advance=lambda _: looked(preset.dpo.look_every),
    )
    stages.end()
    return LearnedModels(members=members, world=world, copycat=copycat, reference=reference, tuned=tuned)
