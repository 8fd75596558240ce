"""Where a listener stands by their own word: the last report counts, and the unknown forbids."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.bundle import Bundle
from models.guardrails import AFFECT
from models.listening import NO_SONG, Listening, Population, concatenate, empty_listener
from models.standing import anchors, estimates, have_played_since, last_plays, priors
from models.tokens import tokenise
from service.live.engine import Engine, open_engine
from service.recommend.encode import encode
from service.recommend.guard import limits_of, standings
from tests.bundles import CONTEXT, SPACE, make_catalogue, make_guardrails
from tests.models.strategies import listenings
from tests.service.recommend.situation import NOW, view_of
from training.export.golden import invented_listener
from training.standing import standing_of
from training.stress.sealed import SealedWorld

NOBODY = empty_listener(context_fields=3)
PRIOR = (0.25, 0.75)


def told(listening: Listening) -> list[list[tuple[float, float] | None]]:
    """Return, of each listener, what they said in their last session: before it, then after each of its songs."""
    said = []
    for listener in range(listening.listener_count):
        first, stop = listening.session_start[listener : listener + 2]
        if first == stop:
            said.append([None])
            continue
        plays = range(listening.play_start[stop - 1], listening.play_start[stop])
        heard = [listening.before[stop - 1], *(listening.feedback[play, AFFECT] for play in plays)]
        said.append([None if np.isnan(report).any() else tuple(report.tolist()) for report in heard])
    return said


def halved(listening: Listening, rng: np.random.Generator) -> Listening:
    """Return the same with one of the two numbers of some reports gone."""

    def torn(reports: np.ndarray) -> np.ndarray:
        return np.where(rng.random(reports.shape) < 0.2, np.nan, reports).astype(np.float32)

    return replace(
        listening, before=torn(listening.before), after=torn(listening.after), report=torn(listening.report)
    )


@given(listenings(), st.integers(0, 2**32 - 1))
def test_the_anchor_is_the_last_whole_report_of_the_session_or_else_the_prior(listening: Listening, seed: int):
    listening = halved(concatenate([NOBODY, listening, NOBODY]), np.random.default_rng(seed))

    anchor, reported = anchors(listening, np.tile(PRIOR, (listening.listener_count, 1)))

    last = [next((report for report in reversed(said) if report), None) for said in told(listening)]
    assert reported.tolist() == [report is not None for report in last]
    assert [tuple(each) for each in anchor.tolist()] == [report or PRIOR for report in last]


@given(listenings(), st.integers(0, 2**32 - 1))
def test_a_play_is_newer_than_every_report_when_nothing_was_reported_after_it(listening: Listening, seed: int):
    listening = halved(concatenate([NOBODY, listening, NOBODY]), np.random.default_rng(seed))

    since = have_played_since(listening)

    assert since.tolist() == [len(said) > 1 and said[-1] is None for said in told(listening)]


@given(listenings())
def test_a_listener_stands_the_same_alone_or_among_others(listening: Listening):
    together = concatenate([NOBODY, listening, NOBODY])
    prior = np.tile(PRIOR, (together.listener_count, 1))

    for place in range(together.listener_count):
        alone = together.select(np.array([place]))
        for one, all_ in zip(anchors(alone, prior[:1]), anchors(together, prior), strict=True):
            assert np.array_equal(one[0], all_[place])
        assert have_played_since(alone)[0] == have_played_since(together)[place]


@given(listenings())
def test_the_last_play_is_that_of_the_last_session_and_there_is_none_before_its_first(listening: Listening):
    for listener, play in enumerate(last_plays(listening)):
        first, stop = listening.session_start[listener : listener + 2]
        begins, ends = listening.play_start[max(stop - 1, 0)], listening.play_start[stop]
        assert play == (ends - 1 if stop > first and ends > begins else -1)


def test_who_said_nothing_is_taken_for_what_their_population_is():
    table = make_guardrails().model_copy(
        update={"prior": {"unspecified": (0.1, 0.2), "clinical": (0.3, 0.4), "consumer": (0.5, 0.6)}}
    )
    everyone = replace(
        concatenate([NOBODY, NOBODY, NOBODY]), population=np.array([Population.CONSUMER, 0, Population.CLINICAL])
    )

    assert priors(everyone, table).tolist() == [[0.5, 0.6], [0.1, 0.2], [0.3, 0.4]]


def test_only_the_estimate_of_an_unknown_song_is_no_number():
    """After a report nobody asks what the last song was: the estimate is of the average song."""
    made = estimates(
        np.full((3, 2, 2), 0.5, np.float32),
        of_play=np.array([True, True, False]),
        last_row=np.array([7, NO_SONG, NO_SONG]),
    )

    assert np.isnan(made).all(axis=(1, 2)).tolist() == [False, True, False]
    assert (made[[0, 2]] == 0.5).all()


@pytest.fixture(scope="module")
def engine(tiny_bundle: Bundle) -> Engine:
    return open_engine(tiny_bundle, make_catalogue())


@pytest.fixture(scope="module")
def world(tiny_bundle: Bundle) -> SealedWorld:
    return SealedWorld.over(tiny_bundle, make_catalogue().embeddings[SPACE.name])


def crowd_of(shapes: list[list[int]], *, unknown: int, seed: int) -> Listening:
    """Return listeners with so many plays in each session, the last one ended or open; some reports are halved."""
    rng = np.random.default_rng(seed)
    keys = np.concatenate([make_catalogue().keys, 1 + np.arange(unknown)])
    return halved(concatenate([invented_listener(rng, plays, keys, CONTEXT) for plays in shapes]), rng)


@settings(max_examples=50)
@given(
    shapes=st.lists(st.lists(st.integers(0, 4), min_size=1, max_size=3), min_size=1, max_size=4),
    unknown=st.sampled_from([0, 20]),
    seed=st.integers(0, 2**32 - 1),
)
def test_a_rollout_and_the_service_have_the_same_listener_stand_in_the_same_place(
    engine: Engine, world: SealedWorld, shapes: list[list[int]], unknown: int, seed: int
):
    """Both read the same sealed graphs; the estimates agree to rounding, what was said to the last bit.

    Some of the songs heard may be unknown to the catalogue.
    """
    crowd = crowd_of(shapes, unknown=unknown, seed=seed)
    manifest, now = engine.bundle.manifest, np.full(crowd.listener_count, NOW)
    tokens = tokenise(crowd, manifest.context).latest(manifest.lookback)
    states = world.look(tokens, engine.catalogue.rows(tokens.song))

    rolled = standing_of(crowd, states, world, engine.catalogue, engine.bundle.guardrails, now)
    each = [crowd.select(np.array([place])) for place in range(crowd.listener_count)]
    views = [view_of(one) for one in each]
    limits = [limits_of(engine, view) for view in views]
    served = standings(engine, views, encode(engine, each), limits=limits, now=now.tolist())

    for place, (standing, source) in enumerate(served):
        np.testing.assert_allclose(standing.estimate[0], rolled.estimate[place], atol=1e-5)
        assert np.array_equal(standing.anchor[0], rolled.anchor[place])
        assert standing.reported[0] == rolled.reported[place]
        assert (source == "world_model") == have_played_since(each[place])[0]
