"""Enrolled listeners are answered by the canary bundle, everybody else by the live one; failures are counted."""

import pytest
from prometheus_client import CollectorRegistry

from models.bundle import Bundle
from models.catalogue import Catalogue
from models.errors import Unavailable
from models.listening import Population
from models.repository import Repository
from service.errors import ModelsFailed
from service.journal.measurements import Measured, Subject
from service.listener import ListenerKey
from service.live.canary import CanaryRoster
from service.live.engine import Engine, open_engine
from service.live.live import Live, Loaded
from service.live.tally import Tally
from service.recommend.answering import Answering
from service.telemetry.model_metrics import ModelMetrics
from tests.bundles import seal_bundle

ENROLLED, PATIENT, OTHER = (ListenerKey("default", name) for name in ("enrolled", "patient", "other"))


@pytest.fixture(scope="module")
def engines(
    tmp_path_factory: pytest.TempPathFactory, tiny_bundle: Bundle, tiny_catalogue: Catalogue
) -> tuple[Engine, Engine]:
    repository = Repository(tmp_path_factory.mktemp("canary"))
    canary = repository.open(seal_bundle(repository, seed=1))
    return open_engine(tiny_bundle, tiny_catalogue), open_engine(canary, tiny_catalogue)


@pytest.fixture
def answering(engines: tuple[Engine, Engine]) -> Answering:
    live, (current, canary) = Live(), engines
    since = {current.bundle.version: 1, canary.bundle.version: 2}
    live.hold(Loaded(current=current, canary=canary, since=since))
    return Answering(
        live=live,
        roster=CanaryRoster({ENROLLED: False, PATIENT: True}),
        tally=Tally(),
        metrics=ModelMetrics(CollectorRegistry()),
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
    answering: Answering, engines: tuple[Engine, Engine], listener: ListenerKey, population: Population, role: int
) -> None:
    assert answering.ask(listener, population, lambda _: None)[0] is engines[role]


def test_where_the_canary_fails_the_live_bundle_answers_and_both_are_counted(
    answering: Answering, engines: tuple[Engine, Engine]
) -> None:
    current, canary = engines

    def question(engine: Engine) -> str:
        if engine is canary:
            raise ValueError("no")
        return "a song"

    assert answering.ask(ENROLLED, Population.CONSUMER, question) == (current, "a song")
    assert answering.tally.take() == {
        Subject(canary.bundle.version, 2, "error"): Measured(1, 1.0),
        Subject(current.bundle.version, 1, "error"): Measured(1, 0.0),
    }


def test_where_the_live_bundle_fails_the_request_is_refused_to_be_sent_again(answering: Answering) -> None:
    def question(_: Engine) -> str:
        raise ValueError("no")

    with pytest.raises(ModelsFailed, match="could not make a choice"):
        answering.ask(OTHER, Population.CONSUMER, question)
    assert [found.total for found in answering.tally.take().values()] == [1.0]


def test_before_the_first_bundle_nothing_answers(answering: Answering) -> None:
    empty = Answering(live=Live(), roster=answering.roster, tally=answering.tally, metrics=answering.metrics)

    with pytest.raises(Unavailable, match="no bundle is live"):
        empty.ask(OTHER, Population.CONSUMER, lambda _: None)
