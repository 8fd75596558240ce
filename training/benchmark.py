"""`amrs bench train`: how fast a world model trains, and how much of it is padding.

A supervised position is a play with at least one observed signal. One thread, no validation in the clock, and the
clock is the processor's: a machine that is busy with something else tells nearly the same speed.
"""

import time
from dataclasses import dataclass, replace

import numpy as np

from training.splits import Split
from training.windows import Histories, batches, cut
from training.world_model import WorldPreset, train_world_model


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingSpeed:
    """What was measured at one batch size."""

    batch_size: int
    lookback: int
    tokens_per_second: float
    """Of the processor, as all speeds here."""
    positions_per_second: float
    """Supervised ones."""
    padded_share: float
    """Padded positions over all positions of all batches, in [0, 1)."""


def measure_training_speed(
    histories: Histories,
    split: Split,
    *,
    feature_names: tuple[str, ...],
    preset: WorldPreset,
    batch_size: int,
    rng: np.random.Generator,
) -> TrainingSpeed:
    """Return the speed of one epoch over the training listeners, at the given batch size."""
    lookback = preset.training.lookback
    windows = cut(histories, split.train, lookback=lookback, rng=rng)
    shapes = [
        (int(each.length.sum()), len(each) * int(each.length.max()))
        for each in batches(windows, batch_size=batch_size, rng=rng)
    ]
    told: list[tuple[float, int]] = []
    train_world_model(
        histories,
        replace(split, validation=split.validation[:0]),
        feature_names=feature_names,
        architecture=preset.architecture,
        config=replace(preset.training, batch_size=batch_size, epochs=2),
        rng=rng,
        advance=lambda tokens: told.append((time.process_time(), tokens)),
    )
    seconds = told[-1][0] - told[0][0]  # from the end of the first batch: what is fitted before is not timed
    tokens_per_second = sum(tokens for _, tokens in told[1:]) / seconds
    supervised = (~np.isnan(histories.targets[histories.tokens_of(split.train)])).any(axis=1)
    real, all_positions = (sum(column) for column in zip(*shapes, strict=True))
    return TrainingSpeed(
        batch_size=batch_size,
        lookback=lookback,
        tokens_per_second=tokens_per_second,
        positions_per_second=tokens_per_second * float(supervised.mean()),
        padded_share=1.0 - real / all_positions,
    )
