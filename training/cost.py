"""What each stage of training costs on a platform of a given size, in processor seconds of one thread.

What a run does once is done whole: the platform, the material, the linear part, the support. Where the work is so
many tokens, windows or songs of the same kind, a share of them is timed, and the whole stage follows by counting.
Every platform is measured in a process of its own, so that its peak memory is nobody else's.

Legend: S situations · M members · N songs
"""

import multiprocessing
import os
import resource
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from enum import StrEnum
from statistics import median
from typing import Final

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray

from models.errors import ConfigError
from models.listening import NO_SONG
from models.utility import PAPER_UTILITY
from training.copycat import CloningEpoch, clone_behaviour
from training.decoding import decoder_of
from training.dpo import DpoLook, optimise_preferences
from training.judging import EnsembleJudge, prediction_spread, serving_utility, situation_states
from training.learning import pair_situations, policy_over
from training.limits import mean_reports
from training.linear_fit import USUAL_FIT, fit_linear_part
from training.material import Material, prepare
from training.networks.standardisation import standardisation
from training.networks.world import Ensemble, WorldModel
from training.pairs import Judge, Offer, PairRecipe, Pairs, SupportPairs
from training.platform.as_log import simulated_log
from training.platform.parameters import PlatformParameters, PlatformSize
from training.platform.simulate import simulate
from training.policies.plain import Learned
from training.presets import Preset
from training.rollout import roll_out
from training.seeding import torch_seeded_by
from training.situations import draw_windows
from training.splits import Split
from training.stages import BOTH_WAYS, compared, no_limits, setting_with, start_of
from training.trained import PolicyOver, WorldOver
from training.windows import Histories
from training.world_model import LabelStatistics, train_world_model

_LOOK_AFTER: Final = 8
"""DPO steps before the first look that is timed; the second comes one step later."""
_MIB: Final = 1024 if sys.platform != "darwin" else 1024**2
"""Of what the system counts peak memory in."""


class Stage(StrEnum):
    """What is timed."""

    SIMULATE = "simulate"
    PREPARE = "prepare"
    LINEAR = "linear part"
    WORLD = "world model, an epoch"
    COPYCAT = "Copycat, an epoch"
    STATES = "states of DPO's situations"
    PAIRS = "DPO, pairs of a pass"
    STEP = "DPO, a step"
    LOOK = "DPO, a look"
    SUPPORT = "support"
    ROLLOUTS = "rollouts, 1,000 songs"


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """How much of a stage is timed; all of it where there is less."""

    tokens: int = 10_000
    """Of training listeners, for an epoch of a world model."""
    plays: int = 3_000
    """The same for an epoch of Copycat, whose plays each cost a softmax over the catalogue."""
    windows: int = 320
    """Of training listeners, in which DPO finds its pairs."""
    watched: int = 64
    """Windows of validation listeners at which DPO looks."""
    starts: int = 64
    """Of rollouts."""
    repeats: int = 3
    """Medians are taken over them, wherever a share is timed."""

    def __post_init__(self) -> None:
        if min(self.tokens, self.plays, self.windows, self.watched, self.starts, self.repeats) < 1:
            raise ConfigError(f"a share needs at least one of everything; got {self}")


USUAL_SHARE: Final = Share()
QUICK_SHARE: Final = Share(tokens=1_000, plays=1_000, windows=64, watched=16, starts=16, repeats=1)
"""Enough to see that it works."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StageCost:
    """What one stage costs on one platform."""

    listener_count: int
    song_count: int
    stage: Stage
    unit: str
    """Of what was counted."""
    timed: int
    """Units that were timed."""
    whole: int
    """Units of the whole stage."""
    timed_seconds: float
    """Of the processor."""
    times: int
    """How often the preset asks for the stage, at most."""
    peak_mib: float
    """Of the process until the stage was over."""

    @property
    def seconds(self) -> float:
        """Processor seconds of the whole stage, once."""
        return self.timed_seconds * self.whole / self.timed


def measure_platforms(
    sizes: Sequence[PlatformSize],
    *,
    preset: Preset,
    seed: int,
    share: Share = USUAL_SHARE,
    advance: Callable[[int], None] = lambda _: None,
) -> list[StageCost]:
    """Return the cost of every stage on every platform, one platform after another.

    Args:
        sizes: of the platforms; equal seeds give them the same songs as far as there are as many.
        preset: the recipe of every stage.
        seed: draws the platforms, and whatever a stage draws.
        share: how much is timed.
        advance: told of each platform as it is done.
    """
    costs: list[StageCost] = []
    context = multiprocessing.get_context("spawn")
    with _one_thread():
        for size in sizes:
            with ProcessPoolExecutor(1, mp_context=context) as alone:
                costs += alone.submit(measure_stages, size, preset=preset, seed=seed, share=share).result()
            advance(1)
    return costs


@contextmanager
def _one_thread() -> Iterator[None]:
    """Let processes that begin within the block compute on one thread."""
    before = os.environ.get("OMP_NUM_THREADS")
    os.environ["OMP_NUM_THREADS"] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ["OMP_NUM_THREADS"]
        else:
            os.environ["OMP_NUM_THREADS"] = before


def measure_stages(size: PlatformSize, *, preset: Preset, seed: int, share: Share) -> list[StageCost]:
    """Return the cost of every stage on one platform, in the order of a run; peak memory is this process's."""
    bill = _Bill(size)

    with bill.once(Stage.SIMULATE, size.play_count, "plays"):
        log = simulated_log(simulate(PlatformParameters(), size, seed))
    with bill.once(Stage.PREPARE, size.play_count, "plays"):
        material = prepare(log, space=None, reading=preset.world.reading, held_out=(), rng=_stream(seed, 0))
    histories, split = material.histories, material.split
    members = preset.world.member_count
    tokens = len(histories.tokens_of(split.train))
    model = _drawn_model(material, preset, _stream(seed, 1))
    with bill.once(Stage.LINEAR, tokens, "tokens", times=members):
        fit_linear_part(
            model.linear,
            histories,
            split.train,
            lookback=preset.lookback,
            fit=preset.world.training.linear or USUAL_FIT,
        )
    costs = [_world_epoch(material, preset, share.tokens, _stream(seed, 2, k)) for k in range(share.repeats)]
    bill.median(Stage.WORLD, costs, whole=tokens, unit="tokens", times=members * preset.world.training.epochs)

    cloned = [_copycat_epoch(material, preset, share.plays, _stream(seed, 3, k)) for k in range(share.repeats)]
    plays = int((histories.song_row[histories.tokens_of(split.train)] != NO_SONG).sum())
    bill.median(
        Stage.COPYCAT, [each[0] for each in cloned], whole=plays, unit="plays", times=preset.copycat.epochs
    )
    reference = cloned[-1][1]

    world = WorldOver(ensemble=Ensemble([model] * members), songs=histories.song_vectors)
    _preferences(bill, material, preset, world, reference, share, seed)

    with bill.once(Stage.SUPPORT, size.song_count, "songs"):
        setting = setting_with(material, world, preset, no_limits(mean_reports(material.listening)))
    test = draw_windows(material.listening, split.test, preset.windows, _stream(seed, 4))
    start = start_of(material, test.take(_some(len(test), share.starts, _stream(seed, 5))))
    rolled = []
    for _ in range(share.repeats):
        began = time.process_time()
        made = roll_out(Learned(reference), start, setting, guarded=True, rng=_stream(seed, 6))
        rolled.append((time.process_time() - began, int((made.song != NO_SONG).sum())))
    thousands = -(-rolled_out(preset, starts=len(test), songs_each=setting.song_count) // 1_000)
    bill.median(Stage.ROLLOUTS, rolled, whole=1_000, unit="songs", times=thousands)
    return bill.costs


def rolled_out(preset: Preset, *, starts: int, songs_each: int) -> int:
    """Return how many songs are played before a bundle is sealed, behind the decoder that the preset gets."""
    policies = compared(decoder_of(preset)(PAPER_UTILITY))
    return len(BOTH_WAYS) * len(policies) * starts * songs_each


class _Bill:
    """What was timed so far on one platform."""

    def __init__(self, size: PlatformSize) -> None:
        self.size = size
        self.costs: list[StageCost] = []

    @contextmanager
    def once(self, stage: Stage, count: int, unit: str, *, times: int = 1) -> Iterator[None]:
        """Time a block that does the whole stage."""
        began = time.process_time()
        yield
        self._write(stage, time.process_time() - began, timed=count, whole=count, unit=unit, times=times)

    def median(
        self, stage: Stage, timed: Sequence[tuple[float, int]], *, whole: int, unit: str, times: int
    ) -> None:
        """Write down the median of what some shares cost: their seconds, and how many units they were."""
        rate = median(seconds / count for seconds, count in timed)
        count = timed[0][1]
        self._write(stage, rate * count, timed=count, whole=whole, unit=unit, times=times)

    def _write(self, stage: Stage, seconds: float, *, timed: int, whole: int, unit: str, times: int) -> None:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / _MIB
        self.costs.append(
            StageCost(
                listener_count=self.size.listener_count,
                song_count=self.size.song_count,
                stage=stage,
                unit=unit,
                timed=timed,
                whole=whole,
                timed_seconds=seconds,
                times=times,
                peak_mib=peak,
            )
        )


def _stream(*path: int) -> np.random.Generator:
    return np.random.default_rng(path)


def _some(count: int, most: int, rng: np.random.Generator) -> Int[ndarray, " n"]:
    """Return at most so many of `count` rows, ascending."""
    return np.sort(rng.permutation(count)[:most])


def _some_listeners(
    histories: Histories, listeners: Int[ndarray, " b"], most_tokens: int, rng: np.random.Generator
) -> Int[ndarray, " n"]:
    """Return listeners in no order whose tokens come to about as many, at least one."""
    shuffled = rng.permutation(listeners)
    total = np.cumsum(histories.token_counts[shuffled])
    return np.sort(shuffled[: 1 + int(np.searchsorted(total, most_tokens))])


def _only(split: Split, train: Int[ndarray, " n"]) -> Split:
    """Return a split of which only the given listeners are trained on, and nobody validates."""
    return replace(split, train=train, validation=split.validation[:0])


def _drawn_model(material: Material, preset: Preset, rng: np.random.Generator) -> WorldModel:
    """Return a world model of the first weights."""
    histories = material.histories
    tokens = histories.tokens_of(material.split.train)
    with torch_seeded_by(rng):
        return preset.world.architecture.draw(
            song_width=histories.song_vectors.shape[1],
            standard=standardisation(histories.columns.features[tokens], material.feature_names),
            mean=LabelStatistics.of(histories.targets[tokens]).mean,
        ).eval()


def _world_epoch(
    material: Material, preset: Preset, most_tokens: int, rng: np.random.Generator
) -> tuple[float, int]:
    """Return what two epochs of some training listeners cost after the first batch, and their tokens since."""
    some = _some_listeners(material.histories, material.split.train, most_tokens, rng)
    told: list[tuple[float, int]] = []
    train_world_model(
        material.histories,
        _only(material.split, some),
        feature_names=material.feature_names,
        architecture=preset.world.architecture,
        config=replace(preset.world.training, epochs=2),
        rng=rng,
        advance=lambda tokens: told.append((time.process_time(), tokens)),
    )
    return told[-1][0] - told[0][0], sum(tokens for _, tokens in told[1:])


def _copycat_epoch(
    material: Material, preset: Preset, most_tokens: int, rng: np.random.Generator
) -> tuple[tuple[float, int], PolicyOver]:
    """Return what some training listeners' second epoch costs and its plays, and the policy after it."""
    histories = material.histories
    some = _some_listeners(histories, material.split.train, most_tokens, rng)
    told: list[float] = []

    def advance(_: CloningEpoch) -> None:
        told.append(time.process_time())

    copycat = clone_behaviour(
        histories,
        material.embeddings,
        _only(material.split, some),
        feature_names=material.feature_names,
        lookback=preset.lookback,
        config=replace(preset.copycat, epochs=2, patience=2),
        rng=rng,
        advance=advance,
    )
    plays = int((histories.song_row[histories.tokens_of(some)] != NO_SONG).sum())
    return (told[1] - told[0], plays), policy_over(copycat, material)


@dataclass(frozen=True, slots=True)
class _TimedRecipe:
    """A recipe that writes down when it was asked, when it was done, and in how many situations."""

    recipe: PairRecipe
    asked: list[tuple[float, float, int]]

    def suited(self, feedback: Float[ndarray, "T 4"]) -> Bool[ndarray, " T"]:
        return self.recipe.suited(feedback)

    def pairs(self, offer: Offer, judge: Judge, rng: np.random.Generator) -> Pairs:
        began = time.process_time()
        found = self.recipe.pairs(offer, judge, rng)
        self.asked.append((began, time.process_time(), len(offer.logged)))
        return found

    def seconds(self, *, since: float, until: float) -> float:
        """Return how long it was at work between two moments."""
        return sum(ended - began for began, ended, _ in self.asked if since <= began and ended <= until)


def _preferences(
    bill: _Bill,
    material: Material,
    preset: Preset,
    world: WorldOver,
    reference: PolicyOver,
    share: Share,
    seed: int,
) -> None:
    """Bill DPO: the states in which its pairs are judged, the pairs, the steps and the looks.

    A run of nine steps looks after the eighth and after the ninth. So a step and a look cost what lies between the
    two looks, and eight steps and a look what lies between the first pairs and the first look.
    """
    every = [
        draw_windows(material.listening, listeners, preset.windows, _stream(seed, 7))
        for listeners in (material.split.train, material.split.validation)
    ]
    kept = [
        each.take(_some(len(each), most, _stream(seed, 8)))
        for each, most in zip(every, (share.windows, share.watched), strict=True)
    ]
    recipe = SupportPairs()
    train, watched = (pair_situations(material, each, recipe, preset, _stream(seed, 9)) for each in kept)
    whole, looked = (pair_situations(material, each, recipe, preset, _stream(seed, 9)) for each in every)
    stated, paired, stepped, seen = [], [], [], []
    for number in range(share.repeats):
        began = time.process_time()
        states = situation_states(world, material.histories, train)
        stated.append((time.process_time() - began, len(train)))
        utility = serving_utility(prediction_spread(world, states, _stream(seed, 10)))
        timed = _TimedRecipe(recipe, [])
        looks: list[float] = []

        def advance(_: DpoLook, looks: list[float] = looks) -> None:
            looks.append(time.process_time())

        optimise_preferences(
            reference,
            material.histories,
            train,
            watched,
            judge=EnsembleJudge(world=world, state=states, mode=train.mode, utility=utility),
            recipe=timed,
            config=replace(preset.dpo, steps=_LOOK_AFTER + 1, look_every=_LOOK_AFTER, kl_budget_nats=np.inf),
            rng=_stream(seed, 11, number),
            advance=advance,
        )
        paired.append((timed.seconds(since=0.0, until=np.inf), sum(count for *_, count in timed.asked)))
        ready, first, last = timed.asked[0][1], *looks
        many = first - ready - timed.seconds(since=ready, until=first)
        one = last - first - timed.seconds(since=first, until=last)
        step = max(many - one, 0.0) / (_LOOK_AFTER - 1)
        stepped.append((step, 1))
        seen.append((max(one - step, 0.0), len(watched)))
    passes = -(-preset.dpo.steps * preset.dpo.batch_windows // len(every[0]))
    look_count = -(-preset.dpo.steps // preset.dpo.look_every)
    bill.median(Stage.STATES, stated, whole=len(whole), unit="situations", times=1)
    bill.median(Stage.PAIRS, paired, whole=len(whole), unit="situations", times=passes)
    bill.median(Stage.STEP, stepped, whole=1, unit="steps", times=preset.dpo.steps)
    bill.median(Stage.LOOK, seen, whole=len(looked), unit="situations", times=look_count)
