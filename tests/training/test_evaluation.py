"""An evaluation is plain values: rounded, never NaN, and the same bytes for the same run."""

import json
from dataclasses import dataclass

import numpy as np

from training.evaluation import plain


@dataclass
class Measured:
    name: str
    values: tuple[float, ...]


def test_dataclasses_arrays_and_tuples_become_what_json_can_say():
    value = {"one": Measured("a", (0.5, 1.0)), "array": np.array([[1, 2]]), "flag": True, "none": None}

    assert plain(value) == {
        "one": {"name": "a", "values": [0.5, 1.0]},
        "array": [[1, 2]],
        "flag": True,
        "none": None,
    }


def test_floats_are_rounded_to_six_digits():
    assert plain([1 / 3, np.float32(0.25), np.float64(2 / 3)]) == [0.333333, 0.25, 0.666667]


def test_what_could_not_be_measured_is_null():
    assert (
        json.dumps(plain([float("nan"), float("inf"), np.float32("nan")]), allow_nan=False) == "[null, null, null]"
    )
