"""Table 4 as the paper could not have it: what the listeners of a simulated platform would truly have felt.

Intervals resample test listeners whole; a listener counts with the mean over rollouts and seeds, paired with what
the same listener had of Copycat.
"""

from collections.abc import Sequence

from models.affect import SIGNALS
from models.guardrails import AFFECT
from models.listening import Mode
from training.studies.cells import ResultTable, Value
from training.studies.contenders import COPYCAT
from training.studies.policy_records import PREDICTED, TRUE
from training.studies.policy_results import FEEDBACK, PolicyResults, count, number, others, percent, shown


def truth_tables(found: PolicyResults) -> Sequence[ResultTable]:
    """Return every table that rests on the truth."""
    return [_true_signals(found), _gains(found), _gaps(found), _modes(found), _steps(found)]


def _true_signals(found: PolicyResults) -> ResultTable:
    """Return what the listeners would truly have said, and how far each policy went from Copycat."""
    columns = [*(f"{TRUE}_{signal}" for signal in FEEDBACK), "kl_nats", "same_first_song"]
    return ResultTable(
        name="table4-true",
        title="The same rollouts, true feedback",
        header=("policy", *FEEDBACK, "KL to Copycat, nats", "Copycat's first song"),
        rows=tuple(
            (policy, *(shown(found.spread("policies", column, policy=policy)) for column in columns))
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
        header=("policy", *FEEDBACK),
        rows=tuple(
            (policy, *(percent(found.gain(policy, signal, whose=TRUE)) for signal in FEEDBACK))
            for policy in others(found)
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
    for policy in others(found):
        row: list[Value] = [policy]
        for signal in SIGNALS[AFFECT]:
            row += [
                percent(found.gain(policy, signal, whose=PREDICTED)),
                percent(found.gain(policy, signal, whose=TRUE)),
                percent(found.exploitation_gap(policy, signal)),
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

    def told_of(policy: str, mode: str) -> Value:
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
        rows=tuple((policy, *(told_of(policy, mode) for mode in modes)) for policy in found.policies),
        note=(
            "Valence and arousal together, on [0, 1] each; mean over the listeners who asked for the mode, "
            "then the change against Copycat [95% by listener]. A dash: no test listener asked for it."
        ),
    )


def _steps(found: PolicyResults) -> ResultTable:
    """Return how far predicted and true affect lie apart at each step."""
    steps = sorted({count(row, "step") for rows in found.rows("trajectories") for row in rows} - {0})

    def error(policy: str, signal: str, step: int) -> Value:
        rows = [row for rows in found.rows("trajectories", policy=policy, step=step) for row in rows]
        weighed = [(number(row, f"error_{signal}"), count(row, "rollouts")) for row in rows]
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
