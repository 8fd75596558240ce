"""A Gaussian process whose covariance is a sum of named parts, each with a weight that the training rows choose.

Every part says of two rows how alike they are in one respect: the same listener, songs that sound alike, a like
situation. The targets are brought to unit variance and a row's own noise is 1, so a weight is the variance of its
part in units of noise. Several targets share one covariance. Weights are moved one at a time, by factors of four,
while the squared error of rows that were left out falls; leaving out is in closed form, row by row or group by
group, so nothing is fitted again.

Legend: N training rows · Q asked rows · P parts · T targets
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray
from scipy.linalg import lapack

from models.errors import DataError

Parts = Mapping[str, Float[ndarray, "Q N"]]
"""How alike rows are to training rows, by the name of the part; about 1 for a row and itself."""

START: Final = 0.15
_LEAST, _MOST, _FACTOR = START / 4**4, START * 4**3, 4.0
_GAIN: Final = 1e-3
"""The share of the error by which it must fall for a weight to be moved: held against fitting the folds."""
_ROUNDS: Final = 3
"""How often every weight is tried at most: what later rounds gain is below what folds can tell."""
_CONSTANT: Final = 1.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class GaussianProcess:
    """Fitted weights, and what they make of the training rows."""

    weights: Mapping[str, float]
    """In units of noise."""
    left_out: Float[ndarray, "N T"]
    """What is predicted of each training row when its group is left out."""
    mean: Float[ndarray, " T"]
    spread: Float[ndarray, " T"]
    _shares: Float[ndarray, "N T"]

    def predict(self, parts: Parts) -> Float[ndarray, "Q T"]:
        """Return the means of each asked row."""
        alike = sum((weight * parts[name] for name, weight in self.weights.items()), np.float64(_CONSTANT))
        return np.asarray(self.mean + self.spread * (alike @ self._shares))


def fit_gaussian(parts: Parts, targets: Float[ndarray, "N T"], groups: Int[ndarray, " N"]) -> GaussianProcess:
    """Return the process with the weights whose error on left-out groups is least.

    Args:
        parts: of the training rows with themselves.
        targets: any scale; constant ones are predicted as they are.
        groups: rows that are left out together: of the same song, or each row a group of its own.
    """
    mean, spread = targets.mean(axis=0), targets.std(axis=0)
    spread = np.where(spread > 0, spread, 1.0)
    standard = (targets - mean) / spread
    members = _members(groups)
    weights = dict.fromkeys(parts, START)
    covariance = _CONSTANT + np.eye(len(targets))
    for part in parts.values():
        covariance += START * part
    shares, residuals = _solve(covariance, standard, members)
    error = _square(residuals)
    for _ in range(_ROUNDS):
        moved = False
        for name in parts:
            for factor in (_FACTOR, 1 / _FACTOR):
                weight = weights[name] * factor
                if not _LEAST <= weight <= _MOST:
                    continue
                changed = covariance + (weight - weights[name]) * parts[name]
                found, left = _solve(changed, standard, members)
                if _square(left) < error * (1 - _GAIN):
                    weights[name], covariance, error = weight, changed, _square(left)
                    shares, residuals = found, left
                    moved = True
                    break
        if not moved:
            break
    return GaussianProcess(
        weights=weights, left_out=targets - spread * residuals, mean=mean, spread=spread, _shares=shares
    )


def _square(residuals: Float[ndarray, "N T"]) -> float:
    return float((residuals**2).mean())


def _members(groups: Int[ndarray, " N"]) -> list[Int[ndarray, " _"]] | None:
    """Return the rows of each group; None where every row is a group of its own."""
    order = np.argsort(groups, kind="stable")
    _, first = np.unique(groups[order], return_index=True)
    return None if len(first) == len(groups) else np.split(order, first[1:])


def _solve(
    covariance: Float[ndarray, "N N"], targets: Float[ndarray, "N T"], members: list[Int[ndarray, " _"]] | None
) -> tuple[Float[ndarray, "N T"], Float[ndarray, "N T"]]:
    """Return each row's share in every prediction, and its residuals when its group is left out."""
    lower, failed = lapack.dpotrf(covariance, lower=1)
    if failed:
        raise DataError("a covariance is not positive: its parts say of rows that they are unlike themselves")
    inverse, _ = lapack.dpotri(lower, lower=1)
    inverse = np.tril(inverse)
    inverse += np.tril(inverse, -1).T
    shares = inverse @ targets
    if members is None:
        return shares, shares / np.diag(inverse)[:, None]
    residuals = np.empty_like(targets)
    for rows in members:
        residuals[rows] = np.linalg.solve(inverse[np.ix_(rows, rows)], shares[rows])
    return shares, residuals
