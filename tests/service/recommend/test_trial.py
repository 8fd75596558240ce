"""Before a bundle answers anybody, invented listeners walk the whole road with it over the songs of today."""

from dataclasses import replace

import numpy as np
import pytest

from models.bundle import Bundle
from models.catalogue import Catalogue
from models.errors import BundleError
from service.live.engine import open_engine
from service.recommend.trial import try_out
from tests.bundles import SPACE, WIDE, failing_at, make_guardrails


def test_a_sound_bundle_passes(tiny_bundle: Bundle, tiny_catalogue: Catalogue) -> None:
    try_out(open_engine(tiny_bundle, tiny_catalogue))


def test_no_song_at_all_is_a_lawful_answer(tiny_bundle: Bundle, tiny_catalogue: Catalogue) -> None:
    nothing = Catalogue(
        songs=[], embeddings={SPACE.name: np.zeros((0, 8), np.float32)}, withdrawn=np.zeros(0, bool)
    )
    forbidding = make_guardrails(WIDE.model_copy(update={"arousal_band": 1e-6}))

    try_out(open_engine(tiny_bundle, nothing))
    try_out(open_engine(replace(tiny_bundle, guardrails=forbidding), tiny_catalogue))


def test_predictions_that_are_no_numbers_are_refused(tiny_bundle: Bundle, tiny_catalogue: Catalogue) -> None:
    engine = open_engine(tiny_bundle, tiny_catalogue)
    blind = replace(engine.vectors, head_hidden=np.full_like(engine.vectors.head_hidden, np.nan))

    with pytest.raises(BundleError, match="predicts nothing of any song"):
        try_out(replace(engine, _vectors=replace(engine._vectors, rows=blind)))


def test_what_golden_cases_do_not_reach_is_met_here(tiny_bundle: Bundle, tiny_catalogue: Catalogue) -> None:
    """The graph fails on somebody new alone; among other histories, as golden cases are asked, it does not."""
    graph = failing_at(tiny_bundle.graphs["world.onnx"], 1)
    engine = open_engine(replace(tiny_bundle, graphs={**tiny_bundle.graphs, "world.onnx": graph}), tiny_catalogue)

    with pytest.raises(Exception, match="out of data bounds"):
        try_out(engine)
