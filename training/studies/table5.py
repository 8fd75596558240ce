"""Table 5: how near each policy stays to what the production policy played to the same listeners.

A diagnostic, not a target: whoever only imitates cannot improve. Copycat stands above every policy that was led
away from it, and those above chance.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from training.studies.cells import Figure, Results, ResultTable, Value
from training.studies.contenders import COPYCAT, MODE_DPO, OUR_DPO, PAPER_DPO
from training.studies.policy_records import TIME_STEP, USER_WISE
from training.studies.policy_results import PolicyResults
from training.studies.policy_runs import GREEDY, RANDOM, PolicyStudy

_MEASURES: Final = {
    "accuracy": "accuracy",
    "hit_rate": "Hit@10",
    "reciprocal_rank": "MRR",
    "ndcg": "NDCG@10",
    "ndcg_of_hits": "NDCG@10, ideal of the hits",
}
_SPLITS: Final = ("train", "validation", "test")
_SHOWN: Final = (COPYCAT, PAPER_DPO, OUR_DPO, MODE_DPO, RANDOM, GREEDY)
_PAPER: Final[Mapping[tuple[int, str, str], tuple[str, str, str, str]]] = {
    (2, "train", "hit_rate"): ("0.937", "0.674", "0.039", "0.163"),
    (2, "train", "reciprocal_rank"): ("0.732", "0.393", "0.018", "0.052"),
    (2, "train", "ndcg"): ("0.359", "0.179", "0.015", "0.062"),
    (2, "validation", "hit_rate"): ("0.266", "0.206", "0.037", "0.100"),
    (2, "validation", "reciprocal_rank"): ("0.114", "0.092", "0.013", "0.029"),
    (2, "validation", "ndcg"): ("0.123", "0.101", "0.017", "0.043"),
    (2, "test", "hit_rate"): ("0.279", "0.186", "0.036", "0.084"),
    (2, "test", "reciprocal_rank"): ("0.121", "0.083", "0.012", "0.038"),
    (2, "test", "ndcg"): ("0.130", "0.089", "0.016", "0.048"),
    (3, "test", "accuracy"): ("0.005", "0.003", "0.000", "0.000"),
    (3, "test", "hit_rate"): ("0.033", "0.016", "0.002", "0.002"),
    (3, "test", "reciprocal_rank"): ("0.012", "0.006", "0.000", "0.001"),
    (3, "test", "ndcg"): ("0.015", "0.007", "0.001", "0.001"),
}
"""Copycat, DPO, Random and Greedy, by level, split and measure."""
_PAPER_POLICIES: Final = ("Copycat", "DPO", "Random", "Greedy")


@dataclass(frozen=True, slots=True, kw_only=True)
class Table5(PolicyStudy):
    """One cell per seed, shared with Table 4."""

    name: str = "table5"
    title: str = "Adherence: how near policies stay to the production policy"

    def tables(self, results: Results) -> Sequence[ResultTable]:
        """Return the paper's table, and the same of the references."""
        found = PolicyResults.of(results)
        return [_as_the_paper(found), _references(found)]

    def figures(self, results: Results) -> Sequence[Figure]:
        """Return none: the table is all there is to see."""
        del results
        return []


def _as_the_paper(found: PolicyResults) -> ResultTable:
    """Return adherence at both levels on all three splits, the paper's numbers on the right."""
    shown = [policy for policy in _SHOWN if policy in found.policies]
    rows = [
        (
            str(level),
            split,
            _MEASURES[measure],
            *_ours(found, shown, level, split, measure),
            *_PAPER.get((level, split, measure), (None,) * len(_PAPER_POLICIES)),
        )
        for level, split, measure in _lines()
    ]
    return ResultTable(
        name="table5",
        title="Table 5: policy adherence",
        header=("level", "split", "measure", *shown, *(f"{policy} (paper)" for policy in _PAPER_POLICIES)),
        rows=tuple(rows),
        note=(
            "Mean (SD) over seeds. Each step of each rollout ranks the catalogue, songs already offered left "
            "out, and its first ten count. Level 2: a song is relevant if it stands anywhere in the listener's "
            "log. Level 3: if it is the song logged at that very step after the window. "
            f"{_beyond_the_log(found)} Training: one window a listener; validation and test: five. MRR is that "
            "of the first ten places, as in the paper's Random row. NDCG@10 has full ideal gains, as the "
            "paper's training rows seem to; its rows on validation and test (Random's .016 at a Hit@10 of "
            ".036) fit the ideal of the hits that were found: hence the last line of each split."
        ),
    )


def _references(found: PolicyResults) -> ResultTable:
    """Return adherence on test listeners of every policy."""
    measured = [(level, measure) for level, split, measure in _lines() if split == "test"]
    return ResultTable(
        name="table5-all",
        title="Adherence on test listeners, every policy",
        header=("policy", *(f"level {level} {_MEASURES[measure]}" for level, measure in measured)),
        rows=tuple(
            (policy, *(_ours(found, [policy], level, "test", measure)[0] for level, measure in measured))
            for policy in found.policies
        ),
        note="As above; re-ranked policies and oracles in the order in which they play.",
    )


def _lines() -> Iterator[tuple[int, str, str]]:
    """Yield every line of the table: level, split, measure."""
    for level in (USER_WISE, TIME_STEP):
        for split in _SPLITS:
            for measure in _MEASURES:
                if measure == ("accuracy" if level == USER_WISE else "ndcg_of_hits"):
                    continue  # the paper has no accuracy at level 2; at level 3 a ranking has one relevant song
                yield level, split, measure


def _ours(found: PolicyResults, policies: Sequence[str], level: int, split: str, measure: str) -> list[Value]:
    spreads = [found.spread("adherence", measure, policy=policy, split=split, level=level) for policy in policies]
    return [None if each is None else each.shown() for each in spreads]


def _beyond_the_log(found: PolicyResults) -> str:
    """Say for how many steps the log goes on after the window."""
    told = []
    for split in _SPLITS:
        all_steps, logged = (
            found.spread("adherence", "rankings", policy=COPYCAT, split=split, level=level)
            for level in (USER_WISE, TIME_STEP)
        )
        if all_steps is not None and logged is not None:
            told.append(f"{logged.mean:.0f} of {all_steps.mean:.0f} ({split})")
    return f"Steps beyond the log's end are left out of level 3; counted are {', '.join(told)}."
