"""A preference pair puts the song the ensemble would rather see before one it would not, by a margin."""

from dataclasses import replace

import numpy as np
import pytest

from models.errors import ConfigError
from training.pairs import (
    NOT_STRICT,
    NegativeHistoryPairs,
    Offer,
    Outright,
    OverplayedPairs,
    OwnSongs,
    Standards,
    SupportPairs,
    draw_from_softmax,
    join,
    nearest_songs,
    pessimistic,
)

SONGS, SITUATIONS, MEMBERS = 40, 25, 3


@pytest.fixture
def worth(rng: np.random.Generator) -> np.ndarray:
    """Utility of every song in every situation to every member; the members mostly agree."""
    shared = rng.normal(size=(SITUATIONS, 1, SONGS))
    return shared + 0.3 * rng.normal(size=(SITUATIONS, MEMBERS, SONGS))


@pytest.fixture
def judge(worth: np.ndarray):
    return lambda situation, candidates: np.stack(
        [worth[s][:, rows] for s, rows in zip(situation, candidates, strict=True)]
    )


@pytest.fixture
def offer(rng: np.random.Generator) -> Offer:
    targets = rng.normal(size=(SONGS, 6))
    targets /= np.linalg.norm(targets, axis=1, keepdims=True)
    feedback = np.full((SITUATIONS, 4), np.nan)
    feedback[:, 0] = 0.9
    feedback[:5, 1] = 0.0
    feedback[5:8, 0] = 0.1
    cosine = np.full((SITUATIONS, SONGS), -1.0)
    cosine[:, :12] = 1.0
    own = OwnSongs.of(np.stack([rng.permutation(12)[:3] for _ in range(SITUATIONS)]), SONGS)
    return Offer(
        cosine=cosine,
        logged=rng.integers(SONGS, size=SITUATIONS),
        feedback=feedback,
        targets=targets,
        own=lambda: own,
    )


def test_pessimism_is_the_mean_less_the_spread():
    """Members 1 and 3: mean 2, SD 1; κ = .5 gives 1.5."""
    assert pessimistic(np.array([[[1.0], [3.0]]]), 0.5).tolist() == [[1.5]]


def test_support_pairs_prefer_the_better_song_by_the_margin(offer: Offer, judge, worth, rng):
    standards = Standards(caution=1.0, least_margin=0.2)
    pairs = SupportPairs(candidate_count=8, standards=standards).pairs(offer, judge, rng)

    value = pessimistic(worth, 1.0)
    gap = value[pairs.situation, pairs.preferred] - value[pairs.situation, pairs.rejected]
    assert len(pairs) > 0
    assert np.allclose(gap, pairs.margin)
    assert (pairs.margin >= 0.2).all()


def test_support_pairs_stay_where_copycat_would_go(offer: Offer, judge, rng):
    """The reference gives songs 12 and up e^−40 of the weight of the others."""
    pairs = SupportPairs(candidate_count=8, temperature=0.05).pairs(offer, judge, rng)

    assert (pairs.preferred < 12).all()
    assert (pairs.rejected < 12).all()


def test_members_who_disagree_leave_no_pair(offer: Offer, rng):
    def quarrel(situation: np.ndarray, candidates: np.ndarray) -> np.ndarray:
        one = candidates.astype(float)
        return np.stack([one, -one, np.zeros_like(one)], axis=1)

    assert len(SupportPairs(standards=Standards(caution=0.0, least_margin=0.0)).pairs(offer, quarrel, rng)) == 0


def test_the_papers_pairs_reject_what_was_badly_received_and_nothing_else(offer: Offer, judge, worth, rng):
    pairs = NegativeHistoryPairs(candidate_count=16).pairs(offer, judge, rng)

    value = worth.mean(axis=1)
    assert len(pairs) > 0
    assert set(pairs.situation) <= set(range(8))  # five dislikes, three skips
    assert (pairs.rejected == offer.logged[pairs.situation]).all()
    assert (value[pairs.situation, pairs.preferred] > value[pairs.situation, pairs.rejected]).all()


def test_own_songs_are_counted_over_all_situations():
    own = OwnSongs.of(np.array([[0, 1], [1, 2], [1, 3]]), 5)

    assert own.shown.tolist() == [1, 3, 1, 1, 0]
    assert own.within(slice(2, 3)).first.tolist() == [[1, 3]]
    assert own.within(slice(2, 3)).shown.tolist() == own.shown.tolist()


def test_what_is_played_most_often_is_rejected_for_something_better_and_rarer(offer: Offer, judge, worth, rng):
    pairs = OverplayedPairs(candidate_count=10, standards=Standards(caution=1.0)).pairs(offer, judge, rng)

    own, value = offer.own(), pessimistic(worth, 1.0)
    most = own.shown[own.first[pairs.situation]].max(axis=1)
    gap = value[pairs.situation, pairs.preferred] - value[pairs.situation, pairs.rejected]
    assert len(pairs) > 0
    assert (own.first[pairs.situation] == pairs.rejected[:, None]).any(axis=1).all()
    assert (own.shown[pairs.rejected] == most).all()
    assert (own.shown[pairs.preferred] < most).all()
    assert np.allclose(gap, pairs.margin)


def test_nothing_is_overplayed_where_every_song_is_shown_alike(offer: Offer, judge, rng):
    alike = OwnSongs(first=offer.own().first, shown=np.ones(SONGS, int))

    assert len(OverplayedPairs().pairs(replace(offer, own=lambda: alike), judge, rng)) == 0


def test_pairs_taken_at_their_word_are_the_same_pairs_without_doubt(offer: Offer):
    def at_odds(situation: np.ndarray, candidates: np.ndarray) -> np.ndarray:
        return np.stack([candidates * multiple % 7 for multiple in (1.0, 3.0, 5.0)], axis=1)

    recipe = SupportPairs(candidate_count=3, standards=NOT_STRICT)
    smoothed, outright = (
        each.pairs(offer, at_odds, np.random.default_rng(3)) for each in (recipe, Outright(recipe))
    )
    assert smoothed.doubt.any()
    assert not outright.doubt.any()
    assert np.array_equal(smoothed.preferred, outright.preferred)


def test_the_same_generator_finds_the_same_pairs(offer: Offer, judge):
    first, second = (SupportPairs().pairs(offer, judge, np.random.default_rng(3)) for _ in range(2))

    assert np.array_equal(first.preferred, second.preferred)
    assert np.array_equal(first.rejected, second.rejected)


def test_songs_are_drawn_without_replacement_and_in_proportion(rng: np.random.Generator):
    """Logits log 3 and 0 draw song 0 first three times in four: of single draws, .75."""
    drawn = draw_from_softmax(np.tile([np.log(3.0), 0.0], (4000, 1)), 1, rng)
    several = draw_from_softmax(np.zeros((50, 9)), 5, rng)

    assert np.mean(drawn == 0) == pytest.approx(0.75, abs=0.03)
    assert all(len(set(row)) == 5 for row in several.tolist())


def test_the_nearest_songs_are_the_nearest_and_never_the_song_itself(offer: Offer):
    near = nearest_songs(offer.targets, np.array([3, 7]), 4)

    for song, found in zip((3, 7), near, strict=True):
        cosine = offer.targets @ offer.targets[song]
        cosine[song] = -2
        assert set(found) == set(np.argsort(-cosine)[:4])


def test_joined_pairs_keep_their_order(offer: Offer, judge, rng):
    pairs = SupportPairs().pairs(offer, judge, rng)

    assert np.array_equal(join([pairs, pairs]).preferred, np.tile(pairs.preferred, 2))


def test_standards_that_cannot_hold_are_refused():
    with pytest.raises(ConfigError, match="least_agreement"):
        Standards(least_agreement=0.5)
