"""Heads on the world model's encoding: Gaussian processes and extremely randomised trees, mixed.

A head is fitted to the training rows and also tells what it predicts of each of them when its group is left out:
of these predictions the mixture's weights are made, so that nothing but the training rows has chosen them. Groups
are single rows, or all rows of a song where the test is of songs that were not heard before.

Legend: N training rows · Q asked rows · T targets · H heads
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray
from scipy.optimize import nnls
from sklearn.ensemble import ExtraTreesRegressor
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold

from training.situnes.benchmark import METADATA, Rows, Songs
from training.situnes.encoding import Encoded, Sight, hour_of
from training.situnes.gaussian import Parts, fit_gaussian
from training.situnes.likeness import Compared, compare, likeness

TREES: Final = 300
_LEAVES: Final = (3, 5, 10)
_FOLDS: Final = 5
_SUM_TO_ONE: Final = 1e3


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
        return Asked(rows=rows, compared=compared, columns=self.columns(rows, encoded))

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


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Asked:
    """Q rows to be predicted, as heads read them; what was said after the song is not read."""

    rows: Rows
    compared: Compared
    columns: Float[ndarray, "Q X"]


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
    """Return one Gaussian process for each target; `identities` says whether listeners are known by name."""
    parts = material.parts(material.compared, identities=identities)
    each = [fit_gaussian(parts, target, material.groups) for target in targets.T]

    def predict(asked: Asked) -> Float[ndarray, "Q T"]:
        told = material.parts(asked.compared, identities=identities)
        return np.column_stack([process.predict(told) for process in each])

    return FittedHead(
        name=name,
        left_out=np.column_stack([process.left_out for process in each]),
        how=predict,
        weights={part: float(np.mean([process.weights[part] for process in each])) for part in parts},
    )


def tree_head(name: str, material: Material, targets: Float[ndarray, "N T"]) -> FittedHead:
    """Return extremely randomised trees with the leaf size whose left-out error is least."""
    columns = material.columns(material.rows, material.encoded)
    spread = np.where(targets.std(axis=0) > 0, targets.std(axis=0), 1.0)
    fold_count = min(_FOLDS, len(np.unique(material.groups)))
    folds = list(
        GroupKFold(fold_count, shuffle=True, random_state=material.seed).split(columns, groups=material.groups)
    )
    tried = []
    for leaf in _LEAVES:
        left_out = np.empty_like(targets)
        for fit, held in folds:
            left_out[held] = _grown(columns[fit], targets[fit], leaf, material)(columns[held])
        tried.append((float((((left_out - targets) / spread) ** 2).mean()), leaf, left_out))
    _, leaf, left_out = min(tried, key=lambda each: each[0])
    grown = _grown(columns, targets, leaf, material)
    return FittedHead(
        name=name, left_out=left_out, how=lambda asked: grown(asked.columns), weights={"leaf": float(leaf)}
    )


def _grown(
    columns: Float[ndarray, "N X"], targets: Float[ndarray, "N T"], leaf: int, material: Material
) -> Callable[[Float[ndarray, "Q X"]], Float[ndarray, "Q T"]]:
    trees = ExtraTreesRegressor(material.tree_count, min_samples_leaf=leaf, random_state=material.seed)
    trees.fit(columns, targets if targets.shape[1] > 1 else targets[:, 0])
    return lambda asked: np.asarray(trees.predict(asked)).reshape(len(asked), targets.shape[1])


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

    def only(self, names: Sequence[str], targets: Float[ndarray, "N T"]) -> "Mixture":
        """Return the mixture of the heads of those names alone, with shares of their own."""
        return mix([head for head in self.heads if head.name in names], targets)


def mix(heads: Sequence[FittedHead], targets: Float[ndarray, "N T"]) -> Mixture:
    """Return the mixture whose left-out squared error is least, every target counting alike."""
    spread = np.where(targets.std(axis=0) > 0, targets.std(axis=0), 1.0)
    columns = np.column_stack([(head.left_out / spread).ravel() for head in heads])
    weights, _ = nnls(
        np.vstack([columns, np.full((1, len(heads)), _SUM_TO_ONE)]),
        np.append((targets / spread).ravel(), _SUM_TO_ONE),
    )
    return Mixture(heads=heads, shares=weights / weights.sum())
