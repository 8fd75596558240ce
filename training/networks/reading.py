"""A reading: the fixed affine map through which networks see songs, fitted on the training songs' embeddings.

Embeddings of audio models share a large mean and a few strong directions, and a few thousand reports cannot
teach a network 768 weights per unit. A reading centres, keeps the leading principal components and brings
each to the same small spread, so that songs whisper beside feedback of unit spread (TRIAL, World model).

Being affine, it melts into each network's first linear layer: see `Reading.then`.

Legend: N songs · E embedding width · K components kept
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from models.bundle import Affine
from models.errors import ConfigError, DataError


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadingConfig:
    """How much of an embedding is read, and how loudly."""

    components: int = 16
    """K; cut to what the training songs can support."""
    spread: float = 0.15
    """Standard deviation of every component over the training songs."""

    def __post_init__(self) -> None:
        if self.components < 1 or not self.spread > 0:
            raise ConfigError(
                f"a reading needs 1 component and a spread above 0; got {self.components} and {self.spread}"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading(Affine):
    """Embedding → song vector."""

    @property
    def width(self) -> int:
        """K."""
        return len(self.offset)

    def then(self, matrix: Float[ndarray, "K D"], offset: Float[ndarray, " D"] | None = None) -> Affine:
        """Return the one map that equals this reading followed by x ↦ x @ matrix + offset."""
        after = np.zeros(matrix.shape[1]) if offset is None else offset.astype(np.float64)
        return Affine(
            matrix=(self.matrix.astype(np.float64) @ matrix).astype(np.float32),
            offset=(self.offset.astype(np.float64) @ matrix + after).astype(np.float32),
        )


def fit_reading(embeddings: Float[ndarray, "N E"], config: ReadingConfig) -> Reading:
    """Return the reading of the given training songs; the same songs give the same reading.

    Directions along which the songs do not differ are dropped, so K may come out smaller than asked for.

    Raises:
        DataError: there are fewer than two different songs to fit on.
    """
    centre = embeddings.mean(axis=0, dtype=np.float64)
    deviations = embeddings.astype(np.float64) - centre
    variances, directions = np.linalg.eigh(deviations.T @ deviations / max(len(embeddings), 1))
    order = np.argsort(variances)[::-1][: config.components]
    order = order[variances[order] > 1e-9 * max(variances[-1], 1e-12)]
    if len(embeddings) < 2 or variances[-1] <= 1e-12:
        raise DataError(f"a reading needs at least two different songs; got {len(embeddings)} that are alike")
    leading = directions[:, order]  # (E, K)
    loudest = np.abs(leading).argmax(axis=0)
    leading = leading * np.sign(leading[loudest, np.arange(len(order))])  # an eigenvector's sign is arbitrary
    matrix = leading * (config.spread / np.sqrt(variances[order]))
    return Reading(matrix=matrix.astype(np.float32), offset=(-centre @ matrix).astype(np.float32))
