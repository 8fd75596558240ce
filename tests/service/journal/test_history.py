"""A listener's plays come in pages, newest first, each with its session's reports, and nobody else's."""

import pytest
from sqlalchemy import Engine

from models.affect import Affect
from models.errors import DataError
from service.errors import UnknownListener
from service.journal.history import HistoryPage, read_history
from service.listener import ListenerKey
from tests.service.journal.examples import LISTENER, NOON, end, feed_back, recommend, start, token, write


def page(engine: Engine, limit: int = 100, before: str | None = None) -> HistoryPage:
    with engine.begin() as sql:
        return read_history(sql, LISTENER, limit=limit, before=before)


def listen(engine: Engine, session_id: str, songs: list[str], *, sequence: int) -> None:
    """A session of songs, all of them answered, with a report at its end."""
    write(engine, start(session_id))
    write(
        engine,
        recommend(*songs, expected_sequence=sequence + 1, session_id=session_id, request_id=f"r-{session_id}"),
    )
    for place, song_id in enumerate(songs):
        about = token(song_id, position=place, session_id=session_id)
        write(engine, feed_back(f"e-{session_id}-{place}", about=about))
    write(engine, end(session_id, event_id=f"end-{session_id}", report=Affect(0.75, 0.25)))


def test_plays_come_newest_first_page_by_page(engine: Engine) -> None:
    listen(engine, "s-1", ["a", "b", "c"], sequence=0)
    listen(engine, "s-2", ["d", "e"], sequence=6)

    seen, before, counts = [], None, []
    while True:
        found = page(engine, limit=2, before=before)
        seen += [play.song_id for play in found.plays]
        counts.append(len(found.plays))
        before = found.before
        if before is None:
            break
    assert seen == ["e", "d", "c", "b", "a"]
    assert counts == [2, 2, 1]


def test_a_play_knows_its_session_and_its_report(engine: Engine) -> None:
    listen(engine, "s-1", ["a"], sequence=0)

    (play,) = page(engine).plays
    assert (play.session.session_id, play.session.before, play.session.after) == ("s-1", None, (0.75, 0.25))
    assert (play.engagement, play.rating, play.mode, play.offered_at) == (0.5, None, "calm", NOON)


def test_a_song_not_answered_is_not_history(engine: Engine) -> None:
    write(engine, start())
    write(engine, recommend("a", expected_sequence=1))

    assert page(engine) == HistoryPage(plays=[], before=None)


def test_the_history_of_nobody_is_refused(engine: Engine) -> None:
    listen(engine, "s-1", ["a"], sequence=0)

    with pytest.raises(UnknownListener), engine.begin() as sql:
        read_history(sql, ListenerKey("other", "l-1"), limit=1)


@pytest.mark.parametrize("cursor", ["", "1", "1.", "x.1", "1.-1", "1.1; DROP", "١.١", "1" * 40 + ".1"])
def test_a_cursor_no_page_gave_is_refused(engine: Engine, cursor: str) -> None:
    write(engine, start())

    with pytest.raises(DataError, match="before"):
        page(engine, before=cursor)
