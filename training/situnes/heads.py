"""Heads on the world model's encoding: Gaussian processes, trees and the world models' own word, mixed.

A head is fitted to the training rows and also tells what it predicts of each of them when its group is left out:
of these predictions the mixture's weights are made, so that nothing but the training rows has chosen them. Groups
are single rows, or all rows of a song where the test is of songs that were not heard before. Half of the mixture
is shared out evenly, half is earned: a few hundred rows tell less well than they seem to which head is best, and
nothing of how they will do on another stage.

Legend: N training rows · Q asked rows · T targets · H heads · X, Y columns
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray
from scipy.optimize import nnls
from sklearn.ensemble import ExtraTreesRegressor, RandomForestRegressor
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold

from training.situnes.benchmark import METADATA, Rows, Songs
from training.situnes.encoding import Encoded, Sight, hour_of
from training.situnes.gaussian import Parts, fit_gaussian
from training.situnes.likeness import Compared, compare, likeness
from training.situnes.references import published_inputs

TREES: Final = 100
_LEAF: Final = 3
_SHARE: Final = 1 / 3
"""Of the columns, at every branch of a bagged tree; a random branch looks at all."""
_FOLDS: Final = 4
_DOUBT: Final = 10.0
"""How many observations' worth of doubt there is about every slope on what the world models expect."""
_SUM_TO_ONE: Final = 1e3
_EARNED: Final = 0.5
"""The part of a mixture that its heads have to earn."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Material:
    """The training rows in every form that a head reads."""

    rows: Rows
    encoded: Encoded
    songs: Songs
    sight: Sight
    groups: Int[ndarray, " N"]
    compared: Compared
    seed: int
    tree_count: int

    @classmethod
    def of(
        cls,
        rows: Rows,
        encoded: Encoded,
        songs: Songs,
        sight: Sight,
        *,
        new_songs: bool,
        seed: int,
        tree_count: int = TREES,
    ) -> "Material":
        """Return the material; `new_songs` says whether whole songs are left out."""
        return cls(
            rows=rows,
            encoded=encoded,
            songs=songs,
            sight=sight,
            groups=rows.song if new_songs else np.arange(len(rows)),
            compared=compare(rows, encoded, songs),
            seed=seed,
            tree_count=tree_count,
        )

    def asked(self, rows: Rows, encoded: Encoded) -> "Asked":
        """Return rows to be predicted."""
        compared = compare(rows, encoded, self.songs, scales=(self.rows, self.encoded))
        return Asked(
            rows=rows,
            encoded=encoded,
            compared=compared,
            columns=self.columns(rows, encoded),
            published=self.published(rows),
        )

    def parts(self, compared: Compared, *, identities: bool) -> Parts:
        """Return how alike rows are to the training rows."""
        return likeness(compared, self.compared, self.sight, identities=identities)

    def columns(self, rows: Rows, encoded: Encoded) -> Float[ndarray, "Q X"]:
        """Return what trees read: they know the listener through what the world models expect."""
        sound = [place for place, name in enumerate(METADATA) if not name.startswith("key_")]
        columns = [self.songs.metadata[rows.song][:, sound], encoded.expected]
        if self.sight.situation:
            columns += [hour_of(rows)[:, None], rows.situation]
        if self.sight.before:
            columns.append(rows.before)
        return np.hstack(columns)

    def published(self, rows: Rows) -> Float[ndarray, "Q Y"]:
        """Return what a published model sees: it knows the listener by name."""
        return published_inputs(rows, self.songs, np.unique(self.rows.user), self.sight)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Asked:
    """Q rows to be predicted, as heads read them; what was said after the song is not read."""

    rows: Rows
    encoded: Encoded
    compared: Compared
    columns: Float[ndarray, "Q X"]
    published: Float[ndarray, "Q Y"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FittedHead:
    """A head that has learned."""

    name: str
    left_out: Float[ndarray, "N T"]
    """What is predicted of each training row when its group is left out."""
    how: Callable[[Asked], Float[ndarray, "Q T"]]
    weights: dict[str, float]
    """What the head chose, for the record: weights of parts, or nothing."""

    def predict(self, asked: Asked) -> Float[ndarray, "Q T"]:
        """Return the predictions."""
        return self.how(asked)


def gaussian_head(
    name: str, material: Material, targets: Float[ndarray, "N T"], *, identities: bool
) -> FittedHead:
    """Return one Gaussian process for all targets; `identities` says whether listeners are known by name."""
    process = fit_gaussian(material.parts(material.compared, identities=identities), targets, material.groups)
    return FittedHead(
        name=name,
        left_out=process.left_out,
        how=lambda asked: process.predict(material.parts(asked.compared, identities=identities)),
        weights=dict(process.weights),
    )


def tree_head(name: str, material: Material, targets: Float[ndarray, "N T"]) -> FittedHead:
    """Return extremely randomised trees on the songs, the situation and what the world models expect."""
    return _forest_head(
        name,
        material,
        targets,
        columns=material.columns(material.rows, material.encoded),
        kind=ExtraTreesRegressor,
        share=1.0,
        read=lambda asked: asked.columns,
    )


def forest_head(name: str, material: Material, targets: Float[ndarray, "N T"]) -> FittedHead:
    """Return bagged trees on the published inputs: they know listeners by name, and no world model."""
    return _forest_head(
        name,
        material,
        targets,
        columns=material.published(material.rows),
        kind=RandomForestRegressor,
        share=_SHARE,
        read=lambda asked: asked.published,
    )


def _forest_head(
    name: str,
    material: Material,
    targets: Float[ndarray, "N T"],
    *,
    columns: Float[ndarray, "N X"],
    kind: Callable[..., ExtraTreesRegressor | RandomForestRegressor],
    share: float,
    read: Callable[[Asked], Float[ndarray, "Q X"]],
) -> FittedHead:
    """Return trees of one kind; what they would have said of left-out groups is asked fold by fold."""

    def grown(rows: Int[ndarray, " n"]) -> Callable[[Float[ndarray, "Q X"]], Float[ndarray, "Q T"]]:
        trees = kind(
            material.tree_count, min_samples_leaf=_LEAF, max_features=share, random_state=material.seed
        ).fit(columns[rows], targets[rows] if targets.shape[1] > 1 else targets[rows, 0])
        return lambda asked: np.asarray(trees.predict(asked)).reshape(len(asked), targets.shape[1])

    fold_count = min(_FOLDS, len(np.unique(material.groups)))
    folds = GroupKFold(fold_count, shuffle=True, random_state=material.seed)
    left_out = np.empty_like(targets)
    for fit, held in folds.split(columns, groups=material.groups):
        left_out[held] = grown(fit)(columns[held])
    of_all = grown(np.arange(len(columns)))
    return FittedHead(name=name, left_out=left_out, how=lambda asked: of_all(read(asked)), weights={})


def expected_head(name: str, material: Material, targets: Float[ndarray, "N T"]) -> FittedHead:
    """Return what the world models expect of the song, brought to the targets by least squares.

    Training rows were encoded by models of other listeners, so their predictions need not be left out again.
    """
    told = 1 / (1 + np.exp(-material.encoded.expected))
    centre, mean = told.mean(axis=0), targets.mean(axis=0)
    scale = np.where(told.std(axis=0) > 0, told.std(axis=0), 1.0)
    columns = (told - centre) / scale
    slopes = np.linalg.solve(columns.T @ columns + _DOUBT * np.eye(columns.shape[1]), columns.T @ (targets - mean))

    def predict(asked: Asked) -> Float[ndarray, "Q T"]:
        return np.asarray(mean + ((1 / (1 + np.exp(-asked.encoded.expected)) - centre) / scale) @ slopes)

    return FittedHead(name=name, left_out=mean + columns @ slopes, how=predict, weights={})


def through_logistic(head: FittedHead, label: Bool[ndarray, " N"]) -> FittedHead:
    """Return a head on another scale as the probability of a label, by a logistic curve of what was left out."""
    curve = LogisticRegression(C=100.0).fit(head.left_out, label)
    return FittedHead(
        name=head.name,
        left_out=curve.predict_proba(head.left_out)[:, 1:],
        how=lambda asked: curve.predict_proba(head.predict(asked))[:, 1:],
        weights=head.weights,
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Mixture:
    """Heads, and how much is heard of each."""

    heads: Sequence[FittedHead]
    shares: Float[ndarray, " H"]
    """At least 0, together 1."""

    def predict(self, asked: Asked) -> Float[ndarray, "Q T"]:
        """Return the mean of the heads that have a share."""
        return np.asarray(
            sum(share * head.predict(asked) for share, head in zip(self.shares, self.heads, strict=True))
        )

    def as_head(self, name: str) -> FittedHead:
        """Return the mixture as one head of another."""
        left_out = sum(share * head.left_out for share, head in zip(self.shares, self.heads, strict=True))
        return FittedHead(name=name, left_out=np.asarray(left_out), how=self.predict, weights={})

    def only(self, names: Sequence[str], targets: Float[ndarray, "N T"]) -> "Mixture":
        """Return the mixture of the heads of those names alone, with shares of their own."""
        return mix([head for head in self.heads if head.name in names], targets)


def mix(heads: Sequence[FittedHead], targets: Float[ndarray, "N T"]) -> Mixture:
    """Return the heads, half of the whole shared evenly and half so that the left-out squared error is least."""
    spread = np.where(targets.std(axis=0) > 0, targets.std(axis=0), 1.0)
    columns = np.column_stack([(head.left_out / spread).ravel() for head in heads])
    weights, _ = nnls(
        np.vstack([columns, np.full((1, len(heads)), _SUM_TO_ONE)]),
        np.append((targets / spread).ravel(), _SUM_TO_ONE),
    )
    return Mixture(heads=heads, shares=_EARNED * weights / weights.sum() + (1 - _EARNED) / len(heads))
