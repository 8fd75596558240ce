"""Where listeners stand and what is known of candidates: each by themselves, whoever else is asked about."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.bundle import Bundle
from models.catalogue import Catalogue, artist_key
from models.guardrails import Limits
from models.listening import Listening, Population, song_key
from service.live.engine import Engine, open_engine
from service.memory.state import Blocks
from service.recommend.encode import encode
from service.recommend.guard import are_blocked, candidates, limits_of, standings
from service.recommend.view import Offered
from tests.bundles import SONG_COUNT, make_catalogue
from tests.models.situations import limits
from tests.service.recommend.situation import NOW, newcomer, regular, view_of

TAGS = ("piano", "choir")


@pytest.fixture(scope="module")
def engine(tiny_bundle: Bundle) -> Engine:
    """The tiny bundle over its sixty songs, every seventh withdrawn."""
    return open_engine(tiny_bundle, with_withdrawn(np.arange(SONG_COUNT) % 7 == 0))


def with_withdrawn(withdrawn: np.ndarray) -> Catalogue:
    songs = make_catalogue()
    return Catalogue(songs=songs.songs, embeddings=songs.embeddings, withdrawn=withdrawn)


def stand(engine: Engine, *histories: Listening):
    views = [view_of(each) for each in histories]
    limits = [limits_of(engine, view) for view in views]
    return standings(engine, views, encode(engine, histories), limits=limits, now=[NOW] * len(views))


def heard(engine: Engine, listening: Listening, row: int = 7) -> Listening:
    return listening.with_play(engine.catalogue.keys[row : row + 1], np.array([0.8]), np.array([NOW]))


@given(limits())
def test_a_listeners_own_limits_only_ever_tighten_the_bundles(engine: Engine, own: Limits):
    view = view_of(newcomer())
    bundles = engine.bundle.guardrails.limits_for(Population.UNSPECIFIED, view.mode)

    assert limits_of(engine, view) == bundles
    assert limits_of(engine, replace(view, limits=own)) == bundles.tightened(own)


@pytest.mark.parametrize("population", list(Population))
def test_the_limits_and_the_prior_are_those_of_the_listeners_population(
    tiny_bundle: Bundle, population: Population
):
    table = tiny_bundle.guardrails
    priors = {each.label: (0.1 * each, 0.5) for each in Population}
    limits_ = {
        each.label: {
            mode: one.model_copy(update={"song_gap": int(each)}) for mode, one in table.limits[each.label].items()
        }
        for each in Population
    }
    own = table.model_copy(update={"prior": priors, "limits": limits_})
    engine = open_engine(replace(tiny_bundle, guardrails=own), make_catalogue())
    stranger = replace(newcomer(), population=np.array([population]))

    ((standing, _),) = stand(engine, stranger)

    assert limits_of(engine, view_of(stranger)).song_gap == population
    np.testing.assert_array_equal(standing.anchor, [[0.1 * population, 0.5]])


def test_the_source_is_the_last_play_or_else_where_the_anchor_came_from(engine: Engine):
    said, silent = newcomer((0.25, 0.75)), newcomer()
    told = replace(heard(engine, silent), report=np.float32([[0.5, 0.5]]))

    sources = [
        source for _, source in stand(engine, silent, said, heard(engine, silent), heard(engine, said), told)
    ]

    assert sources == ["prior", "report", "world_model", "world_model", "report"]


def test_after_a_report_the_estimate_is_not_the_report_but_what_is_expected_of_the_average_song(engine: Engine):
    said = newcomer((0.25, 0.75))
    nothing = np.zeros((1, 1, *engine.vectors.head_hidden.shape[1:]), np.float32)

    ((standing, _),) = stand(engine, said)

    expected = engine.graphs.head(encode(engine, [said]).state, nothing)[:, :, 0, 2:]
    np.testing.assert_allclose(standing.estimate, expected, atol=1e-6)
    np.testing.assert_array_equal(standing.anchor, [[0.25, 0.75]])


@settings(max_examples=20)
@given(st.lists(st.lists(st.integers(0, 5), min_size=1, max_size=3), min_size=2, max_size=5))
def test_nobody_stands_elsewhere_for_who_else_is_there(engine: Engine, crowd: list[list[int]]):
    """What was said to the last bit, estimates to rounding: the networks are asked together."""
    histories = [regular(engine, plays, seed) for seed, plays in enumerate(crowd)]

    for history, (among, source) in zip(histories, stand(engine, *histories), strict=True):
        ((alone, own),) = stand(engine, history)
        assert source == own
        assert alone.anchor.tobytes() == among.anchor.tobytes()
        assert alone.reported.tobytes() == among.reported.tobytes()
        np.testing.assert_allclose(alone.estimate, among.estimate, atol=1e-5)


def test_hours_are_counted_from_each_offer_and_stay_unknown_where_its_time_is(engine: Engine):
    offered = Offered(song=np.array([3, 1]), artist=np.array([30, 10]), at=np.array([NOW - 1800, np.nan]))
    view = view_of(newcomer(), offered=offered)

    limits = [limits_of(engine, view)]
    ((standing, _),) = standings(engine, [view], encode(engine, [view.listening]), limits=limits, now=[NOW])

    np.testing.assert_array_equal(standing.recent_hours, [[0.5, np.nan]])
    np.testing.assert_array_equal(standing.recent_song, [[3, 1]])
    np.testing.assert_array_equal(standing.recent_artist, [[30, 10]])


@settings(max_examples=20)
@given(st.lists(st.integers(0, 8), min_size=1, max_size=5), st.integers(0, 1000))
def test_everybodys_candidates_are_what_they_would_be_alone(engine: Engine, counts: list[int], seed: int):
    """Some are asked about with as many songs as another, some with more, some with none."""
    rng = np.random.default_rng(seed)
    state = encode(engine, [regular(engine, [3], each) for each in range(len(counts))]).state
    rows = [rng.permutation(SONG_COUNT)[:count] for count in counts]
    scores = [rng.random(count).astype(np.float32) for count in counts]
    blocks = [Blocks(songs=(f"song-{each}",)) for each in range(len(counts))]

    among = candidates(engine, state, rows, scores, blocks)

    for place, each in enumerate(among):
        (alone,) = candidates(
            engine, state[[place]], rows[place : place + 1], scores[place : place + 1], [blocks[place]]
        )
        for name in ("song", "artist", "score", "blocked", "support_distance"):
            np.testing.assert_array_equal(getattr(each, name), getattr(alone, name))
        np.testing.assert_allclose(each.predicted, alone.predicted, atol=1e-5)
        np.testing.assert_array_equal(each.song[0], engine.catalogue.keys[rows[place]])


@given(
    songs=st.lists(st.integers(0, SONG_COUNT + 5), max_size=4),
    artists=st.lists(st.integers(0, 22), max_size=3),
    tags=st.lists(st.sampled_from(TAGS), max_size=2),
)
def test_blocked_is_what_was_named_by_id_artist_or_tag_and_what_is_withdrawn_and_nothing_else(
    engine: Engine, songs: list[int], artists: list[int], tags: list[str]
):
    blocks = Blocks(
        songs=tuple(f"song-{each}" for each in songs),
        artists=tuple(f"Artist {each}" for each in artists),
        tags=tuple(tags),
    )
    blocked = are_blocked(engine, np.arange(SONG_COUNT), blocks)

    for row, song in enumerate(engine.catalogue.songs):
        named = song.song_id in blocks.songs or song.artist in blocks.artists or set(song.tags) & set(tags)
        assert blocked[row] == bool(named or engine.catalogue.withdrawn[row])


def test_a_song_that_is_withdrawn_meanwhile_is_blocked_from_then_on(engine: Engine):
    everything = engine.with_catalogue(with_withdrawn(np.ones(SONG_COUNT, bool)))

    assert are_blocked(everything, np.arange(SONG_COUNT), Blocks()).all()


def test_keys_of_songs_and_artists_are_those_that_repetition_counts(engine: Engine):
    (each,) = candidates(
        engine, encode(engine, [newcomer()]).state, [np.array([21])], [np.zeros(1, np.float32)], [Blocks()]
    )

    assert each.song.tolist() == [[song_key("song-21")]]
    assert each.artist.tolist() == [[artist_key("Artist 1")]]
