"""Three judges side by side: the model a policy was tuned on, world models of other listeners, and the truth.

One cell is one seed: training listeners are halved, one half tunes every policy, the other trains the judge, and
both hear the same songs played to the same test listeners. Real logs have two judges, simulated ones three.

halves → world models of each → contenders of one → rollouts → replays under the other → opinions
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
from matplotlib.figure import Figure as Canvas

from models.affect import SIGNALS
from models.log import read_log
from models.utility import PAPER_UTILITY
from training.judges.disjoint import Opinions, halve, replay, side_by_side, train_judge
from training.learning import PolicyWindows, train_world
from training.limits import mean_reports
from training.material import prepare
from training.policies.plain import Greedy, Random
from training.situations import draw_windows
from training.stages import no_limits, setting_with, start_of
from training.statistics import Interval
from training.studies.cells import Cell, Figure, Records, Results, ResultTable, Row, Value
from training.studies.contenders import COPYCAT, train_contenders
from training.studies.intervals import interval_fields, interval_in, mean_of_same
from training.studies.policy_runs import GREEDY, RANDOM, Rival, play_all, read_by_cells, rivals_of
from training.studies.report import plots
from training.studies.scales import Scale
from training.tasks import Advance

_SHARED: Final = 0
"""Seed of what no cell may differ in: the split, its halves, the windows; and of the bootstrap."""
_JUDGE: Final = 100
"""Added to a cell's seed, gives that of the judge."""
_NOTE: Final = (
    "Gains over Copycat in percent of Copycat's mean, by each judge; 95% intervals resample the test listeners "
    "and are the mean of the seeds', which share them. Policies were tuned on one half of the training listeners; "
    "other listeners: world models of the other half, hearing the same songs. A dash: nobody knows."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Judges:
    """One cell per seed."""

    name: str = "judges"
    title: str = "Three judges of the same songs"
    revision: int = 1

    def cells(self, scale: Scale) -> list[Cell]:
        """Return one cell per seed."""
        return [Cell(study=self.name, settings=(("seed", seed),)) for seed in range(scale.seeds)]

    def reads(self, scale: Scale) -> object:
        """Return what fixes a cell's numbers besides log and seed."""
        return read_by_cells(scale)

    def run(self, cell: Cell, log: Path, scale: Scale, advance: Advance) -> Records:
        """Return every judge's opinion of every policy.

        Raises:
            LogError: the log breaks its schema.
            DataError: it has too few listeners to halve.
        """
        seed, preset = cell.number("seed"), scale.preset
        rng = [np.random.default_rng([_SHARED, stage]) for stage in range(3)]
        material = prepare(read_log(log), space=None, reading=preset.world.reading, held_out=(), rng=rng[0])
        halves = halve(material.split, rng[1])
        tuned = replace(material, split=halves.tuning)
        world = train_world(tuned, preset, seed=seed, advance=advance)
        judge = train_judge(material, halves.judging, preset.world, seed=seed + _JUDGE, advance=advance)
        windows = PolicyWindows.of(tuned, preset, seed=_SHARED)
        made = train_contenders(tuned, world, windows, preset, seed=seed, advance=advance)
        rivals = rivals_of(made)
        rivals |= {RANDOM: Rival(Random(len(material.catalogue))), GREEDY: Rival(Greedy(world, PAPER_UTILITY))}
        test = draw_windows(material.listening, material.split.test, preset.windows, rng[2])
        start = start_of(material, test)
        free = no_limits(mean_reports(material.listening.select(halves.tuning.train)))
        setting = setting_with(tuned, world, preset, free)
        rollouts = play_all(rivals, start, setting, seed, advance)
        heard = {name: replay(each, start, setting, judge) for name, each in rollouts.items()}
        opinions = side_by_side(rollouts, heard, test.listener, reference=COPYCAT, seed=_SHARED)
        return {
            "about": [
                {
                    "listeners of each half": len(halves.judging.train),
                    "test listeners": len(np.unique(test.listener)),
                }
            ],
            "absent": [{"policy": name, "reason": reason} for name, reason in made.absent.items()],
            "opinions": [_row(each) for each in opinions],
        }

    def tables(self, results: Results) -> list[ResultTable]:
        """Return every gain as each judge has it."""
        rows: list[tuple[Value, ...]] = []
        for policy in _policies(results):
            for signal in SIGNALS:
                own, disjoint, true = (
                    _mean(results, policy, signal, judge) for judge in ("own", "disjoint", "true")
                )
                rows.append(
                    (
                        policy,
                        signal,
                        *(_shown(each) for each in (own, disjoint, true)),
                        _less(own, disjoint),
                        _less(own, true),
                    )
                )
        return [
            ResultTable(
                name="judges",
                title="The same songs, three judges: gain over Copycat in percent",
                header=("policy", "signal", "own model", "other listeners", "truth", "own − other", "own − truth"),
                rows=tuple(rows),
                note=_NOTE,
            )
        ]

    def figures(self, results: Results) -> list[Figure]:
        """Return own model's and other listeners' opinion of valence and arousal, policy by policy."""
        lines = [
            plots.Difference(
                label=label, interval=_mean(results, policy, signal, judge), group=f"{policy}, {signal}"
            )
            for policy in _policies(results)
            for signal in ("valence", "arousal")
            for judge, label in (("own", "own model"), ("disjoint", "other listeners"), ("true", "truth"))
        ]
        return [
            Figure(
                name="judges",
                title="The same songs, three judges",
                caption="Gain over Copycat by the model each policy was tuned on, by others, and in truth.",
                draw=partial(_draw, lines=lines),
                height=1 + 0.3 * len(lines),
            )
        ]


def _row(opinions: Opinions) -> Row:
    return {
        "policy": opinions.policy,
        "signal": opinions.signal,
        **interval_fields("own", opinions.own),
        **interval_fields("disjoint", opinions.disjoint),
        **interval_fields("true", opinions.true),
    }


def _policies(results: Results) -> list[str]:
    return list(dict.fromkeys(str(row["policy"]) for _, records in results for row in records["opinions"]))


def _mean(results: Results, policy: str, signal: str, judge: str) -> Interval | None:
    """Return the mean of a judge's opinions over seeds."""
    found = [
        interval_in(row, judge)
        for _, records in results
        for row in records["opinions"]
        if (row["policy"], row["signal"]) == (policy, signal)
    ]
    return mean_of_same([each for each in found if each is not None])


def _shown(gain: Interval | None) -> str | None:
    return None if gain is None else gain.shown(1, times=100)


def _less(one: Interval | None, other: Interval | None) -> str | None:
    return None if one is None or other is None else f"{100 * (one.mean - other.mean):+.1f}"


def _draw(canvas: Canvas, *, lines: Sequence[plots.Difference]) -> None:
    plots.forest(canvas, lines, measure="gain over Copycat, as a share")
