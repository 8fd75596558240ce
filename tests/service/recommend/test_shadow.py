"""The shadow compares after the answer, in sums without names; nobody waits for it, and its failures harm none."""

from dataclasses import replace
from time import monotonic, sleep

import numpy as np
import pytest
from prometheus_client import CollectorRegistry

from models.bundle import Bundle
from models.catalogue import Catalogue
from models.exposure import empty_snapshot
from models.listening import Mode
from service.clock import SECOND
from service.journal.measurements import Measured
from service.listener import ListenerKey
from service.live.engine import Engine, open_engine
from service.live.live import Live, Loaded
from service.live.tally import Tally
from service.recommend.answering import Inquiry
from service.recommend.differences import OVERLAP, SAME_SONG, differences, predicted_differences, rung_measure
from service.recommend.recommend import recommend_all
from service.recommend.shadow import QUEUE_LIMIT, Sample, Shadow, compared
from service.recommend.trial import invented
from service.telemetry.model_metrics import ModelMetrics
from tests.bundles import WIDE, failing_at, make_guardrails

AT = 1_800_000_000 * SECOND


@pytest.fixture(scope="module")
def engine(tiny_bundle: Bundle, tiny_catalogue: Catalogue) -> Engine:
    return open_engine(tiny_bundle, tiny_catalogue)


def sample_of(engine: Engine, *, count: int = 1, play_count: int = 0) -> Sample:
    state = invented(Mode.CALM, [int(key) for key in engine.catalogue.keys[:play_count]])
    assert state.open is not None
    inquiry = Inquiry(
        listener=ListenerKey("default", "invented"),
        state=state,
        opened=state.open,
        snapshot=empty_snapshot(60),
        at=AT,
        count=count,
        exclude=(),
    )
    (given,) = recommend_all(engine, [inquiry.read_by(engine)])
    return Sample(inquiry, given)


def test_the_same_bundle_differs_in_nothing(engine: Engine) -> None:
    found = compared(engine, sample_of(engine, count=3, play_count=5))

    assert found[SAME_SONG] == found[OVERLAP] == 1.0
    assert {value for name, value in found.items() if name not in (SAME_SONG, OVERLAP)} == {0.0}


def test_a_bundle_that_refuses_more_is_told_from_one_that_refuses_less(
    tiny_bundle: Bundle, tiny_catalogue: Catalogue, engine: Engine
) -> None:
    strict = make_guardrails(WIDE.model_copy(update={"arousal_band": 1e-6})).model_copy(update={"approved": {}})
    refusing = open_engine(replace(tiny_bundle, guardrails=strict), tiny_catalogue)
    generous, silent = sample_of(engine).given, sample_of(refusing).given

    assert differences(generous, silent)[rung_measure("refused more")] == 1.0
    assert differences(silent, generous)[rung_measure("refused less")] == 1.0
    assert differences(silent, generous)[rung_measure("refused more")] == 0.0


def test_predictions_of_the_song_that_was_given_are_compared_with_sign_and_without() -> None:
    """Valence 0.2 lower, the mean over two members; engagement is no number in one of them, and is left out."""
    given = np.array([[np.nan, 0.5, 0.6, 0.5], [0.5, 0.5, 0.8, 0.5]], np.float32)
    shadow = np.array([[0.5, 0.5, 0.5, 0.5]], np.float32)

    found = predicted_differences(given, shadow)

    assert found["shadow valence"] == pytest.approx(-0.2)
    assert found["shadow valence apart"] == pytest.approx(0.2)
    assert "shadow engagement" not in found


def shadowing(engine: Engine) -> tuple[Shadow, Tally]:
    live, tally = Live(), Tally()
    live.hold(Loaded(shadow=engine, since={engine.bundle.version: 7}))
    return Shadow(live, tally, ModelMetrics(CollectorRegistry())), tally


def wait_for(tally: Tally, measure: str) -> Measured:
    until = monotonic() + 20
    while monotonic() < until:
        for subject, found in tally.take().items():
            if subject.measure == measure:
                return found
        sleep(0.01)
    raise AssertionError(f"nothing was measured of {measure}")


def test_more_than_it_can_look_at_is_dropped_and_counted_and_nobody_waits(engine: Engine) -> None:
    sample = sample_of(engine)
    shadow, tally = shadowing(engine)
    try:
        for _ in range(QUEUE_LIMIT + 200):
            shadow.show(*sample)

        assert wait_for(tally, "shadow dropped").count > 100
    finally:
        shadow.close()


def test_a_shadow_that_fails_is_counted(tiny_bundle: Bundle, tiny_catalogue: Catalogue, engine: Engine) -> None:
    graph = failing_at(tiny_bundle.graphs["world.onnx"], 1)
    failing = open_engine(replace(tiny_bundle, graphs={**tiny_bundle.graphs, "world.onnx": graph}), tiny_catalogue)
    shadow, tally = shadowing(failing)
    try:
        shadow.show(*sample_of(engine))

        assert wait_for(tally, "shadow error") == Measured(1, 1.0)
    finally:
        shadow.close()


def test_without_a_bundle_in_shadow_nothing_is_kept(engine: Engine) -> None:
    tally = Tally()
    shadow = Shadow(Live(), tally, ModelMetrics(CollectorRegistry()))
    shadow.show(*sample_of(engine))
    shadow.close()

    assert tally.take() == {}
