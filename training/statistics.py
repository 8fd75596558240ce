"""What may be said of a few repetitions: means, paired differences and their uncertainty. Pure functions.

Splits of one log share listeners, so the plain paired t-test is too sure of itself; the Nadeau–Bengio correction
stands beside it. Plays of one listener resemble each other, so intervals resample whole listeners. Where nothing
can be said (one repetition, no spread), the answer is None and never NaN.

Legend: k repetitions (splits or seeds), paired by place · n values
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray
from scipy import stats

from models.errors import DataError

Numbers = Sequence[float | int] | Float[ndarray, " k"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """The mean and the sample SD of k repetitions."""

    mean: float
    sd: float | None
    """With k − 1 in the denominator; None of a single repetition."""
    count: int

    def shown(self, digits: int = 3, *, times: float | int = 1) -> str:
        """Return `mean (SD)` as the paper prints it, both multiplied by `times`: 100 for percent."""
        sd = "" if self.sd is None else f" ({times * self.sd:.{digits}f})"
        return f"{times * self.mean:.{digits}f}{sd}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A mean and the interval around it."""

    mean: float
    low: float
    high: float
    level: float = 0.95

    @property
    def above_zero(self) -> bool:
        """Whether the whole interval lies above 0."""
        return self.low > 0

    def shown(self, digits: int = 3, *, times: float | int = 1) -> str:
        """Return `mean [low, high]` with signs, all multiplied by `times`: 100 for percent."""
        mean, low, high = (f"{times * value:+.{digits}f}" for value in (self.mean, self.low, self.high))
        return f"{mean} [{low}, {high}]"


@dataclass(frozen=True, slots=True, kw_only=True)
class PairedTest:
    """A two-sided t-test of whether the mean difference is 0."""

    difference: float
    """The mean of values − reference."""
    t: float | None
    p: float | None
    """None, as t, where every difference is the same: no spread to hold it against."""
    count: int

    @property
    def stars(self) -> str:
        """The paper's marks: * below .05, ** below .01, *** below .001."""
        return "" if self.p is None else "*" * sum(self.p < level for level in (0.05, 0.01, 0.001))


def spread(values: Numbers) -> Spread | None:
    """Return mean and SD; None of nothing.

    Raises:
        DataError: a value is not finite, as in every function of this file.
    """
    numbers = _finite(values)
    if not len(numbers):
        return None
    sd = float(numbers.std(ddof=1)) if len(numbers) > 1 else None
    return Spread(mean=float(numbers.mean()), sd=sd, count=len(numbers))


def paired_t(values: Numbers, reference: Numbers) -> PairedTest | None:
    """Return the paired t-test as the paper prints it; None of fewer than two pairs."""
    return _paired(values, reference, variance_factor=lambda count: 1 / count)


def nadeau_bengio_t(values: Numbers, reference: Numbers, *, test_per_train: float) -> PairedTest | None:
    """Return the paired t-test corrected for splits that overlap; None of fewer than two pairs.

    The variance of the mean difference is taken as (1/k + n_test/n_train) s² in place of s²/k.
    Source: Nadeau and Bengio 2003, §3.

    Args:
        values: one per split.
        reference: of the same splits.
        test_per_train: n_test/n_train, test listeners per training listener: 1/8 for 80/10/10.
    """
    if not test_per_train > 0:
        raise DataError(f"test listeners per training listener must be above 0; got {test_per_train}")
    return _paired(values, reference, variance_factor=lambda count: 1 / count + test_per_train)


def mean_interval(values: Numbers, *, level: float = 0.95) -> Interval | None:
    """Return the t interval of the mean over repetitions; None of fewer than two."""
    numbers = _finite(values)
    return _t_interval(numbers, variance_factor=1 / max(len(numbers), 1), level=level)


def nadeau_bengio_interval(
    values: Numbers, reference: Numbers, *, test_per_train: float, level: float = 0.95
) -> Interval | None:
    """Return the t interval of values − reference over splits that overlap; None of fewer than two.

    As wide as `nadeau_bengio_t` takes the mean difference to vary.
    """
    differences = _differences(values, reference)
    factor = 1 / max(len(differences), 1) + test_per_train
    return _t_interval(differences, variance_factor=factor, level=level)


def paired_interval(values: Numbers, reference: Numbers, *, level: float = 0.95) -> Interval | None:
    """Return the t interval of values − reference over paired seeds; None of fewer than two."""
    return mean_interval(_differences(values, reference), level=level)


def paired_gain_interval(values: Numbers, reference: Numbers, *, level: float = 0.95) -> Interval | None:
    """Return the t interval of values/reference − 1 over paired seeds; None of one pair or a reference ≤ 0."""
    numbers, base = _pairs(values, reference)
    if not (base > 0).all():
        return None
    return mean_interval(numbers / base - 1, level=level)


def clustered_interval(
    values: Float[ndarray, " n"],
    listeners: Int[ndarray, " n"],
    *,
    rng: np.random.Generator,
    level: float = 0.95,
    resamples: int = 2000,
) -> Interval | None:
    """Return the bootstrap interval of the mean when whole listeners are drawn; None of fewer than two listeners.

    For a paired difference, hand in the differences; all values of a listener stay together.

    Args:
        values: one number per play, rollout or session.
        listeners: whose each value is; any whole numbers.
        rng: draws the listeners.
        level: the share of resampled means inside.
        resamples: how many means are drawn.
    """
    numbers = _finite(values)
    sums, counts = _by_listener(numbers, listeners)
    if len(counts) < 2:
        return None
    means = np.concatenate(
        [sums[draw].sum(axis=1) / counts[draw].sum(axis=1) for draw in _draws(len(counts), resamples, rng)]
    )
    return _percentiles(float(numbers.mean()), means, level)


def clustered_gain_interval(
    values: Float[ndarray, " n"],
    reference: Float[ndarray, " n"],
    listeners: Int[ndarray, " n"],
    *,
    rng: np.random.Generator,
    level: float = 0.95,
    resamples: int = 2000,
) -> Interval | None:
    """Return the bootstrap interval of mean(values)/mean(reference) − 1 when whole listeners are drawn.

    None of fewer than two listeners, or where a mean of the reference is not above 0. The arguments are those of
    `clustered_interval`, values and reference of the same rollouts.
    """
    numbers, base = _pairs(values, reference)
    sums, counts = _by_listener(numbers, listeners)
    base_sums, _ = _by_listener(base, listeners)
    if len(counts) < 2 or not base.mean() > 0:
        return None
    drawn = [(sums[draw].sum(axis=1), base_sums[draw].sum(axis=1)) for draw in _draws(len(counts), resamples, rng)]
    top, bottom = (np.concatenate(part) for part in zip(*drawn, strict=True))
    if not (bottom > 0).all():
        return None
    return _percentiles(float(numbers.mean() / base.mean() - 1), top / bottom - 1, level)


def clustered_function_interval(
    function: Callable[[Float[ndarray, "*shape k"]], Float[ndarray, "*shape"]],
    values: Float[ndarray, "n k"],
    listeners: Int[ndarray, " n"],
    *,
    rng: np.random.Generator,
    level: float = 0.95,
    resamples: int = 2000,
) -> Interval | None:
    """Return the bootstrap interval of a function of k means, such as a difference of two gains.

    None where the function, or more than a twentieth of its resamples, is not finite, or of fewer than two
    listeners.

    Args:
        function: of k means in the last axis; any leading axes.
        values: k numbers per rollout, all finite.
        listeners: whose each row is; any whole numbers.
        rng: draws the listeners.
        level: the share of resampled values inside.
        resamples: how many are drawn.
    """
    whole = _finite(values.ravel()).reshape(values.shape)
    columns = [_by_listener(column, listeners) for column in whole.T]
    count = len(columns[0][1])
    if count < 2:
        return None
    sums, rows = np.stack([sums for sums, _ in columns], axis=-1), columns[0][1]  # (b, k), (b,)
    with np.errstate(all="ignore"):
        told = function(whole.mean(axis=0))
        resampled = np.concatenate(
            [
                function(sums[draw].sum(axis=1) / rows[draw].sum(axis=1)[:, None])
                for draw in _draws(count, resamples, rng)
            ]
        )
    finite = resampled[np.isfinite(resampled)]
    if not np.isfinite(told) or len(finite) < 0.95 * resamples:
        return None
    return _percentiles(float(told), finite, level)


def _t_interval(numbers: Float[ndarray, " k"], *, variance_factor: float, level: float) -> Interval | None:
    count = len(numbers)
    if count < 2:
        return None
    mean = float(numbers.mean())
    reach = float(stats.t.ppf(0.5 + level / 2, count - 1)) * float(numbers.std(ddof=1)) * variance_factor**0.5
    return Interval(mean=mean, low=mean - reach, high=mean + reach, level=level)


def _paired(values: Numbers, reference: Numbers, *, variance_factor: Callable[[int], float]) -> PairedTest | None:
    differences = _differences(values, reference)
    count = len(differences)
    if count < 2:
        return None
    mean, variance = float(differences.mean()), float(differences.var(ddof=1))
    if variance <= (1e-12 * max(1.0, abs(mean))) ** 2:  # what rounding leaves of equal differences
        return PairedTest(difference=mean, t=None, p=None, count=count)
    t = mean / (variance_factor(count) * variance) ** 0.5
    return PairedTest(difference=mean, t=t, p=float(2 * stats.t.sf(abs(t), count - 1)), count=count)


def _differences(values: Numbers, reference: Numbers) -> Float[ndarray, " k"]:
    numbers, base = _pairs(values, reference)
    return numbers - base


def _pairs(values: Numbers, reference: Numbers) -> tuple[Float[ndarray, " k"], Float[ndarray, " k"]]:
    numbers, base = _finite(values), _finite(reference)
    if len(numbers) != len(base):
        raise DataError(f"paired values need one reference each; got {len(numbers)} and {len(base)}")
    return numbers, base


def _finite(values: Numbers) -> Float[ndarray, " k"]:
    numbers = np.asarray(values, np.float64)
    if not np.isfinite(numbers).all():
        raise DataError(
            f"expected finite numbers; value {int(np.argmin(np.isfinite(numbers)))} of {len(numbers)} is not"
        )
    return numbers


def _by_listener(
    values: Float[ndarray, " n"], listeners: Int[ndarray, " n"]
) -> tuple[Float[ndarray, " b"], Float[ndarray, " b"]]:
    """Return the sum and the number of each listener's values."""
    if len(values) != len(listeners):
        raise DataError(f"every value needs its listener; got {len(values)} values and {len(listeners)} listeners")
    _, place = np.unique(listeners, return_inverse=True)
    return np.bincount(place, values), np.bincount(place).astype(np.float64)


def _draws(count: int, resamples: int, rng: np.random.Generator) -> list[Int[ndarray, "r b"]]:
    """Return the listeners drawn in each resample, in chunks that fit into memory."""
    chunk = max(1, 1_000_000 // count)
    sizes = [min(chunk, resamples - done) for done in range(0, resamples, chunk)]
    return [rng.integers(count, size=(size, count)) for size in sizes]


def _percentiles(mean: float, resampled: Float[ndarray, " r"], level: float) -> Interval:
    low, high = np.quantile(resampled, [0.5 - level / 2, 0.5 + level / 2])
    return Interval(mean=mean, low=float(low), high=float(high), level=level)
