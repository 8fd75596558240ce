"""Guardrails never pass a forbidden song, always say why, and forbid what they cannot compute."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from models.decoder import PolicyOrder
from models.guardrails import (
    ALL_RULES,
    OFFERS_KNOWN,
    RUNG_RULES,
    Candidates,
    GuardrailTable,
    Limits,
    Rule,
    Rung,
    Standing,
    affect_steps,
    choose,
    guard_and_choose,
    limit_columns,
    offers_that_bind,
    rules_of,
    vetoes,
)
from models.listening import NO_SONG, Mode, Population
from tests.bundles import make_guardrails
from tests.models.situations import calm, limits, situations

RECENT = ("recent_song", "recent_artist", "recent_hours")
MODEST = settings(max_examples=100)

LIMITS = Limits(
    arousal_rise=0.1,
    arousal_fall=0.2,
    arousal_band=0.25,
    valence_fall=0.15,
    caution=1.0,
    unreported_factor=0.5,
    song_gap=3,
    song_gap_hours=2.0,
    artist_gap=1,
    artist_gap_hours=0.5,
    support_distance=1.0,
)


def judge(candidates: Candidates, standing: Standing, limits: Limits = LIMITS) -> list[tuple[Rule, ...]]:
    """The rules against each candidate of the first listener."""
    columns = limit_columns([limits] * len(candidates.song))
    forbidden = vetoes(candidates, affect_steps(candidates, standing), standing, columns)
    return [rules_of(int(each)) for each in forbidden[0]]


def predicting(*affects: tuple[float, float], members: int = 2) -> tuple[Candidates, Standing]:
    """One song per (valence, arousal); all members agree."""
    candidates, standing = calm(len(affects), members)
    predicted = candidates.predicted.copy()
    predicted[..., 2:] = np.array(affects)
    return replace(candidates, predicted=predicted), standing


@np.errstate(all="ignore")
def is_forbidden(rule: Rule, b: int, k: int, candidates: Candidates, standing: Standing, limits: Limits) -> bool:
    """Each rule once more, for one song, straight from SAFETY's table; anything not finite forbids."""
    tight = 1.0 if standing.reported[b] else limits.unreported_factor
    step = candidates.predicted[b, :, k, 2:].astype(np.float64) - standing.estimate[b]
    (valence, arousal), (unsure_valence, unsure_arousal) = step.mean(axis=0), step.std(axis=0)
    level = candidates.predicted[b, :, k, 3].astype(np.float64).mean()
    match rule:
        case Rule.AROUSAL_STEP:
            rises = arousal + limits.caution * unsure_arousal <= limits.arousal_rise * tight
            falls = arousal - limits.caution * unsure_arousal >= -limits.arousal_fall * tight
            return not (rises and falls)
        case Rule.AROUSAL_ENVELOPE:
            return not abs(level - standing.anchor[b, 1]) <= limits.arousal_band * tight
        case Rule.VALENCE_DROP:
            return not valence - limits.caution * unsure_valence >= -limits.valence_fall * tight
        case Rule.REPETITION:
            for place in range(standing.recent_song.shape[1]):
                song, artist = standing.recent_song[b, place], standing.recent_artist[b, place]
                hours = np.nan_to_num(standing.recent_hours[b, place], nan=0.0)
                if song == NO_SONG:
                    continue
                lately = place < limits.song_gap or hours < limits.song_gap_hours
                if song == candidates.song[b, k] and lately:
                    return True
                lately = place < limits.artist_gap or hours < limits.artist_gap_hours
                if artist == candidates.artist[b, k] and lately:
                    return True
            return False
        case Rule.BLOCKED:
            return bool(candidates.blocked[b, k]) or candidates.song[b, k] == NO_SONG
        case _:
            return not candidates.support_distance[b, k] <= limits.support_distance


@MODEST
@given(situations(), limits())
def test_every_rule_forbids_what_safety_says_and_nothing_else(situation, limits: Limits):
    candidates, standing = situation
    batch, songs = candidates.song.shape
    columns = limit_columns([limits] * batch)

    forbidden = vetoes(candidates, affect_steps(candidates, standing), standing, columns)

    for b in range(batch):
        for k in range(songs):
            expected = {rule for rule in Rule if is_forbidden(rule, b, k, candidates, standing, limits)}
            assert set(rules_of(int(forbidden[b, k]))) == expected


@MODEST
@given(situations(), limits(), st.sampled_from([rung for rung in Rung if rung in RUNG_RULES]), st.data())
def test_what_is_chosen_is_allowed_and_what_is_not_allowed_has_a_reason(situation, limits, rung, data):
    candidates, standing = situation
    batch = len(candidates.song)
    binding = int(RUNG_RULES[rung])
    seed = data.draw(st.integers(0, 99))
    shown = np.random.default_rng(seed).integers(0, 5, candidates.song.shape)

    choice = guard_and_choose(
        candidates,
        standing,
        limit_columns([limits] * batch),
        rung=rung,
        decoder=PolicyOrder(),
        mode=np.zeros(batch, np.int64),
        shown=shown,
        coverage=np.full(batch, data.draw(st.sampled_from([0.0, 0.4, 1.0]))),
    )

    choosable = (choice.forbidden & binding == 0) & np.isfinite(candidates.score)
    for b in range(batch):
        place = int(choice.chosen[b])
        if place == NO_SONG:
            assert not choosable[b].any()
        else:
            assert choosable[b, place]
    assert (choice.forbidden <= int(ALL_RULES)).all()


@MODEST
@given(situations(), limits())
def test_nothing_without_a_number_passes(situation, limits: Limits):
    candidates, standing = situation
    columns = limit_columns([limits] * len(candidates.song))

    forbidden = vetoes(candidates, affect_steps(candidates, standing), standing, columns)

    no_arousal = ~np.isfinite(candidates.predicted[..., 3]).all(axis=1)
    no_valence = ~np.isfinite(candidates.predicted[..., 2]).all(axis=1)
    assert (forbidden[no_arousal] & Rule.AROUSAL_STEP > 0).all()
    assert (forbidden[no_arousal] & Rule.AROUSAL_ENVELOPE > 0).all()
    assert (forbidden[no_valence] & Rule.VALENCE_DROP > 0).all()
    assert (forbidden[np.isnan(candidates.support_distance)] & Rule.UNKNOWN > 0).all()


@pytest.mark.parametrize("nothing", [np.nan, np.inf, -np.inf])
def test_a_standing_that_is_not_known_forbids_every_step(nothing: float):
    candidates, standing = calm()

    against = judge(candidates, replace(standing, estimate=np.full((1, 2, 2), nothing)))

    assert all({Rule.AROUSAL_STEP, Rule.VALENCE_DROP} <= set(rules) for rules in against)


def test_the_arousal_step_has_a_cap_up_and_a_cap_down():
    assert judge(*predicting((0.5, 0.59), (0.5, 0.61), (0.5, 0.31), (0.5, 0.29))) == [
        (),
        (Rule.AROUSAL_STEP,),
        (),
        (Rule.AROUSAL_STEP,),
    ]


def test_the_envelope_holds_where_ten_small_steps_would_walk_out():
    candidates, standing = predicting((0.5, 0.74), (0.5, 0.76))
    near_by = replace(standing, estimate=np.full((1, 2, 2), [0.5, 0.72]))

    assert judge(candidates, near_by) == [(), (Rule.AROUSAL_ENVELOPE,)]


def test_valence_may_rise_as_far_as_it_likes_but_not_drop():
    assert judge(*predicting((0.99, 0.5), (0.36, 0.5), (0.34, 0.5))) == [(), (), (Rule.VALENCE_DROP,)]


def test_doubt_counts_against_a_song():
    """Members say +0.04 and +0.12: mean .08, spread .04, worst .12 > .10."""
    candidates, standing = calm(1)
    predicted = candidates.predicted.copy()
    predicted[0, :, 0, 3] = [0.54, 0.62]
    unsure = replace(candidates, predicted=predicted)

    assert judge(unsure, standing) == [(Rule.AROUSAL_STEP,)]
    assert judge(unsure, standing, LIMITS.model_copy(update={"caution": 0.0})) == [()]


def test_what_the_members_share_cancels_in_the_spread():
    """Members that differ by .3 in level, both before and after, agree on the step."""
    candidates, standing = calm(1)
    predicted = candidates.predicted.copy()
    predicted[0, :, 0, 3] = [0.35, 0.65]
    biased = replace(candidates, predicted=predicted)

    steps = affect_steps(biased, replace(standing, estimate=np.array([[[0.5, 0.35], [0.5, 0.65]]])))

    np.testing.assert_allclose(steps.step[0, 0, 1], 0.0, atol=1e-7)
    np.testing.assert_allclose(steps.spread[0, 0, 1], 0.0, atol=1e-7)


def test_limits_are_tighter_while_nothing_was_reported():
    candidates, standing = predicting((0.5, 0.56))

    assert judge(candidates, standing) == [()]
    assert judge(candidates, replace(standing, reported=np.zeros(1, bool))) == [(Rule.AROUSAL_STEP,)]


@pytest.mark.parametrize(
    ("places_ago", "hours_ago", "repeats"),
    [(0, 9.0, True), (2, 9.0, True), (3, 9.0, False), (3, 1.9, True), (3, np.nan, True)],
)
def test_a_song_returns_after_both_its_gaps(places_ago: int, hours_ago: float, repeats: bool):
    candidates, standing = calm(1, recent=5)
    recent_song, recent_hours = standing.recent_song.copy(), np.full((1, 5), 99.0)
    recent_song[0, places_ago], recent_hours[0, places_ago] = 0, hours_ago

    against = judge(candidates, replace(standing, recent_song=recent_song, recent_hours=recent_hours))

    assert against == [(Rule.REPETITION,) if repeats else ()]


@pytest.mark.parametrize(("hours", "repeats"), [(1.9, True), (2.0, False), (np.nan, True)])
def test_whoever_was_offered_more_than_is_known_within_the_hours_may_have_been_offered_any_song(hours, repeats):
    candidates, standing = calm(1, recent=OFFERS_KNOWN)
    offered = replace(
        standing,
        recent_song=np.arange(1, OFFERS_KNOWN + 1)[None],
        recent_hours=np.full((1, OFFERS_KNOWN), hours),
    )

    assert judge(candidates, offered) == [(Rule.REPETITION,) if repeats else ()]
    one_fewer = replace(
        offered, recent_song=np.where(np.arange(OFFERS_KNOWN) == OFFERS_KNOWN - 1, NO_SONG, offered.recent_song)
    )
    assert judge(candidates, one_fewer) == [()]


@pytest.mark.parametrize("name", ["song_gap", "artist_gap"])
def test_no_gap_is_longer_than_what_is_known(name: str):
    with pytest.raises(ValidationError, match=name):
        Limits(**(LIMITS.model_dump() | {name: OFFERS_KNOWN + 1}))


def test_an_artist_returns_sooner_than_a_song():
    candidates, standing = calm(1, recent=2)
    by_the_artist = replace(
        standing,
        recent_song=np.array([[8, 9]]),
        recent_artist=np.array([[7, 100]]),
        recent_hours=np.full((1, 2), 99.0),
    )

    assert judge(candidates, by_the_artist) == [()]
    latest = replace(by_the_artist, recent_artist=np.array([[100, 7]]))
    assert judge(candidates, latest) == [(Rule.REPETITION,)]


def test_a_blocked_song_and_a_place_without_a_song_never_pass():
    candidates, standing = calm(2)
    odd = replace(candidates, blocked=np.array([[True, False]]), song=np.array([[0, NO_SONG]]))

    assert judge(odd, standing) == [(Rule.BLOCKED,), (Rule.BLOCKED,)]
    assert all(RUNG_RULES[rung] & Rule.BLOCKED for rung in RUNG_RULES)


def test_a_song_unlike_any_training_song_is_unknown():
    candidates, standing = calm(2)

    against = judge(replace(candidates, support_distance=np.array([[0.99, 1.01]])), standing)

    assert against == [(), (Rule.UNKNOWN,)]


def chosen(score, forbidden=None, shown=None, *, coverage: float, **limits) -> int:
    score = np.array([score], np.float32)
    columns = limit_columns([LIMITS.model_copy(update=limits)])
    zeros = np.zeros(score.shape, np.int64)
    forbidden = zeros if forbidden is None else np.array([forbidden])
    shown = zeros if shown is None else np.array([shown])
    return int(choose(score, forbidden, shown, np.array([coverage]), columns)[0])


def test_the_first_allowed_song_in_the_policys_order_is_chosen():
    assert chosen([0.9, 0.8, 0.7], [1, 0, 0], coverage=1.0) == 1


def test_of_equals_the_first_is_chosen():
    assert chosen([0.5, 0.9, 0.9], coverage=1.0) == 1


def test_no_song_is_chosen_where_none_is_allowed_or_there_is_none():
    assert chosen([0.9, 0.8], [1, 2], coverage=1.0) == NO_SONG
    assert chosen([np.nan, -np.inf], coverage=1.0) == NO_SONG
    assert chosen([], coverage=1.0) == NO_SONG


def test_below_the_coverage_floor_the_rarest_near_tie_is_chosen():
    tied = {"coverage_floor": 0.5, "near_tie": 0.1}

    assert chosen([0.9, 0.85, 0.7], shown=[5, 2, 0], coverage=0.4, **tied) == 1
    assert chosen([0.9, 0.85, 0.7], shown=[5, 2, 0], coverage=0.6, **tied) == 0
    assert chosen([0.9, 0.85, 0.7], shown=[5, 2, 0], coverage=0.4, coverage_floor=0.5) == 0


def test_the_coverage_floor_never_brings_a_forbidden_song_forward():
    for near in (0.1, np.inf):
        assert chosen([0.9, 0.89], [0, 16], [5, 0], coverage=0.0, coverage_floor=0.5, near_tie=near) == 0
        assert chosen([0.9, 0.89], [16, 0], [0, 5], coverage=0.0, coverage_floor=0.5, near_tie=near) == 1


@pytest.mark.parametrize("name", ["arousal_rise", "caution", "support_distance", "near_tie"])
@pytest.mark.parametrize("value", ["Infinity", "1e999", "NaN"])
def test_a_limit_is_a_number(name: str, value: str):
    written = LIMITS.model_copy(update={name: 0.125}).model_dump_json().replace("0.125", value)

    with pytest.raises(ValidationError, match=name):
        Limits.model_validate_json(written)


@MODEST
@given(limits(), limits(), situations())
def test_tightened_limits_allow_no_song_that_either_forbids(one: Limits, other: Limits, situation):
    candidates, standing = situation
    batch = len(candidates.song)
    steps = affect_steps(candidates, standing)

    def forbidden(limits: Limits) -> np.ndarray:
        return vetoes(candidates, steps, standing, limit_columns([limits] * batch))

    both = forbidden(one.tightened(other))

    assert (both & forbidden(one) == forbidden(one)).all()
    assert (both & forbidden(other) == forbidden(other)).all()


def test_limits_that_differ_have_different_digests():
    assert LIMITS.digest != LIMITS.model_copy(update={"caution": 2.0}).digest
    assert LIMITS.digest == Limits.model_validate(LIMITS.model_dump()).digest


def test_a_table_names_every_population_and_mode():
    table = make_guardrails()
    for population in Population:
        for mode in Mode:
            assert table.limits_for(population, mode) == table.limits["clinical"]["calm"]

    incomplete = table.model_dump()
    del incomplete["limits"]["clinical"]["sleep"]
    with pytest.raises(ValidationError, match="'clinical' in mode 'sleep'"):
        GuardrailTable.model_validate(incomplete)


def test_a_table_survives_json():
    table = make_guardrails()

    again = GuardrailTable.model_validate_json(table.model_dump_json())

    assert again == table
    assert again.digest == table.digest


@MODEST
@given(limits(), situations())
def test_offers_that_cannot_bind_change_nothing(bounds: Limits, situation):
    """One listener at a time: with the offers behind those that bind, or without them."""
    candidates, standing = situation
    hours = standing.recent_hours[0]
    lately = slice(offers_that_bind(hours, bounds))
    columns = limit_columns([bounds] * len(candidates.song))
    steps = affect_steps(candidates, standing)
    cut = replace(standing, **{name: getattr(standing, name)[:, lately] for name in RECENT})

    np.testing.assert_array_equal(
        vetoes(candidates, steps, standing, columns)[0], vetoes(candidates, steps, cut, columns)[0]
    )
