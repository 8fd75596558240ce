"""What policies would be worth to real listeners, from songs that were drawn for them with a known chance.

Every listener is judged by models that were trained without them: listeners are dealt into folds, and one cell
trains on all folds but one, with one seed. Several seeds are one policy that draws its seed. The policies compared
draw songs new to the listener by the softmax of their scores; Greedy plays the first and shows what happens to an
estimate then.

fold → world models and contenders without it → chances at its draws → estimates over all folds
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from models.affect import SIGNALS, Signal
from models.log import Log, read_log
from models.log_schema import LogDescription
from models.tokens import tokenise
from models.utility import PAPER_UTILITY
from training.judges.off_policy import (
    LEAST_EFFECTIVE,
    Choices,
    Drawn,
    Worth,
    certain,
    choices_of,
    difference_of_worth,
    drawn_plays,
    softmax_over,
    worth_of,
)
from training.learning import PolicyWindows, train_world
from training.material import Material, prepare
from training.policies.plain import Greedy, Learned
from training.policies.policy import Moment
from training.situations import StartWindows, listening_in
from training.standing import current_modes
from training.statistics import Interval
from training.studies.cells import Cell, Figure, Records, Results, ResultTable, Row, Value
from training.studies.contenders import train_contenders
from training.studies.policy_runs import GREEDY, RANDOM, read_by_cells
from training.studies.scales import Scale
from training.tasks import Advance
from training.trained import WorldOver

FOLDS: Final = 5
_SHARED: Final = 0
"""Seed of the folds, the splits and the bootstrap: no cell may differ in them."""
_NOTE: Final = (
    "Expected signals of one song new to the listener, on [0, 1], with 95% intervals that resample listeners. "
    "direct: the world models' word. weighted: the outcomes' word, by self-normalised weights. doubly robust: "
    "both. over Random: the doubly robust estimate less Random's, paired by draw; with few listeners, all these "
    f"intervals are too narrow. No estimate below {LEAST_EFFECTIVE:g} effective draws. Policies draw by the "
    "softmax of their scores at Copycat's temperature; Greedy plays the first song."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class OffPolicy:
    """One cell per fold and seed."""

    name: str = "off_policy"
    title: str = "What policies would be worth, from logged random draws"
    revision: int = 1

    def cells(self, scale: Scale) -> list[Cell]:
        """Return every fold with every seed."""
        return [
            Cell(study=self.name, settings=(("fold", fold), ("seed", seed)))
            for seed in range(scale.seeds)
            for fold in range(FOLDS)
        ]

    def refuses(self, description: LogDescription) -> str | None:
        """Return why a simulated log cannot serve."""
        reason = "a simulated platform's production writes down no propensity: there is no estimate"
        return reason if description.simulated else None

    def reads(self, scale: Scale) -> object:
        """Return what fixes a cell's numbers besides log, fold and seed."""
        return read_by_cells(scale)

    def run(self, cell: Cell, log: Path, scale: Scale, advance: Advance) -> Records:
        """Return what each policy would have done at the draws of the fold's listeners.

        Raises:
            LogError: the log breaks its schema.
            DataError: no propensity is known, or there are too few listeners.
        """
        seed, preset, read = cell.number("seed"), scale.preset, read_log(log)
        drawn = drawn_plays(read)
        fold = folds_of(read, drawn)[cell.number("fold")]
        ids = read.listening_ids()
        material = prepare(
            read,
            space=None,
            reading=preset.world.reading,
            held_out={ids[number] for number in fold},
            rng=np.random.default_rng([_SHARED, cell.number("fold")]),
        )
        world = train_world(material, preset, seed=seed, advance=advance)
        windows = PolicyWindows.of(material, preset, seed=_SHARED)
        made = train_contenders(material, world, windows, preset, seed=seed, advance=advance)
        own = drawn.take(np.flatnonzero(np.isin(drawn.listener, fold)))
        moment = moment_of(material, world, own, lookback=preset.lookback)
        predicted = world.mean_predicted(moment.states.now)  # (D, N, 4)
        chances = {RANDOM: own.eligible / own.eligible.sum(axis=1, keepdims=True)}
        for name, network in made.networks.items():
            scores = Learned(network).scores(moment)
            chances[name] = softmax_over(scores, own.eligible, temperature=preset.copycat.temperature)
        chances[GREEDY] = certain(Greedy(world, PAPER_UTILITY).scores(moment), own.eligible)
        return {
            "about": [_about(drawn)],
            "absent": [{"policy": name, "reason": reason} for name, reason in made.absent.items()],
            "draws": [
                {"play": int(play), "listener": int(who), **_signals(outcome)}
                for play, who, outcome in zip(own.play, own.listener, outcomes_at(material, own), strict=True)
            ],
            "choices": [
                row
                for name, chance in chances.items()
                for row in _choice_rows(name, own, choices_of(chance, own, predicted))
            ],
        }

    def tables(self, results: Results) -> list[ResultTable]:
        """Return the estimates, and how the draws look."""
        return [_estimates(results), _draws(results)]

    def figures(self, results: Results) -> list[Figure]:
        """Return none: the intervals say it."""
        del results
        return []


def folds_of(log: Log, drawn: Drawn) -> list[Int[ndarray, " n"]]:
    """Return the listeners of each fold, those with draws dealt out evenly."""
    everybody = np.arange(len(log.listening_ids()))
    shuffled = np.random.default_rng(_SHARED).permutation(everybody)
    has_draws = np.isin(shuffled, drawn.listener)
    dealt = np.concatenate([shuffled[has_draws], shuffled[~has_draws]])
    return [np.sort(dealt[fold::FOLDS]) for fold in range(FOLDS)]


def moment_of(material: Material, world: WorldOver, drawn: Drawn, *, lookback: int) -> Moment:
    """Return what a policy may look at just before each drawn song."""
    listening = material.listening
    first_play = listening.play_start[listening.session_start]
    before = drawn.play - first_play[drawn.listener]
    boundaries = listening.session_of_play[drawn.play] - listening.session_start[drawn.listener] + 1
    windows = StartWindows(
        listener=drawn.listener, first=np.zeros_like(before), stop=before + boundaries, left_out_count=0
    )
    heard = listening_in(listening, windows)
    tokens = tokenise(heard, material.log.description.context).latest(lookback)
    rows = material.catalogue.rows(tokens.song)
    return Moment(
        listening=heard,
        tokens=tokens,
        rows=rows,
        states=world.look(tokens, rows),
        mode=current_modes(heard),
        rng=np.random.default_rng(_SHARED),
    )


def outcomes_at(material: Material, drawn: Drawn) -> Float[ndarray, "D 4"]:
    """Return what was said of each drawn song, in `Signal` order; NaN where nothing was."""
    listening = material.listening
    token = (
        np.arange(len(listening.song)) + listening.session_of_play + 1
    )  # each session's boundary stands before its plays
    return material.histories.targets[token[drawn.play]].astype(np.float64)


def _choice_rows(name: str, drawn: Drawn, choices: Choices) -> list[Row]:
    return [
        {
            "policy": name,
            "play": int(play),
            "weight": float(weight),
            **_signals(direct, "direct_"),
            **_signals(predicted, "predicted_"),
        }
        for play, weight, direct, predicted in zip(
            drawn.play, choices.weight, choices.direct, choices.predicted, strict=True
        )
    ]


def _signals(values: Float[ndarray, " 4"], prefix: str = "") -> dict[str, float | None]:
    return {
        f"{prefix}{name}": float(value) if np.isfinite(value) else None
        for name, value in zip(SIGNALS, values, strict=True)
    }


def _about(drawn: Drawn) -> Row:
    """Return how the draws look beside uniform ones: how often a song is drawn twice, for anybody or for one."""
    counts = np.bincount(drawn.song)
    chance = drawn.eligible / drawn.eligible.sum(axis=1, keepdims=True)  # (D, N)
    together = chance.sum(axis=0)
    expected = (float((together**2).sum()) - float((chance**2).sum())) / 2
    return {
        "draws": len(drawn.play),
        "listeners": len(np.unique(drawn.listener)),
        "songs": int((counts > 0).sum()),
        "least propensity": float(drawn.propensity.min()),
        "largest propensity": float(drawn.propensity.max()),
        "pairs of the same song": int((counts * (counts - 1) // 2).sum()),
        "pairs expected of uniform draws": expected,
        "repeats expected had heard songs been eligible": float((~drawn.eligible).mean(axis=1).sum()),
    }


def pooled(results: Results, policy: str) -> tuple[Choices, Float[ndarray, "D 4"], Int[ndarray, " D"]]:
    """Return a policy's choices, outcomes and listeners over all folds; several seeds are one policy.

    The policy that draws its seed has the mean of the seeds' chances, and so of their weights and direct worths;
    the prediction of a drawn song is the seeds' mean, each counting with its weight.
    """
    draws = {int(row["play"]): row for _, records in results for row in records["draws"]}  # type: ignore[arg-type]
    plays = sorted(draws)
    by_play: dict[int, list[Row]] = {play: [] for play in plays}
    for _, records in results:
        for row in records["choices"]:
            if row["policy"] == policy:
                by_play[int(row["play"])].append(row)  # type: ignore[arg-type]
    plays = [play for play in plays if by_play[play]]
    weight = [np.array([row["weight"] for row in by_play[play]], np.float64) for play in plays]
    choices = Choices(
        weight=np.array([each.mean() for each in weight]),
        direct=np.array([_columns(by_play[play], "direct_").mean(axis=0) for play in plays]).reshape(-1, 4),
        predicted=np.array(
            [
                np.average(_columns(by_play[play], "predicted_"), axis=0, weights=each + 1e-12)
                for play, each in zip(plays, weight, strict=True)
            ]
        ).reshape(-1, 4),
    )
    outcome = np.concatenate([_columns([draws[play]], "") for play in plays] or [np.zeros((0, 4))])
    return choices, outcome, np.array([draws[play]["listener"] for play in plays], np.int64)


def _columns(rows: Sequence[Row], prefix: str) -> Float[ndarray, "n 4"]:
    """Return the four signals of records; NaN where one is absent."""
    return np.array([[row[f"{prefix}{name}"] for name in SIGNALS] for row in rows], np.float64)


def _estimates(results: Results) -> ResultTable:
    names = list(dict.fromkeys(str(row["policy"]) for _, records in results for row in records["choices"]))
    uniform, *_ = pooled(results, RANDOM)
    rows: list[tuple[Value, ...]] = []
    for name in names:
        choices, outcome, listener = pooled(results, name)
        for signal in Signal:
            worth = worth_of(choices, signal, outcome[:, signal], listener, seed=_SHARED)
            over = None
            if not worth.reason and name != RANDOM and len(choices.weight) == len(uniform.weight):
                over = difference_of_worth(choices, uniform, signal, outcome[:, signal], listener, seed=_SHARED)
            shown = None if over is None else over.shown()
            rows.append((name, SIGNALS[signal], *_told(worth), shown, worth.reason or None))
    return ResultTable(
        name="off-policy",
        title="What policies would be worth to these listeners",
        header=(
            "policy",
            "signal",
            "draws",
            "effective",
            "heaviest",
            "direct",
            "weighted",
            "doubly robust",
            "over Random",
            "no estimate, because",
        ),
        rows=tuple(rows),
        note=_NOTE,
    )


def _told(worth: Worth) -> tuple[Value, ...]:
    return (
        worth.draw_count,
        f"{worth.effective:.1f}",
        f"{100 * worth.heaviest:.0f}%",
        *(_level(each) for each in (worth.direct, worth.weighted, worth.doubly_robust)),
    )


def _level(interval: Interval | None) -> str | None:
    return None if interval is None else f"{interval.mean:.3f} [{interval.low:.3f}, {interval.high:.3f}]"


def _draws(results: Results) -> ResultTable:
    about = results[0][1]["about"][0]
    return ResultTable(
        name="draws",
        title="The draws whose chance is known",
        header=("of the draws", "value"),
        rows=tuple(
            (name, f"{value:.4g}" if isinstance(value, float) else str(value)) for name, value in about.items()
        ),
        note=(
            "Were they not uniform over the songs new to the listener, more pairs would be of the same song. None "
            "is a song that its listener had heard before; were those eligible, some would be."
        ),
    )
