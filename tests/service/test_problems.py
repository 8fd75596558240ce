"""A problem is told as RFC 9457 has it, with the request's id and nothing of what caused it but what was said."""

import json

from starlette.requests import Request

from service.problems import CROWDED, MEDIA_TYPE, UNEXPECTED, answer

REQUEST = Request({"type": "http", "request_id": "r-1"})


def test_says_what_kind_which_status_and_which_request() -> None:
    told = answer(UNEXPECTED, REQUEST, detail="the request id names it in the log")

    assert (told.status_code, told.media_type) == (500, MEDIA_TYPE)
    assert json.loads(told.body) == {
        "type": "urn:amrs:problem:unexpected",
        "title": "Something went wrong here",
        "status": 500,
        "detail": "the request id names it in the log",
        "request_id": "r-1",
    }


def test_whoever_is_sent_away_is_told_to_come_again() -> None:
    assert answer(CROWDED, REQUEST, detail="full").headers["Retry-After"] == "1"


def test_places_that_are_wrong_are_listed_only_where_there_are_any() -> None:
    wrong = [{"path": "report.arousal", "message": "expected a number from 0 to 1, got 1.7"}]

    assert json.loads(answer(UNEXPECTED, REQUEST, detail="", errors=wrong).body)["errors"] == wrong
    assert "errors" not in json.loads(answer(UNEXPECTED, REQUEST, detail="", errors=[]).body)
