"""A decoder deals the policy's scores out again among its first songs, and nothing else ever moves."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from models.decoder import Decoder, PolicyOrder, Rerank
from models.listening import Mode
from models.utility import PAPER_UTILITY, LinearUtility, mode_aware_utility
from tests.models.situations import situations

VALENCE = LinearUtility(weights=(0.0, 0.0, 1.0, 0.0))
MODE_AWARE = mode_aware_utility(weights=(0.1, 0.1, 0.4, 0.4), scales=(0.1, 0.1, 0.1, 0.1))


@st.composite
def reranks(draw: st.DrawFn, **fixed: float) -> Rerank:
    """Any decoder that reorders."""
    drawn = {
        "utility": draw(st.sampled_from([PAPER_UTILITY, MODE_AWARE])),
        "depth": draw(st.integers(1, 10)),
        "caution": draw(st.floats(0, 3)),
        "weight": draw(st.floats(0, 1)),
        "rarity": draw(st.floats(0, 1)),
    }
    return Rerank(**{**drawn, **fixed})


@st.composite
def proposals(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """What a decoder reads: scores, predictions, exposures and modes of some listeners; some are not finite."""
    candidates, _ = draw(situations())
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    batch = len(candidates.song)
    return (
        candidates.score,
        candidates.predicted,
        rng.integers(0, 9, candidates.song.shape),
        rng.integers(0, len(Mode), batch),
    )


def by_hand(score, affect, decoder: Rerank, shown=None) -> list[int]:
    """The order of one listener's songs under members' predictions of valence, (M, K)."""
    predicted = np.full((1, *np.shape(affect), 4), 0.5)
    predicted[0, :, :, 2] = affect
    scores = np.array([score])
    shown = np.zeros(scores.shape, np.int64) if shown is None else np.array([shown])
    return np.argsort(-decoder.deal(scores, predicted, shown, np.zeros(1, np.int64))[0], kind="stable").tolist()


@given(proposals(), reranks(weight=0.0))
def test_without_weight_it_is_the_policys_order(proposed, decoder: Rerank):
    assert decoder.deal(*proposed) is PolicyOrder().deal(*proposed)
    assert decoder.reach == PolicyOrder().reach == 1


@settings(max_examples=50)
@given(proposals(), reranks())
def test_scores_are_dealt_out_again_and_none_is_lost(proposed, decoder: Rerank):
    score = proposed[0]

    dealt = decoder.deal(*proposed)

    np.testing.assert_array_equal(np.sort(dealt, axis=1), np.sort(score, axis=1))
    assert dealt.dtype == score.dtype


@settings(max_examples=50)
@given(proposals(), reranks())
def test_the_order_does_not_depend_on_what_lies_beyond_its_depth(proposed, decoder: Rerank):
    score, predicted, shown, mode = proposed
    ranked = np.where(np.isfinite(score), score, -np.inf)
    order = np.argsort(-ranked, axis=1, kind="stable")
    inside, outside = order[:, : decoder.depth], order[:, decoder.depth :]
    other = predicted.copy()
    np.put_along_axis(other, outside[:, None, :, None], np.float32(0.25), axis=2)
    otherwise_shown = shown.copy()
    np.put_along_axis(otherwise_shown, outside, 100, axis=1)

    dealt = decoder.deal(score, predicted, shown, mode)
    again = decoder.deal(score, other, otherwise_shown, mode)

    np.testing.assert_array_equal(dealt, again)
    np.testing.assert_array_equal(np.take_along_axis(dealt, outside, 1), np.take_along_axis(score, outside, 1))
    first_alone = decoder.deal(
        np.take_along_axis(score, inside, 1),
        np.take_along_axis(predicted, inside[:, None, :, None], 2),
        np.take_along_axis(shown, inside, 1),
        mode,
    )
    np.testing.assert_array_equal(first_alone, np.take_along_axis(dealt, inside, 1))


@given(proposals(), reranks())
def test_a_score_that_is_not_finite_stays_where_it_is(proposed, decoder: Rerank):
    score = proposed[0]

    dealt = decoder.deal(*proposed)

    np.testing.assert_array_equal(np.isfinite(dealt), np.isfinite(score))


@given(proposals(), reranks(weight=1.0, rarity=0.0))
def test_a_listener_of_a_batch_is_decoded_as_if_alone(proposed, decoder: Rerank):
    dealt = decoder.deal(*proposed)

    for b in range(len(dealt)):
        np.testing.assert_array_equal(decoder.deal(*(each[b : b + 1] for each in proposed))[0], dealt[b])


def test_songs_stand_by_their_mean_utility_where_members_agree():
    assert by_hand([0.9, 0.8, 0.7], [[0.2, 0.6, 0.4]] * 2, Rerank(utility=VALENCE)) == [1, 2, 0]


def test_only_the_first_songs_are_reordered():
    assert by_hand([0.9, 0.8, 0.7], [[0.2, 0.6, 0.9]] * 2, Rerank(utility=VALENCE, depth=2)) == [1, 0, 2]


def test_disagreement_counts_against_a_song_as_often_as_caution_says():
    """Means .50, .50, .56; about their members' own means, spreads .02, .02, .04: at κ = 2, .46, .46, .48."""
    members = [[0.5, 0.5, 0.5], [0.5, 0.5, 0.62]]

    assert by_hand([0.9, 0.8, 0.7], members, Rerank(utility=VALENCE, caution=2.0)) == [2, 0, 1]
    assert by_hand([0.9, 0.8, 0.7], members, Rerank(utility=VALENCE, caution=4.0)) == [0, 1, 2]


def test_what_a_member_thinks_of_every_song_alike_is_no_doubt_about_one():
    members = np.array([[0.3, 0.5, 0.4]]) + np.array([[0.2], [0.0]])

    assert by_hand([0.9, 0.8, 0.7], members, Rerank(utility=VALENCE, caution=9.0)) == [1, 2, 0]


def test_a_doubling_of_exposure_costs_what_rarity_says():
    """Valences .4, .5, .6 stand 1.22 deviations apart; shown 0, 0 and 7 times: three doublings at .5 cost 1.5."""
    args = ([0.9, 0.8, 0.7], [[0.4, 0.5, 0.6]] * 2)

    assert by_hand(*args, Rerank(utility=VALENCE, rarity=0.5), shown=[0, 0, 7]) == [1, 2, 0]
    assert by_hand(*args, Rerank(utility=VALENCE, rarity=0.3), shown=[0, 0, 7]) == [2, 1, 0]


def test_equal_songs_keep_the_policys_order():
    assert by_hand([0.7, 0.9, 0.8], [[0.5] * 3] * 2, Rerank(utility=VALENCE)) == [1, 2, 0]


def test_a_song_without_predictions_comes_last_of_the_reordered():
    assert by_hand([0.9, 0.8, 0.7], [[np.nan, 0.1, 0.2]] * 2, Rerank(utility=VALENCE)) == [2, 1, 0]
    assert by_hand([0.9, 0.8, 0.7], [[np.nan, 0.1, 0.2]] * 2, Rerank(utility=VALENCE, depth=2)) == [1, 0, 2]


def test_each_listener_is_steered_by_their_own_mode():
    """High arousal is worth something to who wants energy, nothing to who wants sleep."""
    predicted = np.full((2, 2, 2, 4), 0.6)
    predicted[:, :, 0, 3], predicted[:, :, 1, 3] = 0.2, 0.7
    score = np.array([[0.9, 0.8]] * 2)

    dealt = Rerank(utility=MODE_AWARE).deal(
        score, predicted, np.zeros((2, 2), np.int64), np.array([Mode.ENERGIZE, Mode.SLEEP])
    )

    assert dealt.argmax(axis=1).tolist() == [1, 0]


@given(reranks())
def test_travels_as_json(decoder: Rerank):
    adapter: TypeAdapter[Decoder] = TypeAdapter(Decoder)

    assert adapter.validate_json(adapter.dump_json(decoder)) == decoder
    assert adapter.validate_json('{"kind": "policy"}') == PolicyOrder()


@pytest.mark.parametrize(
    "wrong", [{"weight": 1.5}, {"caution": -1.0}, {"depth": 0}, {"rarity": float("nan")}, {"temperature": 1.0}]
)
def test_what_makes_no_sense_is_refused(wrong: dict):
    with pytest.raises(ValidationError):
        Rerank(utility=PAPER_UTILITY, **wrong)
