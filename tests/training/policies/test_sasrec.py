"""SASRec reads which songs came before, and nothing else."""

from dataclasses import replace
from functools import cache

import numpy as np
import torch

from tests.training import small_run
from tests.training.policies.moments import moment_of, start_moment
from training.policies.sasrec import SasRec, train_sasrec


@cache
def trained() -> SasRec:
    made = small_run.material()
    return train_sasrec(
        made.histories,
        made.split,
        lookback=small_run.PRESET.lookback,
        config=replace(small_run.PRESET.copycat, epochs=3),
        rng=np.random.default_rng(0),
    )


def test_a_later_song_never_changes_an_earlier_state():
    network = trained().network
    with torch.inference_mode():
        one, other = network(torch.tensor([[3, -1, 5, 7]])), network(torch.tensor([[3, -1, 9, 2]]))

    assert torch.allclose(one[:, :3], other[:, :3], atol=1e-6)
    assert not torch.allclose(one[:, 3:], other[:, 3:], atol=1e-3)


def test_training_foretells_its_own_listeners_better_with_every_look():
    nats = [epoch.train_nats for epoch in trained().epochs]

    assert nats[-1] < nats[0]
    assert min(epoch.validation_nats for epoch in trained().epochs) < np.log(len(small_run.material().catalogue))


def test_every_song_has_a_score_whatever_was_said_of_the_songs_before():
    moment = start_moment()
    hushed = replace(moment, tokens=replace(moment.tokens, features=np.zeros_like(moment.tokens.features)))

    scores = trained().scores(moment)
    assert scores.shape == (len(moment.mode), len(small_run.material().catalogue))
    assert np.array_equal(scores, trained().scores(hushed))


def test_padding_changes_no_score():
    moment = start_moment()
    shortest = int(moment.tokens.length.argmin())
    alone = moment_of(moment.listening.select(np.array([shortest])))

    assert np.allclose(trained().scores(alone)[0], trained().scores(moment)[shortest], atol=1e-4)


def test_the_same_seed_gives_the_same_network():
    made = small_run.material()
    again = train_sasrec(
        made.histories,
        made.split,
        lookback=small_run.PRESET.lookback,
        config=replace(small_run.PRESET.copycat, epochs=3),
        rng=np.random.default_rng(0),
    )

    assert again.epochs == trained().epochs
