"""Records as they are written: a column per name instead of a name per value, and not a digit less.

A column is written as whichever of these is shortest; all three can be read by eye:

- `[…]`: its values, row by row;
- `{"runs": [[value, count], …]}`: a value that stands for several rows in a row is written once;
- `{"e-6": […]}`: fractions in units of 1e-6, as many digits as the column needs.

`[]` in place of a value means that the row does not have it; null is a value.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from itertools import groupby
from typing import Any, Final

from training.studies.cells import Records, Row, Scalar

_RUNS: Final = "runs"
_ABSENT: Final[list[Scalar]] = []
"""What stands where a row lacks a column; no value is a list."""
_MOST_DIGITS: Final = 15
"""Behind the point; a column with a number that needs more is written as it is."""


def as_columns(records: Records) -> dict[str, dict[str, Any]]:
    """Return records as JSON, column by column; every row has at least one value."""
    return {
        kind: {
            name: _shortest([row.get(name, _ABSENT) for row in rows])
            for name in dict.fromkeys(name for row in rows for name in row)
        }
        for kind, rows in records.items()
    }


def as_rows(columns: Mapping[str, Mapping[str, Any]]) -> dict[str, list[Row]]:
    """Return the records that were written.

    Raises:
        ValueError: the columns of a kind differ in length, or one is in no known form.
        TypeError, AttributeError: it is no column at all.
    """
    return {kind: _rows({name: _values(written) for name, written in of.items()}) for kind, of in columns.items()}


def _rows(columns: Mapping[str, Sequence[Any]]) -> list[Row]:
    return [
        {name: value for name, value in zip(columns, values, strict=True) if value != _ABSENT}
        for values in zip(*columns.values(), strict=True)
    ]


def _shortest(values: Sequence[Any]) -> Any:
    """Return a column in the form that takes the fewest characters; the plainest of equals."""
    return min(_forms(values), key=lambda form: len(json.dumps(form, ensure_ascii=False, separators=(",", ":"))))


def _forms(values: Sequence[Any]) -> Iterable[Any]:
    yield list(values)
    yield {_RUNS: [[value, sum(1 for _ in run)] for (_, value), run in groupby(values, key=_told_apart)]}
    fractions = [Decimal(repr(value)) for value in values if isinstance(value, float)]
    digits = max((_digits_behind_point(each) for each in fractions), default=_MOST_DIGITS + 1)
    if digits <= _MOST_DIGITS and not any(isinstance(value, str | int) for value in values):
        yield {
            f"e-{digits}": [
                int(Decimal(repr(value)).scaleb(digits)) if isinstance(value, float) else value for value in values
            ]
        }


def _told_apart(value: Any) -> tuple[type, Any]:
    """Return what a run has in common: 1, 1.0 and true are three values."""
    return type(value), value


def _digits_behind_point(number: Decimal) -> int:
    exponent = number.as_tuple().exponent
    assert isinstance(exponent, int), "only finite numbers are kept"
    return max(0, -exponent)


def _values(written: Any) -> list[Any]:
    """Return a column's values from any of the three forms."""
    if isinstance(written, list):
        return written
    ((form, held),) = written.items()
    if form == _RUNS:
        return [value for value, count in held for _ in range(count)]
    if not form.startswith("e-"):
        raise ValueError(f"expected runs or a power of ten; got {form!r}")
    return [float(f"{value}{form}") if isinstance(value, int) else value for value in held]
