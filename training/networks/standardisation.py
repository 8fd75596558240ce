"""Standardisation: features brought to zero mean and unit spread where present, and to zero where absent.

Reports spread over a fifth of their interval; unstandardised, a network hardly hears them (TRIAL: valence R²
.18 against .33). Absent values are 0 in a token, so (x − mean)/sd·present = x/sd − present·mean/sd is linear in
the features: one F×F matrix does it, in training and in the exported graph alike.

Legend: T tokens · F features of a token
"""

import numpy as np
from jaxtyping import Float
from numpy import ndarray

PRESENCE_OF = {
    "engagement": "has_engagement",
    "rating": "has_rating",
    "valence": "has_valence",
    "arousal": "has_arousal",
    "carried_valence": "carried_present",
    "carried_arousal": "carried_present",
}
"""The features that are measurements, and the bits that say whether they were made."""

_LEAST_SPREAD = 0.05
"""A signal that hardly varies in training is not blown up."""


def standardisation(features: Float[ndarray, "T F"], names: tuple[str, ...]) -> Float[ndarray, "F F"]:
    """Return the matrix by which tokens are multiplied; features that are not measurements stay as they are."""
    matrix = np.eye(len(names))
    place = {name: index for index, name in enumerate(names)}
    for name, presence in PRESENCE_OF.items():
        column, bit = place[name], place[presence]
        measured = features[features[:, bit] > 0, column].astype(np.float64)
        mean, spread = (measured.mean(), measured.std()) if measured.size else (0.0, 1.0)
        scale = 1.0 / max(spread, _LEAST_SPREAD)
        matrix[column, column] = scale
        matrix[bit, column] = -mean * scale
    return matrix.astype(np.float32)
