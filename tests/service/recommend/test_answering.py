"""Enrolled listeners are answered by the canary bundle, everybody else by the live one; failures are counted."""

from dataclasses import replace

import numpy as np
import pytest
from prometheus_client import CollectorRegistry

from models.bundle import Bundle
from models.catalogue import Catalogue
from models.decision import pack_decision, replay, unpack_decision
from models.errors import Unavailable
from models.exposure import empty_snapshot
from models.listening import Mode, Population
from models.repository import Repository
from service.clock import SECOND
from service.errors import ModelsFailed
from service.journal.measurements import Measured, Subject
from service.listener import ListenerKey
from service.live.canary import CanaryRoster
from service.live.engine import Engine, open_engine
from service.live.live import Live, Loaded
from service.live.tally import Tally
from service.recommend.answering import Answering, Inquiry
from service.recommend.recommend import recommend_all
from service.recommend.trial import invented
from service.telemetry.model_metrics import ModelMetrics
from tests.bundles import failing_at, seal_bundle

ENROLLED, PATIENT, OTHER = (ListenerKey("default", name) for name in ("enrolled", "patient", "other"))
UNLUCKY = 1
"""Tokens of the histories on which a failing bundle fails: those of a listener who has not heard anything yet."""


@pytest.fixture(scope="module")
def engines(
    tmp_path_factory: pytest.TempPathFactory, tiny_bundle: Bundle, tiny_catalogue: Catalogue
) -> tuple[Engine, Engine]:
    repository = Repository(tmp_path_factory.mktemp("canary"))
    canary = repository.open(seal_bundle(repository, seed=1))
    return open_engine(tiny_bundle, tiny_catalogue), open_engine(canary, tiny_catalogue)


def failing(engine: Engine) -> Engine:
    """Return the same engine, of a bundle whose models fail on unlucky histories."""
    graph = failing_at(engine.bundle.graphs["world.onnx"], UNLUCKY)
    return open_engine(
        replace(engine.bundle, graphs={**engine.bundle.graphs, "world.onnx": graph}), engine.catalogue
    )


def answering_with(current: Engine | None, canary: Engine | None = None) -> Answering:
    live = Live()
    since = {engine.bundle.version: number for number, engine in enumerate((current, canary), 1) if engine}
    live.hold(Loaded(current=current, canary=canary, since=since))
    return Answering(
        live=live,
        roster=CanaryRoster({ENROLLED: False, PATIENT: True}),
        tally=Tally(),
        metrics=ModelMetrics(CollectorRegistry()),
    )


def inquiry_of(
    engine: Engine,
    listener: ListenerKey = OTHER,
    *,
    population: Population = Population.CONSUMER,
    heard: int = 0,
    count: int = 1,
) -> Inquiry:
    """An inquiry of a listener who has heard so many songs, and one of them in this session."""
    state = invented(Mode.CALM, [int(key) for key in engine.catalogue.keys[:heard]])
    state = type(state)(
        sequence=state.sequence,
        population=population,
        active_at=state.active_at,
        sessions=state.sessions,
        open=state.open,
    )
    assert state.open is not None
    return Inquiry(
        listener=listener,
        state=state,
        opened=state.open,
        snapshot=empty_snapshot(60),
        at=1_800_000_000 * SECOND,
        count=count,
        exclude=(),
    )


@pytest.mark.parametrize(
    ("listener", "population", "role"),
    [
        (OTHER, Population.CONSUMER, 0),
        (OTHER, Population.CLINICAL, 0),
        (ENROLLED, Population.CONSUMER, 1),
        (ENROLLED, Population.UNSPECIFIED, 1),
        (ENROLLED, Population.CLINICAL, 0),
        (PATIENT, Population.CLINICAL, 1),
    ],
)
def test_who_is_answered_by_which(
    engines: tuple[Engine, Engine], listener: ListenerKey, population: Population, role: int
) -> None:
    asked = inquiry_of(engines[0], listener, population=population)

    ((engine, answer),) = answering_with(*engines).ask([asked])

    assert engine is engines[role]
    assert answer.songs[0].decision.bundle == engines[role].bundle.version


def test_inquiries_at_once_get_what_each_would_get_alone(engines: tuple[Engine, Engine]) -> None:
    """Other listeners, other lengths of history, other numbers of songs, both bundles; in one call."""
    answering = answering_with(*engines)
    inquiries = [
        inquiry_of(engines[0], listener, heard=heard, count=count)
        for listener in (OTHER, ENROLLED)
        for heard, count in ((0, 1), (1, 3), (5, 2), (20, 1))
    ]

    together = answering.ask(inquiries)
    alone = [answering.ask([each])[0] for each in inquiries]

    for (engine, given), (same, expected) in zip(together, alone, strict=True):
        assert engine is same
        for one, other in zip(given.songs, expected.songs, strict=True):
            assert one.song == other.song
            predicted, wanted = (each.decision.trials[-1].candidates.predicted for each in (one, other))
            np.testing.assert_allclose(predicted, wanted, atol=1e-5)


def test_what_was_chosen_together_replays_alone(engines: tuple[Engine, Engine]) -> None:
    engine, _ = engines
    questions = [inquiry_of(engine, heard=heard, count=2).read_by(engine) for heard in (0, 3, 9)]

    for answer in recommend_all(engine, questions):
        for outcome in answer.outcomes:
            rung, song, _ = replay(unpack_decision(pack_decision(outcome.decision)))
            assert (rung, song) == (outcome.decision.rung, outcome.decision.song)


def test_where_the_canary_fails_the_live_bundle_answers_and_both_are_counted(
    engines: tuple[Engine, Engine],
) -> None:
    current, canary = engines[0], failing(engines[1])
    answering = answering_with(current, canary)

    (answered,) = answering.ask([inquiry_of(current, ENROLLED)])
    answering.count(answered)

    assert answered[0] is current
    seen = answering.tally.take()
    assert seen[Subject(canary.bundle.version, 2, "error")] == Measured(1, 1.0)
    assert seen[Subject(current.bundle.version, 1, "error")] == Measured(1, 0.0)


def test_where_the_live_bundle_fails_the_request_is_refused_and_harms_no_other(
    engines: tuple[Engine, Engine],
) -> None:
    """Two newcomers share a run that fails, beside one whose history is sound."""
    current = failing(engines[0])
    answering = answering_with(current)

    newcomers = answering.ask([inquiry_of(current), inquiry_of(current, ENROLLED)])
    (sound,) = answering.ask([inquiry_of(current, heard=4)])

    assert [type(outcome) for outcome in newcomers] == [ModelsFailed, ModelsFailed]
    assert "could not make a choice" in str(newcomers[0])
    assert not isinstance(sound, Exception)
    answering.count(sound)
    assert answering.tally.take()[Subject(current.bundle.version, 1, "error")] == Measured(3, 2.0)


def test_an_answer_that_was_chosen_again_is_counted_once(engines: tuple[Engine, Engine]) -> None:
    """As is done for who would be given an approved song, and where the listener's state moved on meanwhile."""
    answering = answering_with(engines[0])
    asked = inquiry_of(engines[0], count=2)

    for _ in range(3):
        (answered,) = answering.ask([asked])
    answering.count(answered)

    seen = answering.tally.take()
    assert seen[Subject(engines[0].bundle.version, 1, "error")].count == 1
    assert seen[Subject(engines[0].bundle.version, 1, "fallback")].count == 2


def test_before_the_first_bundle_nothing_answers(engines: tuple[Engine, Engine]) -> None:
    (outcome,) = answering_with(None).ask([inquiry_of(engines[0])])

    assert isinstance(outcome, Unavailable)
    assert "no bundle is live" in str(outcome)
