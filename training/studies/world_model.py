"""How well a world model predicts strangers on the simulated platform, beside its references and its ceiling.

    python -m training.studies.world_model LOG --preset quick --splits 4

Each row is a mean over Monte Carlo splits by listener, the same for every row: R² of engagement, AUC of the
rating, R² of valence and arousal; and how often two uniform songs stand in the order of their true effect on
valence and on arousal.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from jaxtyping import Float, Int
from numpy import ndarray
from rich.console import Console
from rich.table import Table

from models.log import read_log
from models.tokens import feature_names, tokenise
from training.metrics.prediction import pairwise_accuracy, prediction_scores
from training.networks.linear_part import AFFECT
from training.networks.reading import fit_reading
from training.networks.world import WorldModel
from training.platform.ceilings import measure_ceilings
from training.platform.truth import Truth, recover_truth
from training.prediction import predict_histories
from training.presets import PAPER, QUICK
from training.references import linear_regression, listener_mean, persistence
from training.splits import Split, monte_carlo_splits
from training.windows import Histories, Windows
from training.world_model import WorldPreset, train_ensemble

_CANDIDATES = 100
"""Uniform songs whose order is asked of each test listener."""
Row = tuple[str, list[float]]


def rows(
    histories: Histories,
    split: Split,
    truth: Truth,
    *,
    names: tuple[str, ...],
    preset: WorldPreset,
    seed: int,
    processes: int,
) -> Iterator[Row]:
    """Yield every row of the table on one split; listeners are rows of the log, all of whom consented."""
    lookback, tokens = preset.training.lookback, histories.tokens_of(split.test)

    def scored(predicted: Float[ndarray, "T 4"]) -> list[float]:
        return list(prediction_scores(predicted[tokens], histories.targets[tokens]).headline.values())

    yield "persistence", scored(persistence(histories, split.train))
    yield "listener mean", scored(listener_mean(histories, split.train))
    linear = linear_regression(histories, split.train, feature_names=names, lookback=lookback)
    yield "linear part alone", scored(linear)
    trained = train_ensemble(histories, split, feature_names=names, preset=preset, seed=seed, processes=processes)
    members = [each.model for each in trained]
    predicted = predict_histories(members, histories, split.test, lookback=lookback)
    yield "one world model", scored(predicted[0])
    order = song_order(members, histories, split.test, truth, lookback=lookback, rng=np.random.default_rng(seed))
    yield f"{len(members)} world models", [*scored(predicted.mean(axis=0)), *order]
    ceilings = measure_ceilings(truth.simulation, np.random.default_rng(seed), listener=split.test)
    yield "best from the history", [*ceilings.observed.values(), *ceilings.song_order.values()]


def song_order(
    members: list[WorldModel],
    histories: Histories,
    listeners: Int[ndarray, " b"],
    truth: Truth,
    *,
    lookback: int,
    rng: np.random.Generator,
) -> tuple[float, float]:
    """Return the pairwise accuracy of ordering uniform songs by effect on valence and on arousal."""
    stop = histories.columns.start[listeners + 1]
    length = np.minimum(histories.token_counts[listeners], lookback)
    batch = histories.batch(Windows(first=stop - length, length=length))
    songs = rng.integers(len(histories.song_vectors), size=(len(listeners), _CANDIDATES))
    candidates = torch.from_numpy(histories.song_vectors[songs])
    with torch.inference_mode():
        states = [each.states(batch.song, batch.features) for each in members]
        last = [each[torch.arange(len(listeners)), batch.length, None] for each in states]  # (b, 1, D+4)
        asked = [each.predict(state, candidates).sigmoid() for each, state in zip(members, last, strict=True)]
    predicted = torch.stack(asked).mean(dim=0).numpy()[..., AFFECT]  # (b, N, 2)
    true = truth.song_effect(listeners, songs)
    return pairwise_accuracy(predicted[..., 0], true[..., 0]), pairwise_accuracy(predicted[..., 1], true[..., 1])


def study(
    log: Annotated[Path, typer.Argument(help="A simulated log's folder.")],
    preset: Annotated[str, typer.Option(help="quick or paper")] = "quick",
    splits: Annotated[int, typer.Option(min=1)] = 4,
    train_listeners: Annotated[int | None, typer.Option(help="Train on so few; test on all the others.")] = None,
    processes: Annotated[int, typer.Option(min=1)] = 2,
) -> None:
    """Print the table."""
    loaded = read_log(log)
    truth, context = recover_truth(loaded), loaded.description.context
    chosen = {"quick": QUICK, "paper": PAPER}[preset].world
    embeddings = np.asarray(next(iter(loaded.embeddings.values())))
    histories = Histories.of(
        tokenise(loaded.listening(), context),
        song_keys=loaded.song_keys(),
        song_vectors=fit_reading(embeddings, chosen.reading)(embeddings),
    )
    collected: dict[str, list[list[float]]] = {}
    for number, split in enumerate(monte_carlo_splits(np.arange(len(loaded.listeners)), seed=0, count=splits)):
        if train_listeners is not None:
            kept, rest = np.split(np.random.default_rng(number).permutation(split.train), [train_listeners])
            split = Split(train=kept, validation=split.validation, test=np.concatenate([rest, split.test]))
        made = rows(
            histories,
            split,
            truth,
            names=feature_names(context),
            preset=chosen,
            seed=number,
            processes=processes,
        )
        for name, values in made:
            collected.setdefault(name, []).append(values)
    table = Table("", "engagement R²", "rating AUC", "valence R²", "arousal R²", "order v", "order a")
    for name, runs in collected.items():
        mean, spread = np.mean(runs, axis=0), np.std(runs, axis=0)
        table.add_row(name, *(f"{m:.3f} ({s:.3f})" for m, s in zip(mean, spread, strict=True)))
    Console(width=120).print(table)


if __name__ == "__main__":
    typer.run(study)
