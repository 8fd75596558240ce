"""A rollout plays what a policy would play, song by song, through the guardrails that serve."""

from dataclasses import replace

import numpy as np
import pytest

from models.decoder import Rerank
from models.guardrails import AFFECT, RUNG_RULES, GuardrailTable, Rung
from models.listening import NO_SONG, Mode, Population
from models.tokens import PRESENT_FEATURES, tokenise
from tests.training import small_run
from training.choosing import RUNGS, best_rows
from training.policies.plain import Greedy, Learned, Random
from training.rollout import Rollouts, roll_out


def rolled(guarded: bool, *, policy=None, setting=None, seed: int = 0) -> Rollouts:
    return roll_out(
        policy or Learned(small_run.reference()),
        small_run.start(),
        setting or small_run.setting(),
        guarded=guarded,
        rng=np.random.default_rng(seed),
    )


def with_limits(**changes: float):
    """Return the setting with every population's and mode's limits changed."""
    setting = small_run.setting()
    limits = {
        population: {mode: each.model_copy(update=changes) for mode, each in modes.items()}
        for population, modes in setting.table.limits.items()
    }
    return replace(setting, table=setting.table.model_copy(update={"limits": limits}))


@pytest.fixture(params=["random", "greedy", "learned"])
def policy(request: pytest.FixtureRequest):
    return {
        "random": Random(len(small_run.material().catalogue)),
        "greedy": Greedy(small_run.world(), small_run.UTILITY),
        "learned": Learned(small_run.reference()),
    }[request.param]


@pytest.mark.parametrize("guarded", [False, True])
def test_no_rollout_repeats_a_song(policy, guarded: bool):
    for songs in rolled(guarded, policy=policy).song:
        played = songs[songs != NO_SONG]

        assert len(set(played)) == len(played)


@pytest.mark.parametrize("guarded", [False, True])
def test_the_same_seed_gives_the_same_rollouts(policy, guarded: bool):
    first, again = rolled(guarded, policy=policy, seed=5), rolled(guarded, policy=policy, seed=5)

    assert np.array_equal(first.song, again.song)
    assert np.array_equal(first.predicted, again.predicted, equal_nan=True)


def test_another_seed_draws_other_random_songs():
    policy = Random(len(small_run.material().catalogue))

    assert not np.array_equal(rolled(False, policy=policy, seed=1).song, rolled(False, policy=policy, seed=2).song)


def test_guarded_rollouts_never_play_a_song_that_a_binding_rule_forbids(policy):
    rollouts = rolled(True, policy=policy)

    for place, rung in enumerate(RUNGS[:-1]):
        on_rung = rollouts.rung == place
        assert not (rollouts.forbidden[on_rung] & int(RUNG_RULES[rung])).any()


def test_silence_is_a_rung_of_its_own_and_plays_nothing():
    nothing_allowed = with_limits(valence_fall=1e-9, arousal_rise=1e-9, arousal_fall=1e-9)
    bare = replace(nothing_allowed, table=nothing_allowed.table.model_copy(update={"approved": {}}))
    rollouts = rolled(True, setting=bare)

    silent = rollouts.rung == RUNGS.index(Rung.SILENCE)
    assert silent.any()
    assert (rollouts.song[silent] == NO_SONG).all()
    assert np.isnan(rollouts.predicted[silent]).all()
    assert (np.diff(silent.astype(int), axis=1) >= 0).all()  # once silent, silent to the end


def test_the_approved_rung_plays_only_approved_songs():
    setting = with_limits(valence_fall=1e-9, arousal_rise=1e-9, arousal_fall=1e-9)
    rollouts = rolled(True, setting=setting)

    on_rung = rollouts.rung == RUNGS.index(Rung.APPROVED)
    assert on_rung.any()
    catalogue = setting.catalogue
    for rollout, step in np.argwhere(on_rung):
        song = catalogue.songs[rollouts.song[rollout, step]].song_id
        assert song in setting.table.approved[Mode(rollouts.mode[rollout]).label]


def test_limits_that_bind_nobody_leave_the_policys_own_choice():
    free = with_limits(
        valence_fall=9.0,
        arousal_rise=9.0,
        arousal_fall=9.0,
        arousal_band=9.0,
        support_distance=1e9,
        song_gap=0,
        song_gap_hours=0.0,
        artist_gap=0,
        artist_gap_hours=0.0,
    )

    assert np.array_equal(rolled(True, setting=free).song, rolled(False, setting=free).song)


def test_an_imagined_play_carries_engagement_and_nothing_else():
    """One more play, as a rollout adds it: only the engagement's presence bit is set."""
    listening = small_run.start().listening
    count = listening.listener_count
    longer = listening.with_play(
        np.full(count, int(small_run.material().catalogue.keys[0])),
        np.full(count, 0.5, np.float32),
        np.zeros(count),
    )
    columns = tokenise(longer, small_run.material().log.description.context)

    last = columns.features[columns.start[1:] - 1]
    assert (last[:, PRESENT_FEATURES] == [1, 0, 0, 0]).all()


def test_the_truth_walks_beside_the_prediction():
    """The first step is asked of the state the log left; the second of where the first song led."""
    rollouts, begun = rolled(False), small_run.start()
    truth, state = begun.truth, begun.state

    assert np.allclose(rollouts.true_step[:, 0], truth.affect_step(state, rollouts.song[:, :1])[:, 0])
    moved = replace(state, affect=truth.affect_after(state, rollouts.song[:, :1])[:, 0])
    assert np.allclose(rollouts.true_signals[:, 1], truth.expected(moved, rollouts.song[:, 1:2])[:, 0])


def test_a_predicted_step_is_the_change_of_the_estimate():
    """From the second song on, the step is the estimate less the one before.

    The estimate of the song before is made from the same history, so it repeats that song's prediction.
    """
    rollouts = rolled(False)

    change = rollouts.predicted[:, 1:, AFFECT] - rollouts.predicted[:, :-1, AFFECT]
    assert np.allclose(rollouts.step[:, 1:], change, atol=1e-5)


@pytest.mark.parametrize("decoded", [False, True])
def test_the_ranking_that_is_kept_begins_with_the_song_played_and_holds_nothing_offered_before(decoded: bool):
    setting = replace(small_run.setting(), decoder=reranking()) if decoded else small_run.setting()
    rollouts = rolled(False, setting=setting)

    assert np.array_equal(rollouts.ranked[..., 0], rollouts.song)
    for rollout, ranked in zip(rollouts.song, rollouts.ranked, strict=True):
        assert not any(np.isin(rollout[:step], ranked[step]).any() for step in range(1, len(rollout)))


def reranking(**more) -> Rerank:
    return Rerank(utility=small_run.UTILITY, depth=10, **more)


def test_a_decoder_changes_which_of_the_first_songs_is_played_and_nothing_beyond():
    setting = small_run.setting()
    plain, decoded = rolled(False), rolled(False, setting=replace(setting, decoder=reranking()))

    assert not np.array_equal(plain.song[:, 0], decoded.song[:, 0])
    assert (plain.ranked[:, 0] == decoded.song[:, :1]).any(axis=1).all()


def test_a_decoder_without_weight_leaves_every_rollout_as_it_was():
    setting = replace(small_run.setting(), decoder=reranking(weight=0.0))

    for guarded in (False, True):
        assert np.array_equal(rolled(guarded).song, rolled(guarded, setting=setting).song)


def test_guardrails_bind_whatever_the_decoder_puts_first():
    rollouts = rolled(True, setting=replace(small_run.setting(), decoder=reranking()))

    for place, rung in enumerate(RUNGS[:-1]):
        on_rung = rollouts.rung == place
        assert not (rollouts.forbidden[on_rung] & int(RUNG_RULES[rung])).any()


def test_a_decoder_that_prizes_rarity_spreads_what_is_played():
    """Songs of the steps before count; an order by rarity alone never plays fewer different songs."""
    setting = small_run.setting()
    careless, careful = (
        rolled(False, setting=replace(setting, decoder=reranking(rarity=rarity))) for rarity in (0.0, 100.0)
    )

    assert len(np.unique(careful.song)) > len(np.unique(careless.song))


def test_the_best_rows_stand_in_the_order_of_their_scores():
    assert best_rows(np.array([[0.1, 0.9, 0.5, 0.9]]), 3).tolist() == [[1, 3, 2]]


def test_the_first_limits_name_every_population_and_mode():
    table = small_run.setting().table

    assert isinstance(table, GuardrailTable)
    assert set(table.limits) == {population.label for population in Population}
    assert all(set(modes) == {mode.label for mode in Mode} for modes in table.limits.values())
    assert set(table.approved) == {mode.label for mode in Mode}
