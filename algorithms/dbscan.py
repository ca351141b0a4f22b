"""DBSCAN: clusters of any shape, where rows lie densely, and noise between them.

SageMaker has no built-in DBSCAN; hyperparameters and cluster numbers are those of the R package dbscan, which AWS's
own sample puts in a container.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from pydantic import Field

from toolkit import hyperparameters as declared
from toolkit.algorithm import Algorithm, Channel, check_feature_dim

TILE_ROWS = 1024  # rows compared with as many others at a time
SLACK = 4e-6  # of squared lengths: more than float32 products can be wrong
EXACT_NUMBERS = 1_000_000  # compared in float64 at a time
MOST_PAIRS = 8_000_000  # pairs of neighbours kept in memory (64 MB); beyond them pairs are computed again


class DBSCAN(Algorithm):
    """Joins rows that have many neighbours into clusters; rows that are near none of these are noise.

    A neighbour lies within `eps`, and a row is its own neighbour; a row with at least `minPts` neighbours is a core
    row. Core rows that are neighbours are in one cluster. A row that is no core row but has core neighbours is in the
    cluster of one of these: the one that scikit-learn gives it, whose first core row comes first. All others are noise.
    Clusters count from 1 in the order in which the rows show them; noise is 0.

    A new row gets the cluster of its nearest core row, if that lies within `eps`.

    Learned: `core_rows_` (n_core, n_features), `core_labels_` (n_core,), `eps_` (1,). `labels_` (n_rows,) has the
    clusters of the training rows. All rows must fit in memory; the time grows with their number squared.

    >>> X = np.array([[0, 0], [0, 1], [1, 0], [5, 5], [9, 9], [9, 8], [8, 9]], np.float32)
    >>> dbscan = DBSCAN(eps=1.5, minPts=3).fit(X)
    >>> dbscan.labels_.tolist()
    [1, 1, 1, 0, 2, 2, 2]
    >>> dbscan.predict(np.array([[8, 8], [4, 4]], np.float32))["cluster"].tolist()
    [2, 0]

    Ester, Kriegel, Sander, Xu: A density-based algorithm for discovering clusters, KDD 1996.
    """

    class Hyperparameters(declared.Hyperparameters):
        """Those of the R package dbscan, and `feature_dim`."""

        minPts: int = Field(5, ge=1, description="the neighbours that make a core row, itself among them")  # noqa: N815
        eps: float | None = Field(
            None,
            gt=0,
            description="how far neighbours lie apart; the mean distance to the minPts-th other row",
        )
        feature_dim: int | None = Field(None, ge=1, description="the number of features; follows from the data")

    name = "dbscan"
    ignored = frozenset({"mini_batch_size", "force_dense"})
    channels = (Channel("train", content_type="application/json"),)  # what PCA's batch output is
    arrays = ("core_rows_", "core_labels_", "eps_")
    answers = None

    def fit(self, X: np.ndarray, y: np.ndarray | None = None) -> DBSCAN:
        """Learns from all rows at once."""
        check_feature_dim(self, X.shape[1])
        eps = self.hyperparameters.eps or mean_distance(X, self.hyperparameters.minPts)
        pairs = _Pairs(X, eps)
        neighbours = np.ones(len(X), np.int64)
        for i, j in pairs:
            neighbours += np.bincount(i, minlength=len(X)) + np.bincount(j, minlength=len(X))
        core = neighbours >= self.hyperparameters.minPts
        self.labels_ = _in_order_of_appearance(_joined(pairs, core))
        self.core_rows_ = X[core].astype(np.float32)
        self.core_labels_ = self.labels_[core]
        self.eps_ = np.array([eps], np.float64)
        return self

    def predict(self, X: np.ndarray) -> dict[str, np.ndarray]:
        """`cluster` (n_rows,) int32: that of the nearest core row within `eps_`, or 0."""
        found = [self._clusters(X[at : at + TILE_ROWS]) for at in range(0, len(X), TILE_ROWS)]
        return {"cluster": np.concatenate(found) if found else np.zeros(0, np.int32)}

    def _clusters(self, X: np.ndarray) -> np.ndarray:
        distances = np.full(len(X), np.inf)
        clusters = np.zeros(len(X), np.int32)
        for at in range(0, len(self.core_rows_), TILE_ROWS):
            tile = self.core_rows_[at : at + TILE_ROWS]
            closest = squared_distances(X, tile).argmin(axis=1)
            found = np.sqrt(_squares(X.astype(np.float64) - tile[closest]))
            nearer = found < distances
            distances[nearer] = found[nearer]
            clusters[nearer] = self.core_labels_[at + closest[nearer]]
        return np.where(distances <= self.eps_[0], clusters, 0).astype(np.int32)


class _Pairs:
    """All pairs i < j of rows at most `eps` apart, in pieces; each iteration gives the same.

    They are computed anew for each iteration if there are too many to keep.
    """

    def __init__(self, X: np.ndarray, eps: float):
        self.X = (X - X.mean(axis=0, dtype=np.float64)).astype(np.float64)
        self.rows = self.X.astype(np.float32)
        self.squares = _squares(self.rows).astype(np.float32)
        self.eps = eps
        self.kept: list[tuple[np.ndarray, np.ndarray]] | None = None

    def __iter__(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        if self.kept is not None:
            yield from self.kept
            return
        kept, n_kept = [], 0
        for pair in self._computed():
            n_kept += len(pair[0])
            if n_kept <= MOST_PAIRS:
                kept.append(pair)
            else:
                kept.clear()
            yield pair
        if n_kept <= MOST_PAIRS:
            self.kept = kept

    def _computed(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for top in range(0, len(self.rows), TILE_ROWS):
            for left in range(top, len(self.rows), TILE_ROWS):
                i, j = self._tile(top, left)
                if top == left:
                    i, j = i[i < j], j[i < j]
                yield i.astype(np.int32) + np.int32(top), j.astype(np.int32) + np.int32(left)

    def _tile(self, top: int, left: int) -> tuple[np.ndarray, np.ndarray]:
        """Pairs of a tile; float32 decides but where it might be wrong."""
        one, other = slice(top, top + TILE_ROWS), slice(left, left + TILE_ROWS)
        squared = self.rows[one] @ self.rows[other].T
        squared *= -2
        squared += self.squares[one, None]
        squared += self.squares[other]
        slack = SLACK * (self.squares[one].max() + self.squares[other].max() + self.eps**2)
        near = squared <= self.eps**2 + slack
        i, j = np.nonzero(near)
        doubtful = squared[i, j] > self.eps**2 - slack
        sure = ~doubtful
        sure[doubtful] = self._exactly_near(i[doubtful] + top, j[doubtful] + left)
        return i[sure], j[sure]

    def _exactly_near(self, i: np.ndarray, j: np.ndarray) -> np.ndarray:
        step = max(1, EXACT_NUMBERS // self.X.shape[1])
        pieces = [slice(at, at + step) for at in range(0, len(i), step)]
        near = [_squares(self.X[i[piece]] - self.X[j[piece]]) <= self.eps**2 for piece in pieces]
        return np.concatenate(near) if near else np.zeros(0, bool)


def mean_distance(X: np.ndarray, nth: int) -> float:
    """The mean distance of a row to its nth nearest other row, or to the farthest where there are fewer."""
    nth = min(nth, len(X) - 1)
    if nth < 1:
        return 1.0
    total = 0.0
    for at in range(0, len(X), 256):
        tile = X[at : at + 256]
        squared = squared_distances(tile, X)
        squared[np.arange(len(tile)), at + np.arange(len(tile))] = -1  # the row itself is not among the others
        total += np.sqrt(np.maximum(np.partition(squared, nth, axis=1)[:, nth], 0)).sum()
    return float(total / len(X))


def squared_distances(X: np.ndarray, others: np.ndarray) -> np.ndarray:
    """(n_rows, n_others) float64."""
    origin = others.mean(axis=0, dtype=np.float64)
    X, others = X - origin, others - origin
    return _squares(X)[:, None] + _squares(others) - 2 * (X @ others.T)


def _joined(pairs: _Pairs, core: np.ndarray) -> np.ndarray:
    """The cluster of each row: 1 and more in the order of their first core rows, 0 for noise."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    parts = np.arange(len(core))
    for i, j in pairs:
        both = core[i] & core[j]
        edges = coo_array((np.ones(both.sum(), bool), (parts[i[both]], parts[j[both]])), shape=(len(core),) * 2)
        parts = connected_components(edges, directed=False)[1][parts]
    clusters = np.zeros(len(core), np.int64)
    clusters[core] = _numbered(parts[core])
    border = np.full(len(core), len(core) + 1)
    for i, j in pairs:
        for one, other in ((i, j), (j, i)):
            edge = core[one] & ~core[other]
            np.minimum.at(border, other[edge], clusters[one[edge]])
    return np.where(core, clusters, np.where(border <= len(core), border, 0))


def _in_order_of_appearance(clusters: np.ndarray) -> np.ndarray:
    labels = np.zeros(len(clusters), np.int32)
    labels[clusters > 0] = _numbered(clusters[clusters > 0])
    return labels


def _numbered(values: np.ndarray) -> np.ndarray:
    """The values as numbers from 1 in the order in which they first appear."""
    _, first, places = np.unique(values, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[places] + 1


def _squares(rows: np.ndarray) -> np.ndarray:
    return np.einsum("ij,ij->i", rows, rows, dtype=np.float64)
