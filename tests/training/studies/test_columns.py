"""Records written as columns come back as the rows they were, to the last digit and the last missing value."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.studies.cells import Records
from training.studies.columns import as_columns, as_rows

NUMBERS = st.floats(allow_nan=False, allow_infinity=False).map(lambda value: value + 0.0)  # no −0.0: 0 has no sign
SCALARS = st.one_of(st.none(), st.booleans(), st.integers(), NUMBERS, st.text(max_size=3))
NAMES = st.sampled_from(["policy", "true_valence", "e-6", "runs"])
ROWS = st.lists(st.dictionaries(NAMES, SCALARS, min_size=1), max_size=6)
ROWS_OF_NUMBERS = st.lists(
    st.dictionaries(NAMES, NUMBERS.map(lambda value: float(f"{value:.7g}") + 0.0), min_size=1)
)


def again(records: Records) -> Records:
    return as_rows(json.loads(json.dumps(as_columns(records))))


@given(records=st.dictionaries(st.sampled_from(["listeners", "exposure"]), st.one_of(ROWS, ROWS_OF_NUMBERS)))
def test_rows_come_back_as_they_were(records: Records):
    assert repr(_sorted(again(records))) == repr(_sorted(records))


def _sorted(records: Records) -> Records:
    """Rows whose columns stand in one order; repr tells 1 from 1.0 and from true."""
    return {kind: [dict(sorted(row.items())) for row in rows] for kind, rows in records.items()}


def test_fractions_are_written_in_the_smallest_unit_that_the_column_needs():
    values = [0.472123, None, 0.5, *(0.613007, 0.401234) * 4, 0.05812]
    records = {"listeners": [{"listener": row, "true_valence": value} for row, value in enumerate(values)]}

    written = as_columns(records)["listeners"]["true_valence"]

    assert written == {"e-6": [472123, None, 500000, *(613007, 401234) * 4, 58120]}


def test_what_stands_in_row_after_row_is_written_once():
    records = {"exposure": [{"policy": "Copycat"}] * 4 + [{"policy": "Random"}] * 4}

    assert as_columns(records) == {"exposure": {"policy": {"runs": [["Copycat", 4], ["Random", 4]]}}}


def test_numbers_of_very_different_size_are_written_as_they_are():
    records = {"looks": [{"kl_nats": 3e-12}, {"kl_nats": 12345.67}]}

    assert as_columns(records) == {"looks": {"kl_nats": [3e-12, 12345.67]}}


def test_a_row_without_a_value_is_told_from_one_whose_value_is_none():
    records = {"listeners": [{"distance_calm": None, "listener": 1}, {"listener": 2}]}

    assert as_columns(records)["listeners"]["distance_calm"] == [None, []]
    assert again(records) == records


@pytest.mark.parametrize("written", [{"a": [1], "b": [1, 2]}, {"a": {"e+6": [1]}}, {"a": {}}])
def test_columns_that_do_not_fit_together_are_refused(written: dict[str, object]):
    with pytest.raises(ValueError, match="expected|zip|unpack"):
        as_rows({"listeners": written})
