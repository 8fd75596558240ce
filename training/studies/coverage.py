"""Coverage: how often intervals hold what strangers say, of logged songs and at every step of a policy's rollouts.

One cell is one split: world models and policies are trained on it, intervals are calibrated on its validation
listeners, and then held against fresh listeners of the same songs (`training.studies.strangers`): against their
logs, where every listener counts once, and against feedback that they truly give to what policies play to them.

Legend: R rollouts · T steps · C calibrated signals
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
from jaxtyping import Bool, Float, Int
from matplotlib.figure import Figure as Canvas
from numpy import ndarray

from models.affect import SIGNALS
from models.calibration import Calibration
from models.decoder import Decoder
from models.listening import NO_SONG, Mode, Population
from models.log import read_log
from models.log_schema import LogDescription
from training.calibration import (
    CALIBRATED,
    HORIZON,
    LEVEL,
    calibrate_world,
    coverage_by_listener,
    share_by_listener,
)
from training.decoding import pessimistic_rerank
from training.imagining import imagine_logged
from training.judging import prediction_spread, serving_utility
from training.learning import PolicyWindows, train_world
from training.limits import mean_reports
from training.material import Material, prepare
from training.platform.truth import TrueState
from training.policies.plain import Learned, Random
from training.policies.policy import Policy
from training.prediction import predict_histories
from training.presets import Preset
from training.rollout import Rollouts, Start, roll_out
from training.stages import no_limits, setting_with
from training.statistics import spread
from training.studies.cells import Cell, Figure, Records, Results, ResultTable, Row, Value
from training.studies.contenders import MODE_DPO, RECIPES, train_contenders
from training.studies.scales import Scale
from training.studies.strangers import Strangers
from training.tasks import Advance
from training.trained import WorldOver
from training.world_model import ensemble_bootstraps

NAMES: Final = tuple(SIGNALS[signal] for signal in CALIBRATED)
EVERYBODY: Final = "all"
RANDOM: Final = "Random"
DECODED: Final = f"{MODE_DPO}, re-ranked"
SHOWN_STEPS: Final = (1, 2, 5, 10, 15, 20)
"""The steps whose coverage stands in a table of its own column."""

_SPLIT_SEED: Final = 0
_STRANGERS_SEED: Final = 50_000
"""Added to a split's number, gives the seed of its strangers: no log has one like it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """One cell per split."""

    name: str = "coverage"
    title: str = "Coverage of 90% intervals on fresh listeners, and at every step of rollouts"
    revision: int = 2
    stranger_count: int = 2_000
    """Fresh listeners whose logs are held against step 1."""
    imagined_count: int = 150
    """Of them, those whose logged songs are rolled forward."""
    rollout_count: int = 800
    """Of them, those to whom policies play."""

    def cells(self, scale: Scale) -> list[Cell]:
        """Return one cell per split."""
        return [Cell(study=self.name, settings=(("split", split),)) for split in range(scale.splits)]

    def refuses(self, description: LogDescription) -> str | None:
        """Return why a log of real listeners cannot serve."""
        return None if description.simulated else "fresh listeners are simulated, and so must be the log's"

    def run(self, cell: Cell, log: Path, scale: Scale, advance: Advance) -> Records:
        """Return the widths of one split, and what they hold."""
        split, preset = cell.number("split"), scale.preset
        material = prepare(
            read_log(log),
            space=None,
            reading=preset.world.reading,
            held_out=(),
            rng=np.random.default_rng([_SPLIT_SEED, split, 0]),
        )
        world = train_world(material, preset, seed=split, advance=advance)
        bootstraps = ensemble_bootstraps(material.split, seed=split, member_count=preset.world.member_count)
        calibration = calibrate_world(
            material.histories, world, material.split, bootstraps, lookback=preset.lookback
        )
        strangers = Strangers.of(material, count=self.stranger_count, seed=_STRANGERS_SEED + split)
        unseen = imagine_logged(
            strangers.histories,
            world,
            np.arange(min(self.imagined_count, self.stranger_count)),
            lookback=preset.lookback,
            step_count=HORIZON,
            advance=advance,
        )
        return {
            "widths": list(_width_rows(calibration)),
            "fresh": list(_fresh_rows(strangers, world, calibration, preset)),
            "logged": [
                {"signal": name, "step": step, "covered": share}
                for name, shares in coverage_by_listener(unseen, calibration).items()
                for step, share in enumerate(shares, 1)
            ],
            "rollouts": list(self._rollout_rows(material, world, calibration, strangers, preset, split, advance)),
        }

    def _rollout_rows(
        self,
        material: Material,
        world: WorldOver,
        calibration: Calibration,
        strangers: Strangers,
        preset: Preset,
        split: int,
        advance: Advance,
    ) -> Iterator[Row]:
        """Yield what the intervals hold of true feedback, step by step under each policy."""
        windows = PolicyWindows.of(material, preset, seed=split)
        recipes = {MODE_DPO: RECIPES[MODE_DPO]}
        made = train_contenders(material, world, windows, preset, seed=split, advance=advance, recipes=recipes)
        policies: dict[str, Policy] = {name: Learned(network) for name, network in made.networks.items()}
        policies[RANDOM] = Random(len(material.catalogue))
        _, start = strangers.start(self.rollout_count, preset.windows, np.random.default_rng([split, 1]))
        free = no_limits(mean_reports(material.listening.select(material.split.train)))
        setting = replace(setting_with(material, world, preset, free), song_count=HORIZON)
        settings = dict.fromkeys(policies, setting)
        if MODE_DPO in policies:
            policies[DECODED] = policies[MODE_DPO]
            settings[DECODED] = replace(setting, decoder=_decoder(material, world, preset, split))
        for name, policy in policies.items():
            rng = np.random.default_rng([split, 2])
            rollouts = roll_out(policy, start, settings[name], guarded=False, rng=rng, advance=advance)
            feedback = true_feedback(rollouts.song, start, np.random.default_rng([split, 3]))
            yield from _step_rows(name, rollouts, feedback, calibration)

    def tables(self, results: Results) -> list[ResultTable]:
        """Return coverage on strangers' logs, by step of rollouts, and by group."""
        return [_fresh_table(results), _step_table(results), _group_table(results)] if results else []

    def figures(self, results: Results) -> list[Figure]:
        """Return coverage and widths by step."""
        if not results:
            return []
        return [
            Figure(
                name="coverage-by-step",
                title="What 90% intervals hold at each step of a rollout",
                caption="Means over splits; the band is five points about the stated level.",
                draw=partial(_draw_steps, results=results),
            )
        ]


def true_feedback(song: Int[ndarray, "R T"], start: Start, rng: np.random.Generator) -> Float[ndarray, "R T 4"]:
    """Return feedback that listeners truly give to the songs of rollouts, drawn; NaN from where one fell silent.

    The songs do not depend on it: rollouts imagine feedback and hear none.
    """
    assert start.truth is not None
    assert start.state is not None
    drawn = np.full((*song.shape, len(SIGNALS)), np.nan)
    state, active = start.state, np.arange(len(song))
    for step in range(song.shape[1]):
        going_on = song[active, step] != NO_SONG
        active = active[going_on]
        state = TrueState(listener=state.listener[going_on], affect=state.affect[going_on])
        state, drawn[active, step] = start.truth.step(state, song[active, step], rng)
    return drawn


def _decoder(material: Material, world: WorldOver, preset: Preset, split: int) -> Decoder:
    """Return the decoder of bundles, by the mode-aware utility, in units of the spreads on training listeners."""
    rng = np.random.default_rng([split, 4])
    train = material.split.train
    length = np.minimum(material.histories.token_counts[train], preset.lookback)
    tokens = material.histories.columns.windows(material.histories.columns.start[train + 1] - length, length)
    states = world.look(tokens, material.catalogue.rows(tokens.song)).now
    return pessimistic_rerank(serving_utility(prediction_spread(world, states, rng)))


def _width_rows(calibration: Calibration) -> Iterator[Row]:
    for name, widths in calibration.widths.items():
        for step, width in enumerate(widths, 1):
            yield {
                "signal": name,
                "step": step,
                "width": width,
                "labels": calibration.label_counts[name][step - 1],
                "listeners": calibration.listener_counts[name][step - 1],
            }


def _fresh_rows(strangers: Strangers, world: WorldOver, calibration: Calibration, preset: Preset) -> Iterator[Row]:
    """Yield what intervals of step 1 hold of strangers' labels: of all, by population, and by mode."""
    histories, listening = strangers.histories, strangers.listening
    everybody = np.arange(listening.listener_count)
    predicted = predict_histories(world.ensemble.members, histories, everybody, lookback=preset.lookback).mean(
        axis=0
    )
    is_play = histories.song_row != NO_SONG
    owner = np.repeat(everybody, histories.token_counts)[is_play]
    errors = np.abs(predicted - histories.targets)[is_play]  # (P, 4), NaN where unlabelled
    for group, chosen in groups(listening.population[owner], listening.play_mode):
        for signal in CALIBRATED:
            known = chosen & ~np.isnan(errors[:, signal])
            held = errors[known, signal] <= calibration.widths[SIGNALS[signal]][0]
            yield {
                "group": group,
                "signal": SIGNALS[signal],
                "covered": share_by_listener(held, owner[known]),
                "covered_labels": float(held.mean()) if len(held) else None,
                "labels": int(known.sum()),
                "listeners": len(np.unique(owner[known])),
            }


def groups(population: Int[ndarray, " n"], mode: Int[ndarray, " n"]) -> Iterator[tuple[str, Bool[ndarray, " n"]]]:
    """Yield everybody, then each population and each mode that occurs, and who is in it."""
    yield EVERYBODY, np.ones(len(mode), bool)
    for kind, values in ((Population, population), (Mode, mode)):
        for each in kind:
            chosen = values == each
            if chosen.any():
                yield f"{kind.__name__.lower()} {each.label}", chosen


def _step_rows(
    policy: str, rollouts: Rollouts, feedback: Float[ndarray, "R T 4"], calibration: Calibration
) -> Iterator[Row]:
    error = np.abs(rollouts.predicted - feedback)
    for group, chosen in groups(rollouts.population, rollouts.mode):
        for signal in CALIBRATED:
            for step, width in enumerate(calibration.widths[SIGNALS[signal]], 1):
                here = error[chosen, step - 1, signal]
                here = here[~np.isnan(here)]
                yield {
                    "policy": policy,
                    "group": group,
                    "signal": SIGNALS[signal],
                    "step": step,
                    "covered": float((here <= width).mean()) if len(here) else None,
                    "songs": len(here),
                }


Shares = Mapping[tuple[str, ...], Sequence[float]]
"""What is covered, over splits, by what the rows have in common."""


def _gathered(results: Results, kind: str, *keys: str) -> dict[tuple[str, ...], list[float]]:
    """Return the coverage of all splits by the given fields of the rows."""
    found: dict[tuple[str, ...], list[float]] = {}
    for _, records in results:
        for row in records[kind]:
            if isinstance(row["covered"], float):
                found.setdefault(tuple(str(row[key]) for key in keys), []).append(row["covered"])
    return found


def _shown(shares: Sequence[float]) -> str | None:
    """Return `mean (SD)` over splits."""
    over = spread(shares)
    return None if over is None else over.shown(3)


def _fresh_table(results: Results) -> ResultTable:
    found = _gathered(results, "fresh", "group", "signal")
    present = list(dict.fromkeys(group for group, _ in found))
    rows = [(group, *(_shown(found.get((group, name), [])) for name in NAMES)) for group in present]
    logged = _gathered(results, "logged", "signal", "step")
    rows += [
        (f"all, step {step}", *(_shown(logged.get((name, str(step)), [])) for name in NAMES))
        for step in SHOWN_STEPS[1:]
    ]
    return ResultTable(
        name="fresh-listeners",
        title="Share of fresh listeners' labels that 90% intervals hold",
        header=("labels of", *NAMES),
        rows=tuple(rows),
        note=(
            "Mean (SD) over splits; every listener counts once. Steps beyond 1: logged songs rolled forward with "
            "imagined feedback."
        ),
    )


def _step_table(results: Results) -> ResultTable:
    found = _gathered(results, "rollouts", "policy", "group", "signal", "step")
    policies = list(dict.fromkeys(policy for policy, *_ in found))
    rows: list[tuple[Value, ...]] = []
    for policy in policies:
        for name in NAMES:
            means = {step: _mean(found, policy, EVERYBODY, name, step) for step in range(1, HORIZON + 1)}
            worst = max(means, key=lambda step: abs((means[step] or LEVEL) - LEVEL))
            rows.append((policy, name, *(means[step] for step in SHOWN_STEPS), _at(means[worst], worst)))
    return ResultTable(
        name="rollouts",
        title="Share of true feedback that intervals hold, by step of each policy's rollouts",
        header=("policy", "signal", *(f"step {step}" for step in SHOWN_STEPS), "farthest from .90"),
        rows=tuple(rows),
        note="Means over splits; feedback is drawn from what is true of fresh listeners at every song.",
    )


def _group_table(results: Results) -> ResultTable:
    found = _gathered(results, "rollouts", "policy", "group", "signal", "step")
    policies = list(dict.fromkeys(policy for policy, *_ in found))
    present = [group for group in dict.fromkeys(group for _, group, *_ in found) if group != EVERYBODY]
    rows: list[tuple[Value, ...]] = []
    for policy in policies:
        for name in NAMES:
            cells: list[Value] = []
            for group in present:
                means = {step: _mean(found, policy, group, name, step) for step in range(1, HORIZON + 1)}
                worst = max(means, key=lambda step: abs((means[step] or LEVEL) - LEVEL))
                cells.append(_at(means[worst], worst))
            rows.append((policy, name, *cells))
    return ResultTable(
        name="groups",
        title="The same by population and mode: the step farthest from .90",
        header=("policy", "signal", *present),
        rows=tuple(rows),
        note="Share held, and the step. The fewer listeners a group has, the farther chance alone leads.",
    )


def _mean(found: Shares, policy: str, group: str, name: str, step: int) -> float | None:
    shares = found.get((policy, group, name, str(step)), [])
    return float(np.mean(shares)) if shares else None


def _at(share: float | None, step: int) -> str | None:
    return None if share is None else f"{share:.3f} at {step}"


def _draw_steps(canvas: Canvas, results: Results) -> None:
    """Draw coverage by step: one panel a signal, one line a policy."""
    from training.studies.report.plots import look_of

    found = _gathered(results, "rollouts", "policy", "group", "signal", "step")
    policies = list(dict.fromkeys(policy for policy, *_ in found))
    looks, steps = look_of(policies), np.arange(1, HORIZON + 1)
    axes = canvas.subplots(1, len(NAMES), sharey=True)
    for axis, name in zip(axes, NAMES, strict=True):
        axis.axhspan(LEVEL - 0.05, LEVEL + 0.05, color="#e6eaee")
        axis.axhline(LEVEL, color="#59636e", linewidth=1)
        for policy in policies:
            means = [_mean(found, policy, EVERYBODY, name, int(step)) or np.nan for step in steps]
            axis.plot(steps, means, color=looks[policy].colour, linestyle=looks[policy].dash, label=policy)
        axis.set(title=name, xlabel="songs imagined, this one included")
    axes[0].set_ylabel("share of true feedback held")
    handles, labels = axes[0].get_legend_handles_labels()
    canvas.legend(handles, labels, loc="outside lower center", ncols=len(policies))
