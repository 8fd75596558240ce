"""Table 4: what every policy plays to the same listeners — predicted, as in the paper, and as it truly was.

The paper's numbers are its world model's opinion of policies tuned on that very model. Beside ours stands what the
simulated listeners would truly have felt, and the difference between the two gains: the exploitation gap.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from models.affect import SIGNALS
from models.guardrails import AFFECT
from models.listening import Mode
from training.studies.cells import Cell, Figure, Records, Results, ResultTable, Row, Value
from training.studies.contenders import BUDGETED_DPO, COPYCAT, MODE_DPO, OUR_DPO, PAPER_DPO
from training.studies.policy_records import PREDICTED, TRUE
from training.studies.policy_results import PolicyResults, number
from training.studies.policy_runs import (
    GREEDY,
    NEIGHBOURS,
    ORACLE,
    RANDOM,
    RERANKED_DPO,
    REVISION,
    RUNS,
    policy_cells,
    read_by_cells,
    run_policies,
)
from training.studies.report import plots
from training.studies.scales import Scale
from training.studies.statistics import Interval, Spread, nadeau_bengio_t, paired_gain_interval, paired_t, spread
from training.tasks import Advance

_SIGNALS: Final = ("valence", "arousal", "rating", "engagement")
"""In the paper's order: the objective, then what is held out of it."""
_DIVERSITY: Final = {
    "coverage": "coverage",
    "normalized_entropy": "norm. entropy",
    "intra_list_diversity": "ILD",
    "gini": "Gini",
}
_PAPER: Final[Mapping[str, str]] = {
    "Copycat": (
        "0.480 (0.009)***  0.433 (0.011)***  0.866 (0.025)***  0.765 (0.035)***  "
        "0.029 (0.003)**  0.450 (0.012)**  2.166 (0.091)***  0.993 (0.001)*"
    ),
    "DPO": (
        "0.499 (0.012)  0.449 (0.012)  0.830 (0.028)  0.725 (0.032)  "
        "0.022 (0.002)  0.478 (0.011)  1.763 (0.091)  0.993 (0.001)"
    ),
    "Random": (
        "0.202 (0.010)***  0.171 (0.008)***  0.876 (0.010)**  0.643 (0.010)**  "
        "0.287 (0.003)***  0.853 (0.001)***  0.997 (0.008)***  0.750 (0.004)***"
    ),
    "Greedy": (
        "0.610 (0.012)***  0.550 (0.011)***  0.782 (0.023)***  0.572 (0.032)***  "
        "0.002 (0.000)***  0.221 (0.007)***  0.480 (0.027)***  0.999 (0.000)***"
    ),
}
"""Its four policies, column by column."""
_DRAWN: Final = (COPYCAT, PAPER_DPO, OUR_DPO, MODE_DPO, RERANKED_DPO, ORACLE)
_TESTED: Final = (PAPER_DPO, BUDGETED_DPO, OUR_DPO, MODE_DPO, RERANKED_DPO, RANDOM, GREEDY)
_TEST_PER_TRAIN: Final = 1 / 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Table4:
    """One cell per seed, shared with Table 5."""

    name: str = "table4"
    runs: str = RUNS
    title: str = "Policies: predicted and true affect, diversity, and the exploitation gap"
    revision: int = REVISION

    def cells(self, scale: Scale) -> list[Cell]:
        """Return one cell per seed."""
        return policy_cells(scale)

    def reads(self, scale: Scale) -> object:
        """Return the preset and every recipe."""
        return read_by_cells(scale)

    def run(self, cell: Cell, log: Path, scale: Scale, advance: Advance) -> Records:
        """Return what every policy comes to with the cell's seed."""
        return run_policies(cell, log, scale, advance)

    def tables(self, results: Results) -> Sequence[ResultTable]:
        """Return the paper's table, then what the paper could not know."""
        found = PolicyResults.of(results)
        tables = [_as_the_paper(found), _relative(found)]
        if found.about("simulated"):
            tables += [_true_signals(found), _gains(found), _gaps(found), _modes(found), _steps(found)]
        return [*tables, _tests(found), _fine_tuning(found)]

    def figures(self, results: Results) -> Sequence[Figure]:
        """Return where policies take listeners, how they share songs out, and whom their gains convince."""
        found = PolicyResults.of(results)
        figures = [_exposure(found)]
        if found.about("simulated"):
            figures += [_trajectories(found), _gap_figure(found)]
        return figures


def _as_the_paper(found: PolicyResults) -> ResultTable:
    """Return predicted signals and diversity, the paper's rows below ours."""
    columns = [*(f"{PREDICTED}_{signal}" for signal in _SIGNALS), *_DIVERSITY]
    ours = [(policy, *(_with_stars(found, policy, column) for column in columns)) for policy in found.policies]
    paper = [(f"{policy} (paper)", *row.split("  ")) for policy, row in _PAPER.items()]
    return ResultTable(
        name="table4",
        title="Table 4: predicted feedback and diversity",
        header=("policy", *_SIGNALS, *_DIVERSITY.values()),
        rows=(*ours, *paper),
        quoted=tuple(range(len(ours), len(ours) + len(paper))),
        note=(
            f"{_who(found)} Predicted: the mean of the world models that the policies were tuned on. Mean (SD) "
            f"over seeds; stars: paired t over seeds against “{PAPER_DPO}”, as in the paper (* .05, ** .01, *** "
            ".001). Without guardrails; in the policy's own order unless re-ranked; songs offered in a rollout "
            "are not "
            "offered again. " + "".join(f"Absent: {line}. " for line in found.absent)
        ).strip(),
    )


def _relative(found: PolicyResults) -> ResultTable:
    """Return the same relative to Copycat, the paper's gains below ours."""
    columns = [*(f"{PREDICTED}_{signal}" for signal in _SIGNALS), *_DIVERSITY]

    def change(policy: str, column: str) -> Value:
        own, base = (found.values("policies", column, policy=each) for each in (policy, COPYCAT))
        if own is None or base is None:
            return None
        interval = paired_gain_interval(own, base)
        return _percent(interval) or f"{100 * (np.mean(own) / np.mean(base) - 1):+.1f}"

    rows = [(policy, *(change(policy, column) for column in columns)) for policy in _others(found)]
    return ResultTable(
        name="table4-relative",
        title="Change against Copycat, percent",
        header=("policy", *_SIGNALS, *_DIVERSITY.values()),
        rows=(*rows, ("DPO (paper)", "+4.0", "+3.7", "-4.2", "-5.2", "-24.1", "+6.2", "-18.6", "0.0")),
        quoted=(len(rows),),
        note="Predicted feedback and diversity; mean over seeds [95% t interval over paired seeds].",
    )


def _fine_tuning(found: PolicyResults) -> ResultTable:
    """Return how far preference optimisation went."""

    def last(policy: str, column: str) -> Value:
        told = [number(rows[-1], column) for rows in found.rows("looks", policy=policy) if rows]
        return _shown(spread([value for value in told if value is not None]))

    tuned = list(dict.fromkeys(str(row["policy"]) for rows in found.rows("looks") for row in rows))
    return ResultTable(
        name="table4-dpo",
        title="How far preference optimisation went",
        header=("policy", "steps", "loss, nats", "KL on validation, nats", "widening"),
        rows=tuple(
            (policy, *(last(policy, column) for column in ("step", "loss_nats", "kl_nats", "widening")))
            for policy in tuned
        ),
        note=(
            "At the last look, mean (SD) over seeds; a policy is that of the last look within its budget. "
            "Widening: by how much what is a listener's own in the wanted direction was multiplied, so that "
            "the policy plays about as many songs as Copycat; 0 is not at all."
        ),
    )


def _true_signals(found: PolicyResults) -> ResultTable:
    """Return what the listeners would truly have said, and how far each policy went from Copycat."""
    columns = [*(f"{TRUE}_{signal}" for signal in _SIGNALS), "kl_nats", "same_first_song"]
    return ResultTable(
        name="table4-true",
        title="The same rollouts, true feedback",
        header=("policy", *_SIGNALS, "KL to Copycat, nats", "Copycat's first song"),
        rows=tuple(
            (policy, *(_shown(found.spread("policies", column, policy=policy)) for column in columns))
            for policy in found.policies
        ),
        note=(
            "The simulated platform's expectation for each song played, mean (SD) over seeds; the rating as if "
            "every listener were made to rate. KL(policy ‖ Copycat), exact over the catalogue, where rollouts "
            "begin; a dash: the policy is no distribution. Last column: how often both play the same song "
            "first."
        ),
    )


def _gains(found: PolicyResults) -> ResultTable:
    """Return true gains over Copycat with intervals by listener."""
    return ResultTable(
        name="table4-gains",
        title="True gain over Copycat, percent",
        header=("policy", *_SIGNALS),
        rows=tuple(
            (policy, *(_percent(found.gain(policy, signal, whose=TRUE)) for signal in _SIGNALS))
            for policy in _others(found)
        ),
        note=(
            f"[95% interval]: {found.about('test listeners')} test listeners resampled whole, each with the "
            "mean over its rollouts and seeds, paired with Copycat's. The oracles bound what re-ranking "
            "Copycat's first songs by the paper's utility can gain."
        ),
    )


def _gaps(found: PolicyResults) -> ResultTable:
    """Return what the world model promised beside what was true, for the objective."""
    rows: list[tuple[Value, ...]] = []
    for policy in _others(found):
        row: list[Value] = [policy]
        for signal in SIGNALS[AFFECT]:
            row += [
                _percent(found.gain(policy, signal, whose=PREDICTED)),
                _percent(found.gain(policy, signal, whose=TRUE)),
                _percent(found.exploitation_gap(policy, signal)),
            ]
        rows.append(tuple(row))
    return ResultTable(
        name="table4-gap",
        title="Exploitation gap, percent of Copycat",
        header=(
            "policy",
            *(f"{signal}, {what}" for signal in SIGNALS[AFFECT] for what in ("predicted", TRUE, "gap")),
        ),
        rows=tuple(rows),
        note=(
            "Gap = predicted gain − true gain: what the world model promised and nobody would have felt. [95% "
            "interval by listener]"
        ),
    )


def _modes(found: PolicyResults) -> ResultTable:
    """Return true distance from each mode's target region, and its change against Copycat."""
    modes = [mode.label for mode in Mode]

    def shown(policy: str, mode: str) -> Value:
        told = found.change(policy, f"distance_{mode}")
        if told is None:
            return None
        distance, change = told
        if policy == COPYCAT or change is None:
            return f"{distance:.3f}"
        return f"{distance:.3f} {change.shown()}"

    return ResultTable(
        name="table4-modes",
        title="True distance from the mode's target region ↓",
        header=("policy", *modes),
        rows=tuple((policy, *(shown(policy, mode) for mode in modes)) for policy in found.policies),
        note=(
            "Valence and arousal together, on [0, 1] each; mean over the listeners who asked for the mode, "
            "then the change against Copycat [95% by listener]. A dash: no test listener asked for it."
        ),
    )


def _steps(found: PolicyResults) -> ResultTable:
    """Return how far predicted and true affect lie apart at each step."""
    steps = sorted({_count(row, "step") for rows in found.rows("trajectories") for row in rows} - {0})

    def error(policy: str, signal: str, step: int) -> Value:
        rows = [row for rows in found.rows("trajectories", policy=policy, step=step) for row in rows]
        weighed = [(number(row, f"error_{signal}"), _count(row, "rollouts")) for row in rows]
        total = sum(value * count for value, count in weighed if value is not None)
        counted = sum(count for value, count in weighed if value is not None)
        return f"{total / counted:.3f}" if counted else None

    return ResultTable(
        name="table4-steps",
        title="Error of predicted affect, step by step",
        header=("policy", *(f"{signal}, step {step}" for signal in SIGNALS[AFFECT] for step in steps)),
        rows=tuple(
            (policy, *(error(policy, signal, step) for signal in SIGNALS[AFFECT] for step in steps))
            for policy in found.policies
        ),
        note="Mean absolute difference between predicted and truly expected affect over rollouts and seeds.",
    )


def _tests(found: PolicyResults) -> ResultTable:
    """Return paired tests over seeds against Copycat: the paper's and the corrected one."""
    judges = (PREDICTED, TRUE) if found.about("simulated") else (PREDICTED,)
    rows = [
        (policy, whose, *(_tested(found, policy, f"{whose}_{signal}") for signal in _SIGNALS))
        for policy in _TESTED
        if policy in found.policies
        for whose in judges
    ]
    return ResultTable(
        name="table4-tests",
        title="Paired tests over seeds, against Copycat",
        header=("policy", "feedback", *_SIGNALS),
        rows=tuple(rows),
        note=(
            "Change, p of the paired t-test as in the paper, and p of Nadeau and Bengio's corrected one. "
            f"{len(found.records)} seeds of one split: these tests ask whether another training run would do "
            "the same, not whether other listeners would; the intervals by listener ask that. The corrected "
            "test takes the variance as (1/k + 1/8) s², for listeners that seeds share."
        ),
    )


def _tested(found: PolicyResults, policy: str, column: str) -> Value:
    """Return change in percent and both p values; no p of fewer than two seeds."""
    own, base = (found.values("policies", column, policy=each) for each in (policy, COPYCAT))
    if own is None or base is None:
        return None
    change = f"{100 * (np.mean(own) / np.mean(base) - 1):+.1f}%"
    plain, corrected = paired_t(own, base), nadeau_bengio_t(own, base, test_per_train=_TEST_PER_TRAIN)
    if plain is None or corrected is None or plain.p is None or corrected.p is None:
        return change
    return f"{change} p {_p(plain.p)}, {_p(corrected.p)}"


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
    for policy in _others(found):
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
    return np.concatenate([np.full(_count(row, "songs"), _count(row, "times")) for row in rows])


def _path(found: PolicyResults, policy: str, mode: str) -> Float[ndarray, "S 2"] | None:
    """Return mean true affect at each step, the start first; None where the mode does not occur."""
    by_seed = [
        [
            [row[f"{TRUE}_{signal}"] for signal in SIGNALS[AFFECT]]
            for row in sorted(rows, key=lambda row: _count(row, "step"))
        ]
        for rows in found.rows("trajectories", policy=policy, mode=mode)
    ]
    return np.mean(np.array(by_seed, np.float64), axis=0) if all(by_seed) else None


def _who(found: PolicyResults) -> str:
    about = found.about
    return (
        f"{about('test listeners')} test listeners, {about('test windows')} windows of 10 to 100 tokens, 5 "
        f"songs each ({about('test listeners left out')} listeners with fewer than 2 plays left out), the same "
        f"for every policy and in all {len(found.records)} seeds; {about('songs'):,} songs."
    )


def _others(found: PolicyResults) -> list[str]:
    return [policy for policy in found.policies if policy != COPYCAT]


def _with_stars(found: PolicyResults, policy: str, column: str) -> Value:
    """Return mean (SD), and how surely it differs from the paper's recipe."""
    own, base = (found.values("policies", column, policy=each) for each in (policy, PAPER_DPO))
    test = None if own is None or base is None or policy == PAPER_DPO else paired_t(own, base)
    shown = _shown(found.spread("policies", column, policy=policy))
    return shown if shown is None or test is None else f"{shown}{test.stars}"


def _shown(numbers: Spread | None) -> str | None:
    return None if numbers is None else numbers.shown()


def _percent(interval: Interval | None) -> str | None:
    return None if interval is None else interval.shown(1, times=100)


def _p(value: float) -> str:
    return "<.001" if value < 0.001 else f"{value:.3f}"


def _count(row: Row, column: str) -> int:
    value = row[column]
    assert isinstance(value, int), f"{column} is a count"
    return value
