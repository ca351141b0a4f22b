"""DBSCAN: clusters of any shape, where rows lie densely, and noise between them.

SageMaker has no built-in DBSCAN; hyperparameters and cluster numbers are those of the R package dbscan, which AWS's
own sample puts in a container.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from importlib.util import find_spec

import numpy as np
from pydantic import Field

from toolkit import hyperparameters as declared
from toolkit.algorithm import Algorithm, Channel, check_feature_dim
from toolkit.errors import BadOption

TILE_ROWS = 1024  # rows compared with as many others at a time; the tile of distances stays in the cache
PIECE_PAIRS = 1_000_000  # pairs of neighbours handed on at a time
MOST_PAIRS = 16_000_000  # pairs kept in memory (128 MB); where there are more, they are computed twice
EXACT_NUMBERS = 1_000_000  # features compared in float64 at a time
COARSE = 100  # a squared distance below so many times its error is too rough to make `eps` of


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

        minPts: int = Field(5, ge=1, description="the neighbours that make a core row, itself among them")
        eps: float | None = Field(
            None,
            gt=0,
            description="how far neighbours may lie apart; if not given, the mean distance to the minPts-th other row",
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
        _check_scipy()
        given = self.hyperparameters
        eps = mean_distance(X, given.minPts) if given.eps is None else given.eps
        pairs = Pairs(X, eps)
        core = pairs.counts() + 1 >= given.minPts
        self.labels_ = joined(pairs, core)
        self.core_rows_ = X[core]
        self.core_labels_ = self.labels_[core]
        self.eps_ = np.array([eps])
        return self

    def predict(self, X: np.ndarray) -> dict[str, np.ndarray]:
        """`cluster` (n_rows,) int32: that of the nearest core row within `eps_`, the first of equally near; else 0."""
        found = np.zeros(len(X), np.int32)
        for at in range(0, len(X), TILE_ROWS):
            found[at : at + TILE_ROWS] = self._clusters(X[at : at + TILE_ROWS])
        return {"cluster": found}

    def _clusters(self, X: np.ndarray) -> np.ndarray:
        limit, origin = float(self.eps_[0]) ** 2, X[0]
        found, nearest = np.zeros(len(X), np.int32), np.full(len(X), np.inf)
        for at in range(0, len(self.core_rows_), TILE_ROWS):
            tile = self.core_rows_[at : at + TILE_ROWS]
            squared, error = squared_distances(X - origin, tile - origin)
            least = np.minimum(np.minimum(squared.min(axis=1), nearest), limit)
            i, j = _places(squared <= (least + 2 * error)[:, None])
            exact = exact_squares(X, tile, i, j)
            better = np.flatnonzero((exact <= limit) & (exact < nearest[i]))[::-1]
            better = better[np.argsort(-exact[better], kind="stable")]  # a row's nearest is written last
            nearest[i[better]], found[i[better]] = exact[better], self.core_labels_[at + j[better]]
        return found


class Pairs:
    """All pairs of rows i < j at most `eps` apart, in pieces (2, n_pairs); each iteration gives the same.

    They are kept after the first time, or computed anew where they are too many to keep.
    """

    def __init__(self, X: np.ndarray, eps: float):
        self.X = X
        self.rows = X - X.mean(axis=0, dtype=np.float64).astype(X.dtype)
        self.limit = float(eps) ** 2
        self.kept: list[np.ndarray] | None = None

    def __iter__(self) -> Iterator[np.ndarray]:
        return iter(self.kept) if self.kept is not None else self._computed()

    def counts(self) -> np.ndarray:
        """The number of pairs that each row is in."""
        counts, kept, n_kept = np.zeros(len(self.X), np.int64), [], 0
        for piece in self._computed():
            counts += np.bincount(piece.ravel(), minlength=len(counts))
            n_kept += piece.shape[1]
            kept = [*kept, piece] if n_kept <= MOST_PAIRS else []
        self.kept = kept if n_kept <= MOST_PAIRS else None
        return counts

    def _computed(self) -> Iterator[np.ndarray]:
        held, n_held = [], 0
        for top in range(0, len(self.rows), TILE_ROWS):
            for left in range(top, len(self.rows), TILE_ROWS):
                held.append(self._tile(top, left))
                n_held += held[-1].shape[1]
                if n_held >= PIECE_PAIRS:
                    yield np.concatenate(held, axis=1)
                    held, n_held = [], 0
        if held:
            yield np.concatenate(held, axis=1)

    def _tile(self, top: int, left: int) -> np.ndarray:
        """The pairs of a tile; where float32 could be wrong, by exact distances."""
        squared, error = squared_distances(self.rows[top : top + TILE_ROWS], self.rows[left : left + TILE_ROWS])
        i, j = _places(squared <= (self.limit + error)[:, None])
        near = squared[i, j] <= self.limit - error[i]
        i, j = i + top, j + left
        near[~near] = exact_squares(self.X, self.X, i[~near], j[~near]) <= self.limit
        near &= i < j
        return np.stack([i[near], j[near]]).astype(np.int32)


def joined(pairs: Pairs, core: np.ndarray) -> np.ndarray:
    """The cluster of each row (n_rows,) int32, in the order of their first rows from 1; 0 is noise."""
    clusters = np.zeros(len(core), np.int32)
    clusters[core] = _numbered(_components(pairs, core)[core])
    border = np.full(len(core), len(core) + 1)
    for piece in pairs:
        for one, other in (piece, piece[::-1]):
            edge = core[one] & ~core[other]
            np.minimum.at(border, other[edge], clusters[one[edge]])
    reached = border <= len(core)
    clusters[reached] = border[reached]
    clusters[clusters > 0] = _numbered(clusters[clusters > 0])
    return clusters


def _check_scipy() -> None:
    """Raises BadOption before the long work where scipy is not installed, which predicting can do without."""
    if find_spec("scipy") is None:
        raise BadOption("algorithm 'dbscan' needs scipy to learn: pip install scipy")


def _components(pairs: Pairs, core: np.ndarray) -> np.ndarray:
    """A number for each row that all core rows of a cluster share."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    parts = np.arange(len(core))
    for i, j in pairs:
        both = core[i] & core[j]
        ends = parts[i[both]], parts[j[both]]
        graph = coo_array((np.ones(len(ends[0]), np.int8), ends), shape=(len(core), len(core)))
        parts = connected_components(graph, directed=False)[1][parts]
    return parts


def _numbered(values: np.ndarray) -> np.ndarray:
    """The values as numbers from 1, in the order in which they first appear."""
    _, first, places = np.unique(values, return_index=True, return_inverse=True)
    return first.argsort().argsort()[places] + 1


def mean_distance(X: np.ndarray, nth: int) -> float:
    """The mean distance of a row to its nth nearest other row, or to the farthest where there are fewer."""
    nth = min(nth, len(X) - 1)
    rows = X - X.mean(axis=0, dtype=np.float64).astype(X.dtype)
    squared, error = _nth_squares(rows, rows, nth)
    coarse = squared < COARSE * error
    if coarse.any():
        squared[coarse] = _nth_squares(rows[coarse].astype(np.float64), rows.astype(np.float64), nth)[0]
    return float(np.sqrt(np.maximum(squared, 0)).mean())


def _nth_squares(rows: np.ndarray, others: np.ndarray, nth: int) -> tuple[np.ndarray, np.ndarray]:
    """The squared distance of each row to the nth nearest of the others, counted from 0, and how wrong it can be."""
    found, errors = np.empty(len(rows)), np.empty(len(rows))
    for top in range(0, len(rows), TILE_ROWS):
        tile = slice(top, top + TILE_ROWS)
        least = np.full((len(rows[tile]), nth + 1), np.inf)
        for left in range(0, len(others), TILE_ROWS):
            squared, errors[tile] = squared_distances(rows[tile], others[left : left + TILE_ROWS])
            least = np.sort(np.hstack([least, _smallest(squared, nth + 1)]))[:, : nth + 1]
        found[tile] = least[:, nth]
    return found, errors


def _smallest(values: np.ndarray, count: int) -> np.ndarray:
    """The smallest of each row, at most `count` of them; writes over the values."""
    each, smallest = np.arange(len(values)), []
    for _ in range(min(count, values.shape[1])):
        places = values.argmin(axis=1)
        smallest.append(values[each, places])
        values[each, places] = np.inf
    return np.stack(smallest, axis=1)


def squared_distances(rows: np.ndarray, others: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(n_rows, n_others) squared distances, by a matrix product in the rows' precision; for each row how wrong they
    can be: such products lose the small distances of rows that are far from zero.
    """
    lengths, other_lengths = np.einsum("ij,ij->i", rows, rows), np.einsum("ij,ij->i", others, others)
    squared = rows @ others.T
    squared *= -2
    squared += lengths[:, None]
    squared += other_lengths
    rounding = 8 * np.finfo(rows.dtype).eps * math.sqrt(rows.shape[1])
    return squared, rounding * (lengths + other_lengths.max()).astype(np.float64)


def exact_squares(rows: np.ndarray, others: np.ndarray, i: np.ndarray, j: np.ndarray) -> np.ndarray:
    """The squared distances of rows i to the others j, in float64."""
    exact, step = np.empty(len(i)), max(1, EXACT_NUMBERS // rows.shape[1])
    for at in range(0, len(i), step):
        apart = rows[i[at : at + step]].astype(np.float64) - others[j[at : at + step]]
        exact[at : at + step] = np.einsum("ij,ij->i", apart, apart)
    return exact


def _places(found: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns of what is true in a matrix; ten times as fast as numpy's nonzero in two dimensions."""
    return np.divmod(np.flatnonzero(found), found.shape[1])
