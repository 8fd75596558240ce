"""A trial on the road: invented listeners ask a bundle for songs before anybody real does.

Golden cases hold the graphs to what they computed when they were made; this walks the whole road over the
catalogue of today, so that what only meets in service (limits, intervals, songs, context) has met once.
"""

from typing import Final

import numpy as np

from models.errors import BundleError
from models.exposure import empty_snapshot
from models.listening import Mode
from service.clock import SECOND
from service.journal.events import Play
from service.live.engine import Engine
from service.memory.state import ListenerState, OpenSession, Session
from service.recommend.recommend import Recommended, recommend
from service.recommend.remember import view_of

_PLAYS: Final = 5
_NOW: Final = 1_800_000_000 * SECOND


def try_out(engine: Engine) -> None:
    """Ask for songs in every mode, as somebody new and as somebody with a history; this also warms the road up.

    No song at all is a lawful answer: guardrails have the last word.

    Raises:
        BundleError: a song that must not be given was, or nothing was predicted of any song.
        Exception: whatever the bundle's models raise.
    """
    active = np.flatnonzero(~engine.catalogue.withdrawn)
    songs = [int(key) for key in engine.catalogue.keys[active[:_PLAYS]]]
    for mode in Mode:
        for state in (invented(mode, []), invented(mode, songs)):
            assert state.open is not None
            view = view_of(state, state.open, engine.bundle.manifest.context)
            snapshot = empty_snapshot(len(active))
            _check(engine, recommend(engine, view, snapshot, now=_NOW / SECOND, count=2))


def ask_once(engine: Engine) -> None:
    """Have one invented listener ask for one song, as readiness does again and again.

    Raises:
        BundleError: there is no song to consider, or a prediction is not a number.
        Exception: whatever the bundle's models raise.
    """
    state = invented(Mode.UNSPECIFIED, [int(key) for key in engine.catalogue.keys[:_PLAYS]])
    assert state.open is not None
    view = view_of(state, state.open, engine.bundle.manifest.context)
    recommended = recommend(engine, view, empty_snapshot(len(engine.index)), now=_NOW / SECOND)
    outcome = recommended.refusal or recommended.songs[0]
    if not outcome.considered:
        raise BundleError(f"{engine.bundle.version} has no song to consider among {len(engine.index)}")
    if not np.isfinite(outcome.decision.trials[0].candidates.predicted).all():
        raise BundleError(f"{engine.bundle.version} predicts what is not a number")


def invented(mode: Mode, songs: list[int]) -> ListenerState:
    """Return an invented listener in their second session, having heard some songs in the first and now."""
    plays = tuple(Play(place, song, mode, 0.8, None, _NOW) for place, song in enumerate(songs))
    first = Session(1, mode, _NOW - 3600 * SECOND, (0.4, 0.6), (0.6, 0.4), {}, plays)
    second = Session(2, mode, _NOW, (0.5, 0.5), None, {}, plays[:1])
    return ListenerState(
        sequence=3,
        active_at=_NOW,
        sessions=(first, second) if songs else (second,),
        open=OpenSession(2, "trial", mode, len(plays[:1])),
    )


def _check(engine: Engine, recommended: Recommended) -> None:
    for each in recommended.songs:
        row = int(engine.catalogue.rows(np.array([each.decision.song]))[0])
        if engine.catalogue.withdrawn[row]:
            raise BundleError(f"{engine.bundle.version} recommends song {each.song.song_id!r}, which is withdrawn")
    outcomes = [*recommended.songs, *([recommended.refusal] if recommended.refusal else [])]
    for outcome in outcomes:
        predicted = outcome.decision.trials[0].candidates.predicted
        if predicted.size and not np.isfinite(predicted).all(axis=(1, 3)).any():
            raise BundleError(
                f"{engine.bundle.version} predicts nothing of any song: its predictions are no numbers"
            )
