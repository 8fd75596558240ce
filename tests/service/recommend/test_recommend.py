"""The road: the policy proposes, predictions veto, the first allowed song is chosen, and the record replays."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.bundle import Bundle
from models.catalogue import Catalogue, artist_key
from models.decision import pack_decision, replay, unpack_decision
from models.decoder import Rerank
from models.exposure import ExposureSnapshot, empty_snapshot
from models.guardrails import Rule, Rung
from models.listening import NO_SONG, Mode, song_key
from service.live.engine import Engine, open_engine
from service.memory.state import Blocks
from service.recommend.recommend import Recommended, recommend
from service.recommend.view import Offered, View
from tests.bundles import SONG_COUNT, SPACE, make_catalogue, make_embeddings, make_songs
from tests.service.recommend.situation import NOW, engine_with, newcomer, regular, view_of

SNAPSHOT = empty_snapshot(SONG_COUNT)


@pytest.fixture(scope="module")
def engine(tiny_bundle: Bundle) -> Engine:
    """The tiny bundle over its sixty songs."""
    return open_engine(tiny_bundle, make_catalogue())


@pytest.fixture(scope="module")
def strict(tiny_bundle: Bundle) -> Engine:
    """Limits that forbid every prediction."""
    return engine_with(tiny_bundle, arousal_rise=1e-9, arousal_fall=1e-9, arousal_band=1e-9)


def ask(engine: Engine, view: View, **more) -> Recommended:
    return recommend(engine, view, SNAPSHOT, now=NOW, **more)


def ids(answer: Recommended) -> list[str]:
    return [each.song.song_id for each in answer.songs]


def offered(*song_ids: str, hours_ago: float = 0.1) -> Offered:
    keys = np.array([song_key(song_id) for song_id in song_ids], np.int64)
    rows = make_catalogue().rows(keys)
    return Offered(song=keys, artist=make_catalogue().artists[rows], at=np.full(len(keys), NOW - 3600 * hours_ago))


@pytest.mark.parametrize("plays", [[0], [1], [3, 0, 2], [30], [5] * 20])
def test_the_song_is_the_policys_first_allowed(engine: Engine, plays: list[int]):
    answer = ask(engine, view_of(regular(engine, plays)))

    recommendation = answer.songs[0]
    trial, choice = recommendation.decision.trials[0], recommendation.choices[0]
    allowed = np.flatnonzero(choice.forbidden[0] == 0)
    assert recommendation.decision.place == allowed[0]
    assert (np.diff(trial.candidates.score[0]) <= 0).all()
    assert recommendation.fallback is None


def test_candidates_are_the_catalogues_best_by_the_policys_cosine(engine: Engine):
    answer = ask(engine, view_of(regular(engine, [4, 3])))

    candidates = answer.songs[0].decision.trials[0].candidates
    from service.recommend.encode import encode

    scores = engine.vectors.index_rows @ encode(engine, [regular(engine, [4, 3])]).query[0]
    best = np.argsort(-scores)[: engine.bundle.manifest.candidate_count]
    np.testing.assert_array_equal(engine.catalogue.rows(candidates.song[0]), best)
    np.testing.assert_allclose(candidates.score[0], scores[best], rtol=1e-5)
    assert (np.abs(candidates.score) <= 1 + 1e-5).all()


@settings(max_examples=25)
@given(
    seed=st.integers(0, 1000),
    sessions=st.lists(st.integers(0, 5), min_size=1, max_size=4),
    count=st.integers(1, 4),
)
def test_every_decision_of_every_listener_replays_from_its_record(engine: Engine, seed, sessions, count):
    answer = ask(engine, view_of(regular(engine, sessions, seed)), count=count)

    for outcome in (*answer.songs, *([answer.refusal] if answer.refusal else [])):
        rung, song, _ = replay(unpack_decision(pack_decision(outcome.decision)))
        assert (rung, song) == (outcome.decision.rung, outcome.decision.song)


def test_the_same_question_has_the_same_answer_to_the_last_bit(engine: Engine):
    view = view_of(regular(engine, [6, 2]))

    first, second = ask(engine, view, count=3), ask(engine, view, count=3)

    for one, other in zip(first.songs, second.songs, strict=True):
        assert pack_decision(one.decision) == pack_decision(other.decision)


def test_a_listener_nobody_knows_anything_about_gets_a_song_from_the_prior(engine: Engine):
    recommendation = ask(engine, view_of(newcomer())).songs[0]

    assert recommendation.decision.estimate_source == "prior"
    assert not recommendation.decision.standing.reported[0]
    np.testing.assert_array_equal(recommendation.decision.standing.anchor, [[0.5, 0.5]])


def test_before_the_first_play_the_anchor_is_the_report(engine: Engine):
    decision = ask(engine, view_of(newcomer((0.25, 0.75)))).songs[0].decision

    assert decision.estimate_source == "report"
    np.testing.assert_array_equal(decision.standing.anchor, [[0.25, 0.75]])


def test_before_the_first_play_steps_are_taken_from_what_is_expected_of_the_average_song(engine: Engine):
    """The average song's reading is zero, and so is its share of the head: both ends come from one model."""
    from service.recommend.encode import encode

    before = newcomer((0.25, 0.75))
    nothing = np.zeros((1, 1, *engine.vectors.head_hidden.shape[1:]), np.float32)

    decision = ask(engine, view_of(before)).songs[0].decision

    expected = engine.graphs.head(encode(engine, [before]).state, nothing)[:, :, 0, 2:]
    np.testing.assert_allclose(decision.standing.estimate, expected, atol=1e-6)


def test_after_a_play_the_estimate_is_what_each_world_model_predicted_of_it(engine: Engine):
    """The song last played, asked of the history before it, is the estimate after it."""
    before = newcomer((0.25, 0.75))
    heard = before.with_play(engine.catalogue.keys[7:8], np.array([0.8]), np.array([NOW]))
    from service.recommend.encode import encode
    from service.recommend.predict import predict

    decision = ask(engine, view_of(heard)).songs[0].decision

    expected = predict(engine, encode(engine, [before]).state, np.array([[7]]))[:, :, 0, 2:]
    assert decision.estimate_source == "world_model"
    np.testing.assert_allclose(decision.standing.estimate, expected, atol=1e-5)
    np.testing.assert_array_equal(decision.standing.anchor, [[0.25, 0.75]])


def test_the_anchor_is_the_last_report_also_one_after_a_song(engine: Engine):
    heard = newcomer((0.25, 0.75))
    for row in (7, 8):
        heard = heard.with_play(engine.catalogue.keys[row : row + 1], np.array([0.8]), np.array([NOW]))
    told = replace(heard, report=np.float32([[0.5, 0.625], [np.nan, np.nan]]))

    np.testing.assert_array_equal(ask(engine, view_of(told)).songs[0].decision.standing.anchor, [[0.5, 0.625]])


def test_a_last_song_that_cannot_be_read_forbids_every_prediction(engine: Engine):
    """Its embedding is gone, so no estimate can be made; people's songs remain."""
    lost = newcomer((0.5, 0.5)).with_play(np.array([123456789]), np.array([0.8]), np.array([NOW]))

    recommendation = ask(engine, view_of(lost)).songs[0]

    assert recommendation.fallback == "approved"
    assert np.isnan(recommendation.decision.standing.estimate).all()
    assert (recommendation.choices[0].forbidden & Rule.AROUSAL_STEP > 0).all()


@pytest.mark.parametrize("count", [1, 5, 20])
def test_the_next_songs_are_different_songs(engine: Engine, count: int):
    answer = ask(engine, view_of(regular(engine, [3])), count=count)

    assert len(set(ids(answer))) == len(ids(answer)) == count


def test_each_next_song_assumes_the_predicted_engagement_of_those_before_and_nothing_else(engine: Engine):
    view = view_of(regular(engine, [3]))
    first, second = ask(engine, view, count=2).songs

    assert first.predicted is not None
    heard = view.after(first.decision.song, first.artist_key, engagement=first.predicted.engagement.mean, at=NOW)
    alone = ask(engine, heard, exclude=[first.song.song_id]).songs[0]

    assert alone.song == second.song
    np.testing.assert_allclose(alone.decision.standing.estimate, second.decision.standing.estimate, atol=1e-6)
    assert np.isnan(heard.listening.rating[-1])
    assert np.isnan(heard.listening.report[-1]).all()
    assert heard.listening.play_mode[-1] == Mode.CALM


def test_excluded_songs_are_never_considered(engine: Engine):
    view = view_of(regular(engine, [3]))
    wanted = ids(ask(engine, view, count=3))

    answer = ask(engine, view, exclude=[*wanted, "no such song"])

    considered = answer.songs[0].decision.trials[0].candidates.song[0]
    assert len(considered) == engine.bundle.manifest.candidate_count
    assert not np.isin(considered, [song_key(song_id) for song_id in wanted]).any()


def test_excluding_every_song_ends_in_silence_with_a_reason(engine: Engine):
    answer = ask(engine, view_of(newcomer()), exclude=[song.song_id for song in make_songs()])

    assert answer.songs == ()
    assert answer.refusal is not None
    assert answer.refusal.decision.rung is Rung.SILENCE
    assert answer.refusal.reason == "no song is allowed: none was left to consider"


def test_a_song_offered_lately_is_not_offered_again(engine: Engine):
    view = view_of(newcomer())
    first = ids(ask(engine, view))[0]

    again = ask(engine, replace(view, offered=offered(first))).songs[0]

    assert again.song.song_id != first
    assert again.vetoed["repetition"] >= 1


def test_an_offer_at_an_unknown_time_counts_as_now(tiny_bundle: Bundle):
    engine = engine_with(tiny_bundle, song_gap=0, artist_gap=0, song_gap_hours=1.0)
    view = view_of(newcomer())
    first = ids(ask(engine, view))[0]

    assert ids(ask(engine, replace(view, offered=offered(first, hours_ago=2)))) == [first]
    assert ids(ask(engine, replace(view, offered=offered(first, hours_ago=float("nan"))))) != [first]


@pytest.mark.parametrize("kind", ["songs", "artists", "tags"])
def test_what_is_blocked_is_not_given_and_the_record_says_so(engine: Engine, kind: str):
    view = view_of(newcomer())
    songs = ask(engine, view, count=5).songs
    first = next(each.song for each in songs if each.song.tags)
    value = {"songs": first.song_id, "artists": first.artist, "tags": first.tags[0]}[kind]
    blocked = {"songs": {first.song_id}, "artists": set(), "tags": set()}[kind] | {
        song.song_id
        for song in make_songs()
        if (kind == "artists" and song.artist == value) or (kind == "tags" and value in song.tags)
    }

    answer = ask(engine, replace(view, blocks=Blocks(**{kind: (value,)})), count=20)

    assert not blocked & set(ids(answer))
    assert any("blocked" in each.vetoed for each in answer.songs)


def test_a_block_that_names_nothing_blocks_nothing(engine: Engine):
    view = view_of(newcomer())
    blocks = Blocks(songs=("none",), artists=("Nobody",), tags=("nothing",))

    assert ids(ask(engine, replace(view, blocks=blocks))) == ids(ask(engine, view))


def test_a_withdrawn_song_is_never_given_on_any_rung(tiny_bundle: Bundle, strict: Engine):
    gone = np.zeros(SONG_COUNT, bool)
    gone[[3, 13]] = True
    withdrawn = strict.with_catalogue(
        Catalogue(songs=make_songs(), embeddings={SPACE.name: make_embeddings()}, withdrawn=gone)
    )

    answer = ask(withdrawn, view_of(newcomer(), known_safe=lambda: withdrawn.catalogue.keys[[13, 3]]), count=5)

    assert ids(answer) == ["song-23"]
    assert answer.refusal is not None


def test_more_candidates_are_asked_for_when_the_first_are_all_forbidden(engine: Engine):
    view = view_of(newcomer())
    best = [int(song) for song in ask(engine, view).songs[0].decision.trials[0].candidates.song[0]]
    first_twenty = tuple(str(engine.song_id_of(song)) for song in best)

    recommendation = ask(engine, replace(view, blocks=Blocks(songs=first_twenty))).songs[0]

    assert recommendation.fallback == "wider"
    assert [trial.rung for trial in recommendation.decision.trials] == [Rung.POLICY, Rung.WIDER]
    assert recommendation.considered == SONG_COUNT
    assert recommendation.vetoed["blocked"] == 20


def test_known_safe_songs_come_before_approved_ones_and_in_their_own_order(strict: Engine):
    keys = strict.catalogue.keys
    view = view_of(newcomer(), known_safe=lambda: np.array([keys[41], 777, keys[40]]))

    answer = ask(strict, view, count=4)

    assert ids(answer) == ["song-41", "song-40", "song-3", "song-13"]
    assert [each.fallback for each in answer.songs] == ["known_safe", "known_safe", "approved", "approved"]


def test_known_safe_songs_are_looked_up_only_on_their_rung(engine: Engine):
    def never() -> np.ndarray:
        raise AssertionError("the policy's own songs were allowed")

    assert ask(engine, view_of(newcomer(), known_safe=never)).songs


def test_blocks_and_repetition_bind_on_every_rung(strict: Engine):
    view = view_of(newcomer(), blocks=Blocks(songs=("song-3",)), offered=offered("song-13"))

    answer = ask(strict, view, count=2)

    assert ids(answer) == ["song-23"]
    assert answer.refusal is not None


def test_the_reason_for_silence_names_the_rules(strict: Engine):
    view = replace(view_of(newcomer()), mode=Mode.SLEEP)

    refusal = ask(strict, view).refusal

    assert refusal is not None
    assert refusal.considered == SONG_COUNT
    assert refusal.reason.startswith("no song is allowed: 60 considered, arousal_step against 60")


def test_a_listeners_own_limits_tighten_and_never_loosen(engine: Engine, strict: Engine):
    tight = strict.bundle.guardrails.limits["clinical"]["calm"]
    wide = engine.bundle.guardrails.limits["clinical"]["calm"]

    assert ask(engine, view_of(newcomer(), limits=tight)).songs[0].fallback == "approved"
    assert ask(strict, view_of(newcomer(), limits=wide)).songs[0].fallback == "approved"


def test_below_the_coverage_floor_a_rarer_near_tie_is_given(tiny_bundle: Bundle):
    engine = engine_with(tiny_bundle, coverage_floor=0.9, near_tie=2.0)
    view = view_of(newcomer())
    first = ask(engine, view).songs[0]
    shown = ExposureSnapshot(keys=np.array([first.decision.song]), counts=np.array([5]), catalogue_size=SONG_COUNT)

    other = recommend(engine, view, shown, now=NOW).songs[0]

    assert other.song != first.song
    assert other.decision.snapshot_id == shown.snapshot_id
    assert other.decision.coverage == pytest.approx(1 / 60)


def test_intervals_hold_their_means_and_stay_on_the_scale(engine: Engine):
    predicted = ask(engine, view_of(regular(engine, [5]))).songs[0].predicted

    assert predicted is not None
    for interval in (predicted.engagement, predicted.valence, predicted.arousal):
        assert 0 <= interval.low <= interval.mean <= interval.high <= 1
    assert 0 <= predicted.rating <= 1


def test_each_song_has_the_interval_of_its_step(engine: Engine):
    """Two songs wait for feedback: the next is step 3 of the tiny bundle's three, and the one after is beyond."""
    calibration = engine.bundle.calibration
    view = view_of(regular(engine, [5]), waiting=2)

    third, beyond = (each.predicted for each in ask(engine, view, count=2).songs)

    assert third is not None
    assert beyond is not None
    assert (third.step, third.is_calibrated) == (3, True)
    assert (beyond.step, beyond.is_calibrated) == (4, False)
    for predicted in (third, beyond):
        mean = predicted.valence.mean
        assert (predicted.valence.low, predicted.valence.high) == calibration.interval("valence", mean, step=3)


def reranking(bundle: Bundle) -> Bundle:
    """The tiny bundle with a decoder that orders by predicted valence and arousal."""
    decoder = Rerank(utility=bundle.manifest.utility, caution=0.5, rarity=0.1)
    return replace(bundle, manifest=bundle.manifest.model_copy(update={"decoder": decoder}))


@pytest.fixture(scope="module")
def reranked(tiny_bundle: Bundle) -> Engine:
    return open_engine(reranking(tiny_bundle), make_catalogue())


@settings(max_examples=15)
@given(seed=st.integers(0, 1000), sessions=st.lists(st.integers(0, 5), min_size=1, max_size=4))
def test_a_reordered_decision_replays_from_its_record(reranked: Engine, seed, sessions):
    answer = ask(reranked, view_of(regular(reranked, sessions, seed)), count=2)

    for outcome in (*answer.songs, *([answer.refusal] if answer.refusal else [])):
        record = unpack_decision(pack_decision(outcome.decision))
        assert record.decoder == reranked.bundle.manifest.decoder
        assert replay(record)[:2] == (outcome.decision.rung, outcome.decision.song)


def test_the_bundles_decoder_orders_what_the_policy_proposes(engine: Engine, reranked: Engine):
    """The same candidates with the same scores; the song given is the first allowed in the decoder's order."""
    differing = 0
    for seed in range(10):
        plain, other = (ask(each, view_of(regular(each, [4], seed))).songs[0] for each in (engine, reranked))
        proposed, again = plain.decision.trials[0].candidates, other.decision.trials[0].candidates
        np.testing.assert_array_equal(proposed.song, again.song)
        np.testing.assert_array_equal(proposed.score, again.score)
        allowed = np.where(other.choices[0].forbidden[0] == 0, other.choices[0].dealt[0], -np.inf)
        assert other.decision.place == allowed.argmax()
        differing += plain.song != other.song
    assert differing > 0


def test_each_step_of_the_road_is_timed(engine: Engine):
    seconds = ask(engine, view_of(newcomer()), count=3).seconds

    assert set(seconds) == {"encode", "match", "predict", "guard"}
    assert all(each > 0 for each in seconds.values())


def test_the_answer_names_the_artist_as_the_repetition_rule_counts_it(engine: Engine):
    recommendation = ask(engine, view_of(newcomer())).songs[0]

    assert recommendation.song.artist is not None
    assert recommendation.artist_key == artist_key(recommendation.song.artist)


def test_a_listener_without_any_session_is_still_answered(engine: Engine):
    from models.listening import empty_listener

    answer = ask(engine, view_of(empty_listener(context_fields=1)))

    assert answer.songs[0].decision.history_length == 0
    assert answer.songs[0].decision.song != NO_SONG
