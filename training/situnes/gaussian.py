"""A Gaussian process whose covariance is a sum of named parts, each with a weight that the training rows choose.

Every part says of two rows how alike they are in one respect: the same listener, songs that sound alike, a like
situation. The target is brought to unit variance and a row's own noise is 1, so a weight is the variance of its
part in units of noise. Weights are moved one at a time, by factors of four, while the squared error of rows that
were left out falls; leaving out is in closed form, row by row or group by group, so nothing is fitted again.

Legend: N training rows · Q asked rows · P parts
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray
from scipy.linalg import cho_factor, cho_solve

Parts = Mapping[str, Float[ndarray, "Q N"]]
"""How alike rows are to training rows, by the name of the part; about 1 for a row and itself."""

START: Final = 0.15
_LEAST, _MOST, _FACTOR = START / 4**4, START * 4**3, 4.0
_GAIN: Final = 1e-3
"""The share of the error by which it must fall for a weight to be moved: held against fitting the folds."""
_CONSTANT: Final = 1.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class GaussianProcess:
    """Fitted weights, and what they make of the training rows."""

    weights: Mapping[str, float]
    """In units of noise."""
    left_out: Float[ndarray, " N"]
    """What is predicted of each training row when its group is left out."""
    mean: float
    spread: float
    _shares: Float[ndarray, " N"]

    def predict(self, parts: Parts) -> Float[ndarray, " Q"]:
        """Return the mean of each asked row."""
        alike = sum((weight * parts[name] for name, weight in self.weights.items()), np.float64(_CONSTANT))
        return np.asarray(self.mean + self.spread * (alike @ self._shares))


def fit_gaussian(parts: Parts, target: Float[ndarray, " N"], groups: Int[ndarray, " N"]) -> GaussianProcess:
    """Return the process with the weights whose error on left-out groups is least.

    Args:
        parts: of the training rows with themselves.
        target: any scale; constant targets are predicted as they are.
        groups: rows that are left out together: of the same song, or each row a group of its own.
    """
    mean, spread = float(target.mean()), float(target.std()) or 1.0
    standard = (target - mean) / spread
    weights = dict.fromkeys(parts, START)
    error = _error(parts, weights, standard, groups)
    moved = True
    while moved:
        moved = False
        for name in parts:
            for factor in (_FACTOR, 1 / _FACTOR):
                tried = weights | {name: weights[name] * factor}
                if not _LEAST <= tried[name] <= _MOST:
                    continue
                found = _error(parts, tried, standard, groups)
                if found < error * (1 - _GAIN):
                    weights, error, moved = tried, found, True
                    break
    shares, residuals = _solve(parts, weights, standard, groups)
    return GaussianProcess(
        weights=weights, left_out=target - spread * residuals, mean=mean, spread=spread, _shares=shares
    )


def _error(
    parts: Parts, weights: Mapping[str, float], target: Float[ndarray, " N"], groups: Int[ndarray, " N"]
) -> float:
    return float(np.mean(_solve(parts, weights, target, groups)[1] ** 2))


def _solve(
    parts: Parts, weights: Mapping[str, float], target: Float[ndarray, " N"], groups: Int[ndarray, " N"]
) -> tuple[Float[ndarray, " N"], Float[ndarray, " N"]]:
    """Return each row's share in every prediction, and its residual when its group is left out."""
    covariance = _CONSTANT + np.eye(len(target))
    for name, weight in weights.items():
        covariance += weight * parts[name]
    inverse = cho_solve(cho_factor(covariance), np.eye(len(target)))
    shares = inverse @ target
    order = np.argsort(groups, kind="stable")
    _, first = np.unique(groups[order], return_index=True)
    members = np.split(order, first[1:])
    if len(members) == len(target):
        return shares, shares / np.diag(inverse)
    residuals = np.empty(len(target))
    for rows in members:
        residuals[rows] = np.linalg.solve(inverse[np.ix_(rows, rows)], shares[rows])
    return shares, residuals
