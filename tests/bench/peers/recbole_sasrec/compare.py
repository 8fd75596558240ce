"""How fast SASRec trains here and in RecBole: `python -m tests.bench.peers.recbole_sasrec.compare LOG --python P`.

The same plays of the same listeners, the same songs, width, blocks, heads, lengths, dropout and optimiser, one
thread each, in turns. RecBole runs in an environment of its own (README.md), as a process that waits while
another is measured; what is measured is processor time, so a busy machine slows nobody's clock.

Legend: T tokens of all listeners
"""

import argparse
import json
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from models.listening import NO_SONG
from models.log import read_log
from tests.bench.peers.markdown import as_markdown
from training.copycat import CloningEpoch, CopycatConfig, clone_behaviour
from training.material import Material, prepare
from training.networks.encoder import EncoderConfig
from training.networks.reading import ReadingConfig
from training.policies.sasrec import train_sasrec
from training.splits import Split
from training.windows import Histories, batches, cut

HERE = Path(__file__).parent


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """What all trainers have in common."""

    width: int = 64
    blocks: int = 2
    heads: int = 4
    length: int = 64
    """Of a window and of a sequence, at most."""
    dropout: float = 0.2
    learning_rate: float = 1e-3
    weight_decay: float = 0.05
    max_grad_norm: float = 1.0
    seed: int = 0

    def ours(self, *, batch_size: int, epochs: int) -> CopycatConfig:
        """Return the recipe as SASRec and Copycat read it here."""
        return CopycatConfig(
            encoder=EncoderConfig(width=self.width, blocks=self.blocks, heads=self.heads, dropout=self.dropout),
            epochs=epochs,
            patience=epochs,
            batch_size=batch_size,
            learning_rate=self.learning_rate,
            weight_decay=self.weight_decay,
            max_grad_norm=self.max_grad_norm,
        )

    def theirs(self, *, batch_size: int, checkpoints: Path) -> dict[str, Any]:
        """Return the recipe as RecBole reads it: cross-entropy over all songs, nothing left out for evaluation."""
        return {
            "USER_ID_FIELD": "user_id",
            "ITEM_ID_FIELD": "item_id",
            "TIME_FIELD": "timestamp",
            "load_col": {"inter": ["user_id", "item_id", "timestamp"], "item": ["item_id"]},
            "MAX_ITEM_LIST_LENGTH": self.length,
            "n_layers": self.blocks,
            "n_heads": self.heads,
            "hidden_size": self.width,
            "inner_size": 4 * self.width,
            "hidden_dropout_prob": self.dropout,
            "attn_dropout_prob": self.dropout,
            "hidden_act": "gelu",
            "loss_type": "CE",
            "train_neg_sample_args": None,
            "eval_args": {"split": {"RS": [1.0, 0.0, 0.0]}, "order": "TO", "group_by": "none", "mode": "full"},
            "learner": "adamw",
            "learning_rate": self.learning_rate,
            "weight_decay": self.weight_decay,
            "clip_grad_norm": {"max_norm": self.max_grad_norm},
            "train_batch_size": batch_size,
            "use_gpu": False,
            "show_progress": False,
            "save_dataset": False,
            "seed": self.seed,
            "reproducibility": True,
            "checkpoint_dir": str(checkpoints),
        }


@dataclass(frozen=True, kw_only=True)
class Turn:
    """What one trainer did in one turn."""

    seconds: float
    """Of the processor."""
    supervised: int
    """Positions at which a song is foretold and the loss is taken."""
    positions: int
    """That pass through the network, padding included."""
    real_positions: int


@dataclass(frozen=True, kw_only=True)
class Trainer:
    """One of those compared."""

    name: str
    batch: str
    supervised_per_epoch: int
    turn: Callable[[], Turn]


def write_plays(histories: Histories, listeners: np.ndarray, folder: Path) -> None:
    """Write the listeners' plays, and every song of the catalogue, as RecBole's atomic files."""
    folder.mkdir(parents=True)
    rows = ["user_id:token\titem_id:token\ttimestamp:float"]
    for listener in listeners:
        song = histories.song_row[histories.columns.start[listener] : histories.columns.start[listener + 1]]
        rows += [f"u{listener}\ts{row}\t{place}" for place, row in enumerate(song[song != NO_SONG])]
    (folder / f"{folder.name}.inter").write_text("\n".join(rows) + "\n")
    songs = [f"s{row}" for row in range(len(histories.song_vectors))]
    (folder / f"{folder.name}.item").write_text("\n".join(["item_id:token", *songs]) + "\n")


def supervised_here(histories: Histories, listeners: np.ndarray) -> int:
    """Return at how many positions an epoch here foretells a song: every play."""
    return int((histories.song_row[histories.tokens_of(listeners)] != NO_SONG).sum())


def supervised_there(histories: Histories, listeners: np.ndarray) -> int:
    """Return the same of RecBole: one position of each sequence, and each play but a listener's first ends one."""
    plays = [
        int((histories.song_row[histories.tokens_of(np.array([each]))] != NO_SONG).sum()) for each in listeners
    ]
    return sum(max(count - 1, 0) for count in plays)


def positions_here(
    histories: Histories, listeners: np.ndarray, *, lookback: int, batch_size: int, rng: np.random.Generator
) -> tuple[int, int]:
    """Return how many positions an epoch's batches have, with padding and without; the begin of each counts."""
    windows = cut(histories, listeners, lookback=lookback, rng=rng)
    shapes = [
        (len(each) * (1 + int(each.length.max())), int(each.length.sum()) + len(each))
        for each in batches(windows, batch_size=batch_size, rng=rng)
    ]
    whole, real = (sum(column) for column in zip(*shapes, strict=True))
    return whole, real


def our_turn(
    train: Callable[[Callable[[CloningEpoch], None]], object], *, supervised: int, positions: tuple[int, int]
) -> Turn:
    """Return one epoch's cost, from the end of the epoch before: what is fitted at first is nobody's epoch."""
    told: list[float] = []
    train(lambda _: told.append(time.process_time()))
    return Turn(
        seconds=told[-1] - told[-2], supervised=supervised, positions=positions[0], real_positions=positions[1]
    )


def ours(material: Material, recipe: Recipe, *, batch_size: int) -> list[Trainer]:
    """Return the two trainers of this house; nobody validates while the clock runs."""
    histories, split = material.histories, material.split
    alone = Split(train=split.train, validation=split.validation[:0], test=split.test)
    config = recipe.ours(batch_size=batch_size, epochs=2)
    supervised = supervised_here(histories, split.train)
    positions = positions_here(
        histories, split.train, lookback=recipe.length, batch_size=batch_size, rng=np.random.default_rng(0)
    )

    def sasrec(advance: Callable[[CloningEpoch], None]) -> object:
        rng = np.random.default_rng(recipe.seed)
        return train_sasrec(histories, alone, lookback=recipe.length, config=config, rng=rng, advance=advance)

    def copycat(advance: Callable[[CloningEpoch], None]) -> object:
        return clone_behaviour(
            histories,
            material.embeddings,
            alone,
            feature_names=material.feature_names,
            lookback=recipe.length,
            config=config,
            rng=np.random.default_rng(recipe.seed),
            advance=advance,
        )

    return [
        Trainer(
            name=name,
            batch=f"{batch_size} windows",
            supervised_per_epoch=supervised,
            turn=lambda train=train: our_turn(train, supervised=supervised, positions=positions),
        )
        for name, train in (("SASRec here", sasrec), ("Copycat here", copycat))
    ]


@contextmanager
def theirs(python: Path, plays: Path, recipe: Recipe, *, batch_size: int, sequences: int) -> Iterator[Trainer]:
    """Give RecBole's trainer, loaded and warm, in a process of its own that ends with the block."""
    with tempfile.TemporaryDirectory() as scratch:
        settings = Path(scratch, "config.json")
        settings.write_text(json.dumps(recipe.theirs(batch_size=batch_size, checkpoints=Path(scratch, "saved"))))
        command = [python, HERE / "runner.py", plays.parent, settings]
        with (
            Path(scratch, "talk.txt").open("w+") as talk,
            subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=talk, text=True, cwd=scratch
            ) as process,
        ):

            def answer() -> dict[str, Any]:
                line = process.stdout.readline()
                if not line:
                    process.wait()
                    talk.seek(0)
                    raise RuntimeError(f"RecBole stopped with status {process.returncode}: {talk.read()[-2000:]}")
                return json.loads(line)

            def turn(batch_count: int) -> Turn:
                process.stdin.write(f"{batch_count}\n")
                process.stdin.flush()
                said = answer()
                return Turn(**{name: said[name] for name in Turn.__dataclass_fields__})

            try:
                read = answer()
                turn(1)
                yield Trainer(
                    name="SASRec, RecBole",
                    batch=f"{batch_size} sequences",
                    supervised_per_epoch=read["sequences"],
                    turn=lambda: turn(max(1, sequences // batch_size)),
                )
            finally:
                process.stdin.close()


def table_of(trainers: list[Trainer], turns: Mapping[int, list[Turn]]) -> tuple[list[str], list[list[str]]]:
    """Return one row a trainer: medians over its turns."""
    head = [
        "trainer",
        "batch",
        "supervised an epoch",
        "supervised/CPU s",
        "to RecBole's best",
        "CPU s an epoch",
        "positions/CPU s",
        "padded",
    ]
    rates = [median(turn.supervised / turn.seconds for turn in turns[k]) for k in range(len(trainers))]
    best = max((rate for each, rate in zip(trainers, rates, strict=True) if "RecBole" in each.name), default=None)
    rows = []
    for k, (trainer, rate) in enumerate(zip(trainers, rates, strict=True)):
        real = sum(turn.real_positions for turn in turns[k])
        rows.append(
            [
                trainer.name,
                trainer.batch,
                f"{trainer.supervised_per_epoch:,}",
                f"{rate:,.0f}",
                "" if best is None else f"{rate / best:.1f}×",
                f"{trainer.supervised_per_epoch / rate:,.1f}",
                f"{median(turn.positions / turn.seconds for turn in turns[k]):,.0f}",
                f"{1 - real / sum(turn.positions for turn in turns[k]):.0%}",
            ]
        )
    return head, rows


def main() -> None:
    """Measure in turns, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("log", type=Path)
    parser.add_argument("--python", type=Path, required=True, help="of the environment that has RecBole")
    parser.add_argument("--rounds", type=int, default=5, help="medians are taken over them")
    parser.add_argument("--windows", type=int, nargs="+", default=[32], help="per batch here")
    parser.add_argument("--sequences", type=int, nargs="+", default=[32, 256, 2048], help="per batch of RecBole")
    parser.add_argument("--turn", type=int, default=2048, help="sequences that RecBole trains on in one turn")
    parser.add_argument("--markdown", action="store_true", help="print the table for a page")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    recipe = Recipe()
    material = prepare(
        read_log(arguments.log), space=None, reading=ReadingConfig(), held_out=(), rng=np.random.default_rng(0)
    )
    console = Console()
    with tempfile.TemporaryDirectory() as scratch, ExitStack() as open_ones:
        plays = Path(scratch, "plays")
        write_plays(material.histories, material.split.train, plays)
        trainers = [each for size in arguments.windows for each in ours(material, recipe, batch_size=size)]
        trainers += [
            open_ones.enter_context(
                theirs(arguments.python, plays, recipe, batch_size=size, sequences=arguments.turn)
            )
            for size in arguments.sequences
        ]
        turns: dict[int, list[Turn]] = {k: [] for k in range(len(trainers))}
        for _ in range(arguments.rounds):
            for k, trainer in enumerate(trainers):
                turns[k].append(trainer.turn())
    head, rows = table_of(trainers, turns)
    if arguments.markdown:
        print(as_markdown(head, rows))
        return
    table = Table(*head)
    for row in rows:
        table.add_row(*row)
    console.print(table)


if __name__ == "__main__":
    main()
