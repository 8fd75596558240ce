"""A body is read only if it has one meaning: bounded, declared as JSON, and JSON without NaN or twins."""

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.api.strict import MalformedBody, parse_strictly

JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(JSON_VALUES)
def test_reads_whatever_json_can_say(value):
    assert parse_strictly(json.dumps(value, ensure_ascii=True).encode()) == value


@given(st.binary(max_size=64))
def test_reads_or_refuses_any_bytes_at_all(body):
    with suppress(MalformedBody):
        parse_strictly(body)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "expected JSON"),
        (b"{", "expected JSON"),
        (b"{'a': 1}", "expected JSON"),
        (b'{"a": 1} {"a": 1}', "Extra data"),
        (b'{"a": NaN}', "no NaN"),
        (b'{"a": Infinity}', "no Infinity"),
        (b'{"a": -Infinity}', "no -Infinity"),
        (b'{"a": 1, "a": 1}', "'a' more than once"),
        (b'{"a": {"b": 1, "c": 2, "b": 3}}', "'b' more than once"),
        (b'[{"\\u0061": 1, "a": 2}]', "'a' more than once"),
        (b'{"a": "\xff"}', "UTF-8"),
        (b'{"a": "\\ud800"}', "UTF-8"),
        (b"[" * 100_000, "depth"),
        (b"1" * 10_000, "length"),
        (b'\xef\xbb\xbf{"a": 1}', "expected JSON"),
    ],
)
def test_refuses_what_is_not_json_or_could_be_read_in_two_ways(body, message):
    with pytest.raises(MalformedBody, match=message):
        parse_strictly(body)


def test_keeps_a_whole_surrogate_pair():
    assert parse_strictly(b'"\\ud83c\\udfb5"') == "🎵"
