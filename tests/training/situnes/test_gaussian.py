"""Leaving out in closed form is leaving out; and what does not help is not listened to."""

import numpy as np
import pytest

from training.situnes.gaussian import START, fit_gaussian


def parts_of(columns: np.ndarray, others: np.ndarray) -> dict[str, np.ndarray]:
    return {
        "first": np.outer(columns[:, 0], others[:, 0]),
        "second": np.exp(-((columns[:, [1]] - others[:, 1]) ** 2)),
    }


@pytest.fixture(scope="module")
def columns() -> np.ndarray:
    return np.random.default_rng(3).normal(size=(40, 2))


@pytest.mark.parametrize("per_group", [1, 4])
def test_left_out_rows_are_predicted_as_if_they_had_never_been_there(columns: np.ndarray, per_group: int):
    """With the same weights, mean and spread, a process of the other rows says the same."""
    target = columns[:, 0] + np.sin(columns[:, 1]) + np.random.default_rng(4).normal(0, 0.3, 40)
    groups = np.arange(40) // per_group
    fitted = fit_gaussian(parts_of(columns, columns), target[:, None], groups)

    standard = (target - target.mean()) / target.std()
    rest = groups != 0
    alike = 1.0 + sum(fitted.weights[name] * part for name, part in parts_of(columns, columns[rest]).items())
    shares = np.linalg.solve(alike[rest] + np.eye(rest.sum()), standard[rest])
    expected = target.mean() + target.std() * (alike[~rest] @ shares)

    assert fitted.left_out[~rest, 0] == pytest.approx(expected)


def test_a_part_that_explains_the_target_is_heard_more_than_one_that_does_not(columns: np.ndarray):
    target = 2 * columns[:, 0] + np.random.default_rng(5).normal(0, 0.5, 40)
    fitted = fit_gaussian(parts_of(columns, columns), target[:, None], np.arange(40))

    assert fitted.weights["first"] > START > fitted.weights["second"]
    assert np.corrcoef(fitted.left_out[:, 0], target)[0, 1] > 0.9


def test_a_constant_target_is_predicted_as_it_is(columns: np.ndarray):
    fitted = fit_gaussian(parts_of(columns, columns), np.full((40, 2), 3.0), np.arange(40))

    assert fitted.left_out == pytest.approx(np.full((40, 2), 3.0))
    assert fitted.predict(parts_of(columns + 1, columns)) == pytest.approx(np.full((40, 2), 3.0))
