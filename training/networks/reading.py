"""A reading: the fixed affine map through which networks see songs, fitted on the training songs' embeddings.

Embeddings of audio models share a large mean and a few strong directions, and a few thousand reports cannot
teach a network 768 weights per unit. A reading centres, keeps the leading principal components and brings
each to the same small spread, so that songs whisper beside feedback of unit spread (TRIAL, World model).

Where the platform tags songs with affect, it also keeps the direction along which the embedding tells each tag,
more loudly: a few thousand tags know better than a few thousand reports where a song's valence and arousal lie
in an embedding, and a ridge regression drops what the tags have of noise (TRIAL, tags as prior mean). Songs need
a tag only in training; a new one is read from its embedding alone.

Being affine, it melts into each network's first linear layer: see `Reading.then`.

Legend: N songs · E embedding width · K components kept · G tags
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from models.bundle import Affine
from models.errors import ConfigError, DataError

TAG_PENALTY: Final = 300.0
"""How many songs' worth of doubt there is about every direction of the embedding, when tags are told from it; the
song order they lead to changes by less than .005 between 10 and 10,000."""
_FEWEST_TAGGED: Final = 100
"""With fewer tagged songs, a direction of the embedding would be the tags' noise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadingConfig:
    """How much of an embedding is read, and how loudly."""

    components: int = 16
    """Principal components; cut to what the training songs can support."""
    spread: float = 0.15
    """Standard deviation of every principal component over the training songs."""
    tag_spread: float = 0.5
    """The same of every direction that tells a tag."""

    def __post_init__(self) -> None:
        if self.components < 1 or not self.spread > 0 or not self.tag_spread > 0:
            raise ConfigError(
                "a reading needs 1 component and spreads above 0; got "
                f"{self.components}, {self.spread} and {self.tag_spread}"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class UnscaledConfig:
    """How much of an embedding is kept where every component stays as loud as it is.

    No network reads songs so; it is what whitened targets of a policy are compared with.
    """

    components: int = 32
    """Leading ones; cut to what the training songs can support."""
    centred: bool = True
    """Whether the training songs' mean is taken away; what they share stands in every cosine otherwise."""

    def __post_init__(self) -> None:
        if self.components < 1:
            raise ConfigError(f"a reading needs 1 component; got {self.components}")


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


def fit_reading(
    embeddings: Float[ndarray, "N E"], config: ReadingConfig, *, tags: Float[ndarray, "N G"] | None = None
) -> Reading:
    """Return the reading of the given training songs; the same songs give the same reading.

    Directions along which the songs do not differ are dropped, so K may come out smaller than asked for.

    Args:
        embeddings: of the training songs.
        config: how much is read.
        tags: what the platform says of those songs, NaN where nothing; a column with too few of them, or that says
            the same of every song, adds no direction.

    Raises:
        DataError: there are fewer than two different songs to fit on.
    """
    centre = embeddings.mean(axis=0, dtype=np.float64)
    deviations = embeddings.astype(np.float64) - centre
    matrix = _principal(deviations, config)
    if tags is not None:
        matrix = np.hstack([matrix, _telling(deviations, tags, config.tag_spread)])
    return Reading(matrix=matrix.astype(np.float32), offset=(-centre @ matrix).astype(np.float32))


def fit_unscaled(embeddings: Float[ndarray, "N E"], config: UnscaledConfig) -> Reading:
    """Return the reading of the given training songs in which cosines are those of the embeddings.

    Up to what the components left out would have told; uncentred, the components are those of the raw embeddings.

    Raises:
        DataError: as `fit_reading`.
    """
    whole = embeddings.astype(np.float64)
    centre = whole.mean(axis=0) if config.centred else np.zeros(whole.shape[1])
    matrix, _ = _leading(whole - centre, config.components)
    return Reading(matrix=matrix.astype(np.float32), offset=(-centre @ matrix).astype(np.float32))


def _principal(deviations: Float[ndarray, "N E"], config: ReadingConfig) -> Float[ndarray, "E k"]:
    """Return the leading principal directions, each scaled to the spread asked for."""
    leading, variances = _leading(deviations, config.components)
    return leading * (config.spread / np.sqrt(variances))


def _leading(
    deviations: Float[ndarray, "N E"], components: int
) -> tuple[Float[ndarray, "E k"], Float[ndarray, " k"]]:
    """Return the leading principal directions, of unit length, and the variances along them."""
    variances, directions = np.linalg.eigh(deviations.T @ deviations / max(len(deviations), 1))
    order = np.argsort(variances)[::-1][:components]
    order = order[variances[order] > 1e-9 * max(variances[-1], 1e-12)]
    if len(deviations) < 2 or variances[-1] <= 1e-12:
        raise DataError(f"a reading needs at least two different songs; got {len(deviations)} that are alike")
    leading = directions[:, order]  # (E, k)
    loudest = np.abs(leading).argmax(axis=0)
    leading = leading * np.sign(leading[loudest, np.arange(len(order))])  # an eigenvector's sign is arbitrary
    return leading, variances[order]


def _telling(
    deviations: Float[ndarray, "N E"], tags: Float[ndarray, "N G"], spread: float
) -> Float[ndarray, "E g"]:
    """Return the direction that tells each tag, by ridge regression, scaled to the spread asked for."""
    directions = [np.zeros((deviations.shape[1], 0))]
    doubt = TAG_PENALTY * deviations.var() * np.eye(deviations.shape[1])
    for tag in tags.T:
        known = np.isfinite(tag)
        if known.sum() < _FEWEST_TAGGED or tag[known].std() < 1e-6:
            continue
        seen, said = deviations[known], tag[known].astype(np.float64)
        slope = np.linalg.solve(seen.T @ seen + doubt, seen.T @ (said - said.mean()))
        loudness = (deviations @ slope).std()
        if loudness > 1e-9:
            directions.append((slope * (spread / loudness))[:, None])
    return np.hstack(directions)
