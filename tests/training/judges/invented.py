"""Rollouts with the numbers a test gives them."""

import numpy as np

from models.guardrails import Rule
from models.listening import Mode, Population
from training.rollout import RANKED, Rollouts


def rollouts(true, predicted=None, *, song=None, mode=Mode.CALM, population=Population.CONSUMER) -> Rollouts:
    """Return rollouts with the given true and predicted signals, (R, T, 4); the same where only one is given."""
    true = np.asarray(true, np.float64)
    shape = true.shape[:2]
    return Rollouts(
        song=np.arange(np.prod(shape)).reshape(shape) if song is None else np.asarray(song),
        ranked=np.zeros((*shape, RANKED), np.int64),
        mode=np.broadcast_to(np.asarray(mode, np.int64), shape[:1]).copy(),
        population=np.broadcast_to(np.asarray(population, np.int64), shape[:1]).copy(),
        predicted=true if predicted is None else np.asarray(predicted, np.float64),
        step=np.zeros((*shape, 2)),
        forbidden=np.zeros(shape, np.int64),
        vetoed=np.full((*shape, len(Rule)), np.nan),
        rung=np.zeros(shape, np.int64),
        true_signals=true,
        true_step=np.zeros((*shape, 2)),
    )


def level(value: float, count: int, steps: int = 2):
    """Return signals that are the same everywhere."""
    return np.full((count, steps, 4), value)
