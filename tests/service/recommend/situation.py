"""One engine over the tiny bundle, and listeners to stand before it."""

from dataclasses import replace

import numpy as np

from models.bundle import Bundle
from models.guardrails import Limits
from models.listening import Listening, Mode, empty_listener
from service.live.engine import Engine, open_engine
from service.recommend.view import View
from tests.bundles import make_catalogue, make_guardrails
from training.export.golden import invented_listener

NOW = 1.8e9


def with_limits(bundle: Bundle, **changes: float) -> Bundle:
    """Return the bundle under other limits, the same for everybody."""
    limits = Limits.model_validate({**bundle.guardrails.limits["clinical"]["calm"].model_dump(), **changes})
    approved = bundle.guardrails.approved
    return replace(bundle, guardrails=make_guardrails(limits).model_copy(update={"approved": approved}))


def engine_with(bundle: Bundle, **limits: float) -> Engine:
    """Return an engine over the tiny catalogue under other limits."""
    return open_engine(with_limits(bundle, **limits), make_catalogue())


def newcomer(report: tuple[float, float] | None = None) -> Listening:
    """Return a listener in their first session, before its first play."""
    said = (np.nan, np.nan) if report is None else report
    return replace(
        empty_listener(context_fields=1),
        session_start=np.array([0, 1]),
        mode=np.array([Mode.CALM]),
        started_at=np.array([NOW]),
        before=np.array([said], np.float32),
        after=np.full((1, 2), np.nan, np.float32),
        context=np.full((1, 1), np.nan, np.float32),
        play_start=np.array([0, 0]),
    )


def regular(engine: Engine, plays: list[int], seed: int = 0) -> Listening:
    """Return a listener with so many plays in each session, the last of them open."""
    listening = invented_listener(
        np.random.default_rng(seed), plays, engine.catalogue.keys, engine.bundle.manifest.context
    )
    after = listening.after.copy()
    after[-1:] = np.nan
    return replace(listening, after=after)


def view_of(listening: Listening, **more) -> View:
    """Return the view of a listener in mode calm, nothing offered, nothing blocked."""
    return View(listening=listening, mode=Mode.CALM, **more)
