"""A sequence is worth where it leaves the listener; the best of Copycat's is preferred to the worst."""

import hypothesis.strategies as st
import numpy as np
import pytest
import torch
from hypothesis import given

from models.errors import ConfigError
from models.utility import LinearUtility
from tests.training import small_run
from training.dpo import DpoConfig, optimise_preferences
from training.judging import EnsembleJudge, situation_states
from training.pairs import Offer, OwnSongs, Standards
from training.situations import Situations, draw_windows, situations_in
from training.trajectories import SequencePairs, along, predicted_after

SONGS, SITUATIONS, MEMBERS = 40, 6, 3


def sigmoid(logit: float) -> float:
    return 1 / (1 + float(np.exp(-logit)))


def offered(rng: np.random.Generator, songs: int = SONGS) -> Offer:
    cosine = np.full((SITUATIONS, songs), -1.0)
    cosine[:, :24] = 1.0
    return Offer(
        cosine=cosine,
        logged=np.zeros(SITUATIONS, int),
        feedback=np.full((SITUATIONS, 4), np.nan),
        targets=np.eye(songs),
        own=lambda: OwnSongs.of(np.zeros((SITUATIONS, 1), int), songs),
    )


def by_sum(situation: np.ndarray, sequences: np.ndarray) -> np.ndarray:
    """Of every member: the sum of a sequence's rows, a tenth of a unit each."""
    return np.repeat(sequences.sum(axis=-1)[:, None] / 10.0, MEMBERS, axis=1)


def test_effects_add_up_in_logits_and_fade_as_worked_by_hand():
    """Average at logit 0; effects of valence 1 and 2: .95 · 1 + 2 = 2.95. Engagement: the mean of .2 and .6."""
    two = np.array([[0.2, 0.5, sigmoid(1.0), 0.5], [0.6, 0.5, sigmoid(2.0), 0.5]])
    told = along(two[None, None, None], np.full((1, 1, 4), 0.5))

    np.testing.assert_allclose(told[0, 0, 0], [0.4, 0.5, sigmoid(2.95), 0.5])


@given(st.integers(0, 2**31))
def test_one_song_is_a_sequence_that_is_worth_what_the_song_is(seed: int):
    predicted = np.random.default_rng(seed).uniform(0.01, 0.99, (2, 3, 5, 1, 4))

    np.testing.assert_allclose(along(predicted, np.full((2, 3, 4), 0.3)), predicted[:, :, :, 0])


@given(st.integers(1, 6))
def test_average_songs_leave_affect_where_the_average_song_does(length: int):
    average = np.array([[[0.7, 0.8, 0.4, 0.6]]])
    same = np.broadcast_to(average[:, :, None, None], (1, 1, 1, length, 4))

    np.testing.assert_allclose(along(same, average)[0, 0, 0], average[0, 0])


def test_the_better_sequence_is_preferred_by_the_margin(rng: np.random.Generator):
    recipe = SequencePairs(candidate_count=5, length=3, temperature=0.05, standards=Standards(caution=0.0))
    pairs = recipe.pairs(offered(rng), by_sum, rng)

    assert pairs.preferred.shape == pairs.rejected.shape == (len(pairs), 3)
    assert len(pairs) > 0
    np.testing.assert_allclose((pairs.preferred.sum(axis=1) - pairs.rejected.sum(axis=1)) / 10, pairs.margin)
    for preferred, rejected in zip(pairs.preferred, pairs.rejected, strict=True):
        assert len({*preferred, *rejected}) == 6
        assert max(*preferred, *rejected) < 24  # the others have e^−40 of the weight


def test_a_small_catalogue_gives_fewer_and_shorter_sequences(rng: np.random.Generator):
    pairs = SequencePairs(candidate_count=12, length=4).pairs(offered(rng, 5), by_sum, rng)

    assert pairs.preferred.shape[1] == 2


def test_a_single_sequence_is_refused():
    with pytest.raises(ConfigError, match="two sequences"):
        SequencePairs(candidate_count=1)


def situations() -> Situations:
    made = small_run.material()
    windows = draw_windows(made.listening, made.split.train, small_run.PRESET.windows, np.random.default_rng(0))
    suited = np.ones(len(made.histories.song_row), bool)
    rng = np.random.default_rng(1)
    return situations_in(
        windows.in_columns(made.histories), made.histories, made.listening, suited, per_window=2, rng=rng
    )


def test_the_ensemble_is_asked_for_every_song_of_every_sequence():
    world, found = small_run.world(), situations()
    state = situation_states(world, small_run.material().histories, found)[:2]
    sequences = np.arange(12).reshape(2, 3, 2)
    told = predicted_after(world, state, sequences)

    alone = world.predicted(state, sequences[:, :, 1])
    engagement = (world.predicted(state, sequences[:, :, 0]) + alone)[..., 0] / 2
    assert told.shape == (2, world.member_count, 3, 4)
    np.testing.assert_allclose(told[..., 0], engagement, rtol=1e-5)


def test_the_policy_comes_to_want_the_songs_of_preferred_sequences():
    """Judged by the first coordinate of its songs, a sequence leads the policy along that coordinate."""
    reference, found = small_run.reference(), situations()
    histories = small_run.material().histories

    def along_the_first(situation: np.ndarray, sequences: np.ndarray) -> np.ndarray:
        worth = reference.targets[sequences, 0].sum(axis=-1)
        return np.repeat(worth[:, None], MEMBERS, axis=1)

    tuned = optimise_preferences(
        reference,
        histories,
        found,
        found,
        judge=along_the_first,
        recipe=SequencePairs(candidate_count=6, length=3),
        config=DpoConfig(steps=12, learning_rate=1e-3, kl_budget_nats=1.0),
        rng=np.random.default_rng(2),
    )

    batch = histories.batch(found.windows)
    with torch.inference_mode():
        before, after = (
            network(batch.song, batch.features)[..., 0].mean() for network in (reference.network, tuned.network)
        )
    assert after > before + 0.02


def test_a_judge_of_songs_judges_sequences_by_the_same_utility():
    world, found = small_run.world(), situations()
    state = situation_states(world, small_run.material().histories, found)
    utility = LinearUtility(weights=(0.1, 0.1, 0.4, 0.4))
    judge = EnsembleJudge(world=world, state=state, mode=found.mode, utility=utility)
    songs = np.arange(8).reshape(2, 4)

    np.testing.assert_allclose(
        judge(np.array([0, 1]), songs[:, :, None]), judge(np.array([0, 1]), songs), rtol=1e-4
    )
