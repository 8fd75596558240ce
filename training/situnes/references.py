"""What anybody would try first on the same files; fitted to the training part alone, as our predictors are.

All but the means see the published inputs: listener, song metadata and hour; with situation, its 24 columns; for
moods and reports, the report before the song. A forest's leaf size and share of columns have the least out-of-bag
error; a logistic regression's penalty the least error in five folds.

Legend: N training rows · Q asked rows · X columns
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from training.situnes.benchmark import Mood, Rows, Songs
from training.situnes.encoding import Sight, hour_of

FOREST_TREES: Final = 200
_LEAVES: Final = (1, 3, 5)
_SHARES: Final = ("sqrt", 1 / 3)
_PENALTIES: Final = (0.003, 0.01, 0.03, 0.1, 0.3)
_FOLDS: Final = 5
PRIOR_COUNT: Final = 5.0
"""A mean is drawn towards no effect as if so many interactions had shown none."""


def published_inputs(
    rows: Rows, songs: Songs, listeners: Int[ndarray, " u"], sight: Sight
) -> Float[ndarray, "N X"]:
    """Return what a published model sees of each row; listeners one-hot, in the given order."""
    angle = hour_of(rows) * (2 * np.pi / 24)
    columns = [
        rows.user[:, None] == listeners,
        songs.metadata[rows.song],
        np.column_stack([np.sin(angle), np.cos(angle)]),
    ]
    if sight.situation:
        columns.append(rows.situation)
    if sight.before:
        columns.append(rows.before)
    return np.hstack(columns).astype(np.float64)


def listener_and_song_means(train: Rows, asked: Rows) -> Float[ndarray, " Q"]:
    """Return the mean of all, plus the listener's shrunken deviation, plus the song's from both; in [0, 1]."""
    liked = train.liked.astype(np.float64)
    mean = float(liked.mean())
    listener = _shrunken(train.user, liked - mean)
    left = liked - mean - np.array([listener[user] for user in train.user])
    song = _shrunken(train.song, left)
    told = [
        listener.get(user, 0.0) + song.get(heard, 0.0) for user, heard in zip(asked.user, asked.song, strict=True)
    ]
    return np.clip(mean + np.array(told), 0.0, 1.0)


def _shrunken(keys: Int[ndarray, " N"], values: Float[ndarray, " N"]) -> dict[int, float]:
    unique, place, count = np.unique(keys, return_inverse=True, return_counts=True)
    return dict(zip(unique.tolist(), (np.bincount(place, values) / (count + PRIOR_COUNT)).tolist(), strict=True))


def random_forest(
    inputs: Float[ndarray, "N X"],
    label: Int[ndarray, " N"],
    asked: Sequence[Float[ndarray, "_ X"]],
    *,
    seed: int,
    tree_count: int = FOREST_TREES,
) -> list[Float[ndarray, "_ c"]]:
    """Return class probabilities for each set of asked rows."""
    forests = [
        RandomForestClassifier(
            tree_count, min_samples_leaf=leaf, max_features=share, oob_score=True, random_state=seed
        ).fit(inputs, label)
        for leaf in _LEAVES
        for share in _SHARES
    ]
    truth = label[:, None] == forests[0].classes_
    best = min(forests, key=lambda forest: float(((forest.oob_decision_function_ - truth) ** 2).mean()))
    return [best.predict_proba(each) for each in asked]


def logistic_regression(
    inputs: Float[ndarray, "N X"], label: Int[ndarray, " N"], asked: Sequence[Float[ndarray, "_ X"]]
) -> list[Float[ndarray, "_ c"]]:
    """Return class probabilities for each set of asked rows."""
    search = GridSearchCV(
        make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000)),
        {"logisticregression__C": list(_PENALTIES)},
        scoring="neg_log_loss",
        cv=int(min(_FOLDS, np.bincount(label)[np.unique(label)].min())),
    ).fit(inputs, label)
    return [search.predict_proba(each) for each in asked]


def majority(mood: Int[ndarray, " N"], count: int) -> Float[ndarray, "Q 3"]:
    """Return, for so many rows, the shares of the classes."""
    return np.tile(np.bincount(mood, minlength=len(Mood)) / len(mood), (count, 1))


def always_liked(asked: Rows) -> Float[ndarray, " Q"]:
    """Return certainty: what the mean absolute error rewards."""
    return np.ones(len(asked))


def persistence(asked: Rows) -> Float[ndarray, "Q 2"]:
    """Return the report before the song."""
    return asked.before


def least_squares(train: Rows, asked: Rows) -> Float[ndarray, "Q 2"]:
    """Return the reports after songs as linear in the two numbers before."""
    slopes, *_ = np.linalg.lstsq(_with_constant(train.before), train.after, rcond=None)
    return np.asarray(_with_constant(asked.before) @ slopes)


def _with_constant(columns: Float[ndarray, "N x"]) -> Float[ndarray, "N y"]:
    return np.column_stack([columns, np.ones(len(columns))])
