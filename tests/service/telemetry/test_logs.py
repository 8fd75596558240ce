"""A log says where something went wrong and of what kind it was; never what a listener did or said."""

from models.errors import Unavailable
from service.telemetry.logs import tell_exception

MARK = "valence 0.731942 of listener marked-7319"


def told(raise_it) -> str:
    """What the log holds of an exception."""
    try:
        raise_it()
    except Exception:  # noqa: BLE001  whichever
        return str(tell_exception(None, "error", {"event": "request failed", "exc_info": True})["exception"])
    raise AssertionError


def test_an_error_nobody_expected_keeps_its_words_to_itself():
    def fail() -> None:
        raise ValueError(MARK)

    text = told(fail)

    assert MARK not in text
    assert "test_logs.py" in text
    assert "builtins.ValueError" in text


def test_so_does_every_error_it_came_from():
    def fail() -> None:
        try:
            {}[MARK]
        except KeyError as missing:
            raise Unavailable("the journal cannot be reached") from missing

    text = told(fail)

    assert MARK not in text
    assert "KeyError" in text
    assert "models.errors.Unavailable: the journal cannot be reached" in text


def test_an_event_without_an_exception_stays_as_it_is():
    assert tell_exception(None, "info", {"event": "request"}) == {"event": "request"}
