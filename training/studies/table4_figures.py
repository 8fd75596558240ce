"""The figures of Table 4: how policies share songs out, where they take listeners, and what was promised of it."""

from collections.abc import Sequence
from functools import partial
from typing import Final

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from models.affect import SIGNALS
from models.guardrails import AFFECT
from models.listening import Mode
from training.studies.cells import Figure
from training.studies.contenders import COPYCAT, MODE_DPO, OUR_DPO, PAPER_DPO
from training.studies.policy_records import PREDICTED, TRUE
from training.studies.policy_results import PolicyResults, count, others
from training.studies.policy_runs import GREEDY, NEIGHBOURS, ORACLE, RANDOM, RERANKED_DPO
from training.studies.report import plots

_DRAWN: Final = (COPYCAT, PAPER_DPO, OUR_DPO, MODE_DPO, RERANKED_DPO, ORACLE)


def policy_figures(found: PolicyResults) -> Sequence[Figure]:
    """Return every figure; those that rest on the truth only where it is known."""
    figures = [_exposure(found)]
    if found.about("simulated"):
        figures += [_trajectories(found), _gap_figure(found)]
    return figures


def _exposure(found: PolicyResults) -> Figure:
    plays: dict[str, Int[ndarray, " N"]] = {
        policy: _play_counts(found, policy)
        for policy in (COPYCAT, PAPER_DPO, OUR_DPO, MODE_DPO, NEIGHBOURS, RANDOM, GREEDY)
        if policy in found.policies
    }
    return Figure(
        name="exposure",
        title="How policies share their songs out",
        caption="Test rollouts of the first seed; songs never offered included.",
        draw=partial(plots.exposure_curves, plays=plays),
    )


def _trajectories(found: PolicyResults) -> Figure:
    panels: dict[str, dict[str, Float[ndarray, "S 2"]]] = {}
    modes: dict[str, Mode] = {}
    for mode in Mode:
        paths = {policy: _path(found, policy, mode.label) for policy in _DRAWN if policy in found.policies}
        told: dict[str, Float[ndarray, "S 2"]] = {name: path for name, path in paths.items() if path is not None}
        if told:
            panels[mode.label], modes[mode.label] = told, mode
    return Figure(
        name="trajectories",
        title="Where policies take listeners",
        caption=(
            "Mean true valence and arousal before the first song (hollow) and after each, by mode, over test "
            "rollouts and seeds. Filled: the region that the mode steers toward."
        ),
        draw=partial(plots.circumplex, panels=panels, modes=modes),
        width=10.0,
        height=7.0,
    )


def _gap_figure(found: PolicyResults) -> Figure:
    gains = []
    for policy in others(found):
        for signal in SIGNALS[AFFECT]:
            predicted, true = (found.gain(policy, signal, whose=whose) for whose in (PREDICTED, TRUE))
            if predicted is not None and true is not None:
                gains.append(plots.Gain(policy=policy, signal=signal, predicted=predicted, true=true))
    return Figure(
        name="exploitation-gap",
        title="What was promised, and what was felt",
        caption=(
            "Gain over Copycat on test listeners; bars: 95% by listener. Between the two lies the exploitation "
            "gap."
        ),
        draw=partial(plots.exploitation_gap, gains=gains),
        height=5.0,
    )


def _play_counts(found: PolicyResults, policy: str) -> Int[ndarray, " N"]:
    """Return how often each song was offered in the first seed, in no particular order."""
    rows = found.rows("exposure", policy=policy)[0]
    return np.concatenate([np.full(count(row, "songs"), count(row, "times")) for row in rows])


def _path(found: PolicyResults, policy: str, mode: str) -> Float[ndarray, "S 2"] | None:
    """Return mean true affect at each step, the start first; None where the mode does not occur."""
    by_seed = [
        [
            [row[f"{TRUE}_{signal}"] for signal in SIGNALS[AFFECT]]
            for row in sorted(rows, key=lambda row: count(row, "step"))
        ]
        for rows in found.rows("trajectories", policy=policy, mode=mode)
    ]
    return np.mean(np.array(by_seed, np.float64), axis=0) if all(by_seed) else None
