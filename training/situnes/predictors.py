"""The predictors of the two tasks and of reports after a song: mixtures of heads on the encoding.

**Likes.** A Gaussian process of liked or not, and one of the rating from 1 to 5 read through a logistic curve, for
listeners known by name; and one for listeners known by their encoding. With a situation, also trees on what the
world models expect and a forest on the published inputs: without one, training gave them nothing.

**Reports.** All of that without the classes, and the world models' own word.

**Moods.** All of that of the three classes; and the predictor of reports, whose left-out errors, those of the same
listener above all, say how likely each class is.

Names and encodings are never in one head. An encoding made without some rows differs from what the names say by
just what those rows said: a head that is shown both learns to read the difference, and is lost on new rows.

Legend: N training rows · Q asked rows
"""

from typing import Final

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from training.situnes.benchmark import MOOD_STEP, Mood, Rows
from training.situnes.heads import (
    Asked,
    FittedHead,
    Material,
    Mixture,
    expected_head,
    forest_head,
    gaussian_head,
    mix,
    through_logistic,
    tree_head,
)

_OWN_ERRORS: Final = 10.0
"""How much more an error of the same listener counts than somebody else's."""


def fit_likes(material: Material) -> Mixture:
    """Return the predictor of likes; `liked_chance` reads it."""
    rows, liked = material.rows, material.rows.liked.astype(np.float64)[:, None]
    rating = gaussian_head("rating", material, rows.rating[:, None], identities=True)
    heads = [
        gaussian_head("liked", material, liked, identities=True),
        through_logistic(rating, rows.liked),
        gaussian_head("encoded", material, liked, identities=False),
    ]
    if material.sight.situation:
        heads += [tree_head("trees", material, liked), forest_head("forest", material, liked)]
    return mix(heads, liked)


def liked_chance(mixture: Mixture, asked: Asked) -> Float[ndarray, " Q"]:
    """Return the probability of a like, in [0, 1]."""
    return np.clip(mixture.predict(asked)[:, 0], 0.0, 1.0)


def fit_reports(material: Material) -> Mixture:
    """Return the predictor of valence and arousal after the song, on [-1, 1]."""
    after = material.rows.after
    heads = [
        gaussian_head("named", material, after, identities=True),
        gaussian_head("encoded", material, after, identities=False),
        tree_head("trees", material, after),
        forest_head("forest", material, after),
        expected_head("expected", material, after),
    ]
    return mix(heads, after)


def fit_moods(material: Material, reports: Mixture) -> Mixture:
    """Return the predictor of the change of mood: three numbers, the likeliest class's the largest."""
    classes = (material.rows.mood[:, None] == np.arange(len(Mood))).astype(np.float64)
    heads = [
        gaussian_head("classes", material, classes, identities=True),
        through_errors(reports.as_head("through reports"), material.rows),
        gaussian_head("encoded", material, classes, identities=False),
        tree_head("trees", material, classes),
        forest_head("forest", material, classes),
    ]
    return mix(heads, classes)


def through_errors(valence: FittedHead, train: Rows) -> FittedHead:
    """Return a predictor of valence as chances of the classes: as often as its left-out errors would give each."""
    errors = train.after[:, 0] - valence.left_out[:, 0]

    def chances(
        guess: Float[ndarray, " Q"], before: Float[ndarray, " Q"], counts: Float[ndarray, "Q N"]
    ) -> Float[ndarray, "Q 3"]:
        change = (guess - before)[:, None] + errors  # (Q, N)
        shares = counts / counts.sum(axis=1, keepdims=True)
        drop, lift = ((shares * each).sum(axis=1) for each in (change <= -MOOD_STEP, change > MOOD_STEP))
        return np.column_stack([drop, 1 - drop - lift, lift])

    own = _counts(train.user, train.user)
    np.fill_diagonal(own, 0.0)
    return FittedHead(
        name=valence.name,
        left_out=chances(valence.left_out[:, 0], train.before[:, 0], own),
        how=lambda asked: chances(
            valence.predict(asked)[:, 0], asked.rows.before[:, 0], _counts(asked.rows.user, train.user)
        ),
        weights=valence.weights,
    )


def _counts(asked: Int[ndarray, " Q"], train: Int[ndarray, " N"]) -> Float[ndarray, "Q N"]:
    return 1.0 + (_OWN_ERRORS - 1) * (asked[:, None] == train)
