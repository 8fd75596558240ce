"""`amrs logs simulate`: run the platform, write its log, say how it compares and what could be predicted."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, Task, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from models.affect import SIGNALS
from models.log import Log, refuse_occupied, write_log
from training.platform.as_log import simulated_log
from training.platform.ceilings import Ceilings, measure_ceilings
from training.platform.parameters import PAPER, PlatformParameters, PlatformSize
from training.platform.perturbations import Perturbation, perturbed
from training.platform.simulate import Advance, simulate
from training.platform.table_one import Statistic, count_statistics, spread_statistics


def simulate_log(
    *,
    size: PlatformSize,
    seed: int,
    out: Path,
    console: Console,
    perturbations: Sequence[Perturbation] = (),
) -> Log:
    """Run the platform, write its log to a new folder and print the report; return the log.

    The ceilings are those of a predictor that knows the perturbed parameters.

    Raises:
        DataError: the folder exists and is not empty.
    """
    refuse_occupied(out)
    with _progress(console) as progress:
        playing = progress.add_task("listening", total=size.play_count)
        parameters = perturbed(PlatformParameters(), perturbations)
        simulation = simulate(parameters, size, seed, _advance(progress, playing))
        log = simulated_log(simulation, perturbations)
        write_log(log, out)
        filtering = progress.add_task("ceilings", total=size.play_count)
        rng = np.random.default_rng([seed, 1])
        ceilings = measure_ceilings(simulation, rng, advance=_advance(progress, filtering))
    console.print(_statistics_table(log, with_paper=size == PAPER))
    console.print(_ceilings_table(ceilings))
    cost = 100 * (ceilings.observed["valence"] - ceilings.observed_without_song["valence"])
    console.print(f"Hiding the candidate song costs valence {cost:.1f} points of R² (paper's Table 3: 0 to 6).")
    console.print(f"Simulated log written to {out}")
    return log


class _RateColumn(TextColumn):
    """Plays per second."""

    def __init__(self) -> None:
        super().__init__("")

    def render(self, task: Task) -> Text:
        return Text(f"{task.speed or 0:,.0f} plays/s")


def _progress(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description:>10}"),
        BarColumn(),
        MofNCompleteColumn(),
        _RateColumn(),
        TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,
    )


def _advance(progress: Progress, task: TaskID) -> Advance:
    return lambda play_count: progress.advance(task, play_count)


def _statistics_table(log: Log, *, with_paper: bool) -> Table:
    """Return Table 1 and the label SDs; the paper's counts stand only beside a platform of its size."""
    table = Table("statistic", "simulated", "paper", "difference", title="What was logged")
    for statistic in count_statistics(log):
        table.add_row(*_row(statistic, "{:,.0f}", with_paper=with_paper))
    for statistic in spread_statistics(log):
        table.add_row(*_row(statistic, "{:.3f}", with_paper=True))
    return table


def _row(statistic: Statistic, form: str, *, with_paper: bool) -> list[str]:
    paper = [form.format(statistic.paper), f"{statistic.deviation:+.1%}"] if with_paper else ["", ""]
    return [statistic.name, form.format(statistic.value), *paper]


def _ceilings_table(ceilings: Ceilings) -> Table:
    table = Table("predictor", *SIGNALS, title="What could be predicted (R²; ROC AUC of the rating)")
    for name, scores in (
        ("knows the latent state", ceilings.latent),
        ("observed history", ceilings.observed),
        ("observed history, song hidden", ceilings.observed_without_song),
    ):
        table.add_row(name, *(f"{scores[signal]:.3f}" for signal in SIGNALS))
    order = ceilings.song_order
    table.add_row("observed history, pairs in order", "", "", f"{order['valence']:.3f}", f"{order['arousal']:.3f}")
    return table
