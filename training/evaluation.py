"""`evaluation.json`: everything a run measured, as plain values; the same run gives the same bytes.

Floats are rounded to six digits; what could not be measured is null, never NaN.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, is_dataclass
from typing import Any, Final

from models.affect import SIGNALS
from training.metrics.adherence import Adherence, logged_after, time_step, user_wise
from training.metrics.rollouts import PolicyRow
from training.rollout import Rollouts
from training.situations import StartWindows
from training.windows import Histories

SCHEMA: Final = "amrs-evaluation/1"
_DIGITS: Final = 6


def plain(value: Any) -> Any:
    """Return a value made of what JSON can say: mappings, lists, text, numbers, booleans and null."""
    if is_dataclass(value) and not isinstance(value, type):
        return plain(asdict(value))
    if isinstance(value, Mapping):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, str | bool | int) or value is None:
        return value
    if isinstance(value, float):
        return round(value, _DIGITS) if math.isfinite(value) else None
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    return [plain(each) for each in value]


def gains(row: PolicyRow, copycat: PolicyRow) -> dict[str, dict[str, float]]:
    """Return what a policy gains over Copycat, signal by signal, in percent of Copycat's value.

    `exploitation` is the predicted gain less the true one: what the world model promised and the listeners would
    not have felt. Without a truth there is only what is predicted.
    """
    predicted = {name: _percent(row.predicted[name], copycat.predicted[name]) for name in SIGNALS}
    if not row.true:
        return {"predicted": predicted}
    true = {name: _percent(row.true[name], copycat.true[name]) for name in SIGNALS}
    return {
        "predicted": predicted,
        "true": true,
        "exploitation": {name: predicted[name] - true[name] for name in SIGNALS},
    }


def adherence(
    rollouts: Mapping[tuple[str, bool], Rollouts], windows: StartWindows, histories: Histories
) -> dict[str, dict[str, Adherence]]:
    """Return, by policy, how near its rankings stay to the logs of those it plays to; guardrails left aside.

    Args:
        rollouts: by policy and whether guarded, all begun at the windows.
        windows: of the histories.
        histories: every listener's whole log.
    """
    free = {name: each for (name, guarded), each in rollouts.items() if not guarded}
    return {
        name: {
            "user_wise": user_wise(each.ranked, windows.listener, histories),
            "time_step": time_step(each.ranked, logged_after(windows, histories, count=each.song.shape[1])),
        }
        for name, each in free.items()
    }


def row_of(rows: Sequence[PolicyRow], policy: str, *, guarded: bool) -> PolicyRow:
    """Return the row of one policy."""
    return next(row for row in rows if row.policy == policy and row.guarded == guarded)


def _percent(value: float, base: float) -> float:
    return 100 * (value / base - 1)
