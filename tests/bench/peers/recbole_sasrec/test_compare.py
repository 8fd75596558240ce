"""The comparison counts what each trainer supervises, and asks both for the same recipe."""

import os
from pathlib import Path

import numpy as np
import pytest

from tests.bench.peers.recbole_sasrec.compare import (
    Recipe,
    Trainer,
    Turn,
    as_markdown,
    our_turn,
    ours,
    positions_here,
    supervised_here,
    supervised_there,
    table_of,
    theirs,
    write_plays,
)
from tests.training import small_run
from training.copycat import CloningEpoch

SMALL = Recipe(width=8, blocks=1, heads=2, length=16)
RECBOLE = os.environ.get("AMRS_TEST_RECBOLE_PYTHON")


def test_here_every_play_is_supervised_there_all_but_each_listeners_first():
    material = small_run.material()
    listeners = material.split.train
    plays = np.diff(material.listening.play_start[material.listening.session_start])[listeners]

    assert supervised_here(material.histories, listeners) == plays.sum()
    assert supervised_there(material.histories, listeners) == (plays - 1).sum()


def test_positions_hold_each_token_once_and_a_begin_for_each_window():
    material = small_run.material()
    listeners = material.split.train

    whole, real = positions_here(
        material.histories, listeners, lookback=10_000, batch_size=1, rng=np.random.default_rng(0)
    )

    tokens = len(material.histories.tokens_of(listeners))
    assert whole == real  # alone in its batch, no window is padded
    assert tokens + len(listeners) <= real <= tokens + 2 * len(listeners)


def test_the_plays_are_written_in_order_and_the_songs_whole(tmp_path: Path):
    material = small_run.material()
    listener = material.split.train[:1]

    write_plays(material.histories, listener, tmp_path / "plays")

    head, *rows = (tmp_path / "plays" / "plays.inter").read_text().splitlines()
    songs = (tmp_path / "plays" / "plays.item").read_text().splitlines()
    assert head == "user_id:token\titem_id:token\ttimestamp:float"
    assert len(rows) == supervised_here(material.histories, listener)
    assert [int(row.split("\t")[2]) for row in rows] == list(range(len(rows)))
    assert len(songs) == 1 + len(material.catalogue)


def test_a_turn_is_the_last_epoch_and_not_what_came_before():
    def train(advance):
        sum(range(3_000_000))
        advance(CloningEpoch(train_nats=0.0, validation_nats=0.0))
        advance(CloningEpoch(train_nats=0.0, validation_nats=0.0))

    turn = our_turn(train, supervised=7, positions=(10, 8))

    assert turn.supervised == 7
    assert (turn.positions, turn.real_positions) == (10, 8)
    assert turn.seconds >= 0


def test_both_trainers_of_this_house_take_their_turn():
    for trainer in ours(small_run.material(), SMALL, batch_size=8):
        turn = trainer.turn()

        assert turn.seconds > 0
        assert turn.supervised == trainer.supervised_per_epoch
        assert turn.supervised < turn.real_positions <= turn.positions


def test_a_rate_is_the_median_turn_and_an_epoch_follows_from_it():
    turns = {
        0: [Turn(seconds=s, supervised=100, positions=120, real_positions=90) for s in (1.0, 2.0, 50.0)],
        1: [Turn(seconds=1.0, supervised=10, positions=100, real_positions=50)],
    }
    trainers = [
        Trainer(name=name, batch="", supervised_per_epoch=1_000, turn=lambda: turns[0][0])
        for name in ("SASRec here", "SASRec, RecBole")
    ]

    head, rows = table_of(trainers, turns)

    assert rows[0][2:] == ["1,000", "50", "5.0×", "20.0", "60", "25%"]
    assert rows[1][2:] == ["1,000", "10", "1.0×", "100.0", "100", "50%"]
    assert as_markdown(head, rows).count("\n") == 3


def test_recbole_is_asked_for_the_recipe_that_is_used_here(tmp_path: Path):
    recipe = Recipe()

    there, here = recipe.theirs(batch_size=64, checkpoints=tmp_path), recipe.ours(batch_size=64, epochs=2)

    assert there["hidden_size"] == here.encoder.width
    assert there["n_layers"] == here.encoder.blocks
    assert there["n_heads"] == here.encoder.heads
    assert there["attn_dropout_prob"] == there["hidden_dropout_prob"] == here.encoder.dropout
    assert there["learning_rate"] == here.learning_rate
    assert there["weight_decay"] == here.weight_decay
    assert there["clip_grad_norm"] == {"max_norm": here.max_grad_norm}
    assert there["train_batch_size"] == here.batch_size


@pytest.mark.skipif(RECBOLE is None, reason="AMRS_TEST_RECBOLE_PYTHON names no interpreter that has RecBole")
def test_recbole_supervises_one_position_of_each_sequence(tmp_path: Path):
    material = small_run.material()
    write_plays(material.histories, material.split.train, tmp_path / "plays")

    with theirs(Path(str(RECBOLE)), tmp_path / "plays", SMALL, batch_size=16, sequences=64) as trainer:
        turn = trainer.turn()

    assert trainer.supervised_per_epoch == supervised_there(material.histories, material.split.train)
    assert turn.supervised == 64
    assert turn.positions == 64 * SMALL.length
    assert turn.real_positions <= turn.positions
