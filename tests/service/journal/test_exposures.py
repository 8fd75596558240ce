"""Exposures: each mode's last offers are counted, over all listeners, answered or not."""

from sqlalchemy import Engine

from models.exposure import ExposureSnapshot
from models.listening import Mode, song_key
from service.journal.exposures import read_exposure
from service.listener import ListenerKey
from tests.service.journal.examples import MINUTE, NOON, recommend, start, write

OTHER = ListenerKey("default", "l-2")


def exposure(engine: Engine, *, mode: Mode = Mode.CALM, last: int = 100) -> ExposureSnapshot:
    with engine.begin() as sql:
        return read_exposure(sql, mode=mode, last=last, catalogue_size=10)


def counts(snapshot: ExposureSnapshot) -> dict[int, int]:
    return dict(zip(snapshot.keys.tolist(), snapshot.counts.tolist(), strict=True))


def offer_songs(engine: Engine) -> None:
    """Two listeners: song 1 and 2 at noon, song 1 a minute later."""
    write(engine, start())
    write(engine, recommend("song-1", "song-2", expected_sequence=1))
    write(engine, start(listener=OTHER))
    write(engine, recommend("song-1", expected_sequence=1, listener=OTHER, at=NOON + MINUTE))


def test_every_offer_of_every_listener_counts(engine: Engine) -> None:
    offer_songs(engine)

    assert counts(exposure(engine)) == {song_key("song-1"): 2, song_key("song-2"): 1}
    assert exposure(engine).coverage == 0.2


def test_only_the_last_offers_count(engine: Engine) -> None:
    offer_songs(engine)

    assert counts(exposure(engine, last=1)) == {song_key("song-1"): 1}


def test_another_mode_has_its_own(engine: Engine) -> None:
    offer_songs(engine)

    assert counts(exposure(engine, mode=Mode.SLEEP)) == {}
