"""Table 4: what every policy plays to the same listeners — predicted, as in the paper, and as it truly was.

The paper's numbers are its world model's opinion of policies tuned on that very model. Beside ours stands what the
simulated listeners would truly have felt, and the difference between the two gains: the exploitation gap.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from training.statistics import nadeau_bengio_t, paired_gain_interval, paired_t, spread
from training.studies.cells import Figure, Results, ResultTable, Value
from training.studies.contenders import BUDGETED_DPO, COPYCAT, MODE_DPO, OUR_DPO, PAPER_DPO
from training.studies.policy_records import PREDICTED, TRUE
from training.studies.policy_results import FEEDBACK, PolicyResults, number, others, percent, shown
from training.studies.policy_runs import GREEDY, RANDOM, RERANKED_DPO, PolicyStudy
from training.studies.table4_figures import policy_figures
from training.studies.table4_truth import truth_tables

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
_TESTED: Final = (PAPER_DPO, BUDGETED_DPO, OUR_DPO, MODE_DPO, RERANKED_DPO, RANDOM, GREEDY)
_TEST_PER_TRAIN: Final = 1 / 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Table4(PolicyStudy):
    """One cell per seed, shared with Table 5."""

    name: str = "table4"
    title: str = "Policies: predicted and true affect, diversity, and the exploitation gap"

    def tables(self, results: Results) -> Sequence[ResultTable]:
        """Return the paper's table, then what the paper could not know."""
        found = PolicyResults.of(results)
        tables = [_as_the_paper(found), _relative(found)]
        if found.about("simulated"):
            tables += truth_tables(found)
        return [*tables, _tests(found), _fine_tuning(found)]

    def figures(self, results: Results) -> Sequence[Figure]:
        """Return where policies take listeners, how they share songs out, and whom their gains convince."""
        return policy_figures(PolicyResults.of(results))


def _as_the_paper(found: PolicyResults) -> ResultTable:
    """Return predicted signals and diversity, the paper's rows below ours."""
    columns = [*(f"{PREDICTED}_{signal}" for signal in FEEDBACK), *_DIVERSITY]
    ours = [(policy, *(_with_stars(found, policy, column) for column in columns)) for policy in found.policies]
    paper = [(f"{policy} (paper)", *row.split("  ")) for policy, row in _PAPER.items()]
    return ResultTable(
        name="table4",
        title="Table 4: predicted feedback and diversity",
        header=("policy", *FEEDBACK, *_DIVERSITY.values()),
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
    columns = [*(f"{PREDICTED}_{signal}" for signal in FEEDBACK), *_DIVERSITY]

    def change(policy: str, column: str) -> Value:
        own, base = (found.values("policies", column, policy=each) for each in (policy, COPYCAT))
        if own is None or base is None:
            return None
        interval = paired_gain_interval(own, base)
        return percent(interval) or f"{100 * (np.mean(own) / np.mean(base) - 1):+.1f}"

    rows = [(policy, *(change(policy, column) for column in columns)) for policy in others(found)]
    return ResultTable(
        name="table4-relative",
        title="Change against Copycat, percent",
        header=("policy", *FEEDBACK, *_DIVERSITY.values()),
        rows=(*rows, ("DPO (paper)", "+4.0", "+3.7", "-4.2", "-5.2", "-24.1", "+6.2", "-18.6", "0.0")),
        quoted=(len(rows),),
        note="Predicted feedback and diversity; mean over seeds [95% t interval over paired seeds].",
    )


def _fine_tuning(found: PolicyResults) -> ResultTable:
    """Return how far preference optimisation went."""

    def last(policy: str, column: str) -> Value:
        told = [number(rows[-1], column) for rows in found.rows("looks", policy=policy) if rows]
        numbers = spread([value for value in told if value is not None])
        return None if numbers is None else numbers.shown(0 if column == "step" else 3)

    tuned = list(dict.fromkeys(str(row["policy"]) for rows in found.rows("looks") for row in rows))
    return ResultTable(
        name="table4-dpo",
        title="How far preference optimisation went",
        header=("policy", "steps", "loss, nats", "KL on validation, nats", "flattening"),
        rows=tuple(
            (policy, *(last(policy, column) for column in ("step", "loss_nats", "kl_nats", "flattening")))
            for policy in tuned
        ),
        note=(
            "At the last look, mean (SD) over seeds; a policy is that of the last look within its budget. "
            "Flattening: by which power the principal directions of what is a listener's own were brought nearer "
            "to one length, so that the policy plays about as many songs as Copycat; 0 is not at all."
        ),
    )


def _tests(found: PolicyResults) -> ResultTable:
    """Return paired tests over seeds against Copycat: the paper's and the corrected one."""
    judges = (PREDICTED, TRUE) if found.about("simulated") else (PREDICTED,)
    rows = [
        (policy, whose, *(_tested(found, policy, f"{whose}_{signal}") for signal in FEEDBACK))
        for policy in _TESTED
        if policy in found.policies
        for whose in judges
    ]
    return ResultTable(
        name="table4-tests",
        title="Paired tests over seeds, against Copycat",
        header=("policy", "feedback", *FEEDBACK),
        rows=tuple(rows),
        note=(
            "Change, p of the paired t-test as in the paper, and p of Nadeau and Bengio's corrected one. "
            f"{_seeds(found)} of one split: these tests ask whether another training run would do "
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


def _who(found: PolicyResults) -> str:
    about = found.about
    return (
        f"{about('test listeners')} test listeners, {about('test windows')} windows of 10 to 100 tokens, 5 "
        f"songs each ({about('test listeners left out')} listeners with fewer than 2 plays left out), the same "
        f"for every policy and every seed ({_seeds(found)}); {about('songs'):,} songs."
    )


def _seeds(found: PolicyResults) -> str:
    return f"{len(found.records)} seed{'s' if len(found.records) > 1 else ''}"


def _with_stars(found: PolicyResults, policy: str, column: str) -> Value:
    """Return mean (SD), and how surely it differs from the paper's recipe."""
    numbers = shown(found.spread("policies", column, policy=policy))
    own, base = (found.values("policies", column, policy=each) for each in (policy, PAPER_DPO))
    test = None if own is None or base is None or policy == PAPER_DPO else paired_t(own, base)
    return numbers if numbers is None or test is None else f"{numbers}{test.stars}"


def _p(value: float) -> str:
    return "<.001" if value < 0.001 else f"{value:.3f}"
