"""Principal component analysis, with the hyperparameters, the artifact and the answers of SageMaker's built-in PCA.

https://docs.aws.amazon.com/sagemaker/latest/dg/pca.html
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import Field

from toolkit import hyperparameters as declared
from toolkit.algorithm import MODEL_FILE, Algorithm
from toolkit.dataset import Dataset
from toolkit.errors import BadArtifact, BadHyperparameter
from toolkit.rounds import Key, Plan, Round, Totals

PASSES = 4  # of mode randomized
SPARE = 10  # directions that each pass follows beyond its half of num_components and extra_components
BLOCK_ROWS = 256  # multiplied at a time in mode randomized, so that they stay in the processor's cache
ROUNDING = 1e-6  # of float32 products, against the greatest eigenvalue


class PCA(Algorithm):
    """Projects rows on the directions of greatest variance; the best component is the last one.

    The principal components are the eigenvectors of the rows' covariance. `regular` adds up the whole covariance in
    one pass; it needs memory for feature_dim ** 2 numbers. `randomized` never makes it, which suits wide data: in
    four passes directions that begin at random turn towards the best components [1] [2], and come very near to them.

    Learned: `mean_` (1, n_features), `v_` (n_features, num_components), whose columns are the components in ascending
    order, and `s_` (num_components,), the singular values of the centred rows (not divided by their number). Of each
    component the entry that is largest in size is positive.

    >>> X = np.array([[7, 6], [4, 2], [1, -2]], np.float32)
    >>> pca = PCA(num_components=1).fit(X)
    >>> pca.mean_.tolist(), pca.predict(X)["projection"].round(4).tolist()  # along (3, 4)
    ([[4.0, 2.0]], [[5.0], [0.0], [-5.0]])

    [1] Musco, Musco: Randomized block Krylov methods for stronger and faster approximate singular value
        decomposition, NIPS 2015.
    [2] Tropp, Yurtsever, Udell, Cevher: Fixed-rank approximation of a positive-semidefinite matrix from streaming
        data, NIPS 2017.
    """

    class Hyperparameters(declared.Hyperparameters):
        """Those of https://docs.aws.amazon.com/sagemaker/latest/dg/PCA-reference.html, and `seed`."""

        num_components: int = Field(ge=1, description="how many components to keep; at most the rows and the features")
        feature_dim: int | None = Field(None, ge=1, description="the number of features; follows from the data")
        mini_batch_size: int | None = Field(
            None, ge=1, description="rows read at a time, never fewer than there are features; the model is the same"
        )
        algorithm_mode: Literal["regular", "randomized"] = Field(
            "regular", description="regular makes the whole covariance in one pass; randomized suits many features"
        )
        subtract_mean: bool = Field(True, description="whether rows are centred, in training and in inference")
        extra_components: int = Field(
            -1,
            ge=-1,
            description="randomized: directions followed beyond num_components; -1 is max(10, num_components)",
        )
        seed: int = Field(0, ge=0, description="randomized: where the random subspace starts")

    name = "pca"
    ignored = frozenset({"epochs", "force_dense"})
    arrays = ("mean_", "v_", "s_")
    answers = "projections"

    @property
    def metrics_(self) -> dict[str, float]:
        """`explained_variance_ratio`: the share of the training rows' variance that the components hold."""
        return {"explained_variance_ratio": self._explained} if hasattr(self, "_explained") else {}

    def rows_per_batch(self, n_features: int) -> int:
        """At least as many rows as features: with fewer, adding to the covariance costs more than multiplying."""
        return max(super().rows_per_batch(n_features), n_features)

    def rounds(self, n_features: int) -> Plan:
        """One pass in mode `regular`, PASSES in mode `randomized`."""
        self._check_num_components(n_features, "features")
        if self.hyperparameters.algorithm_mode == "regular":
            totals = yield Round(moments, (None, self._fixed_mean(n_features)), pooled)
            self._learn(totals, *np.linalg.eigh(totals["scatter"]))
        else:
            yield from self._randomized(n_features)

    def predict(self, X: np.ndarray) -> dict[str, np.ndarray]:
        """`projection` (n_rows, num_components) float32: each row's coordinate on each component, the best last."""
        return {"projection": (X - self.mean_) @ self.v_}

    def load(self, model_dir: Path) -> None:
        """Sets `mean_`, `v_` and `s_`. Raises BadArtifact where they do not fit together."""
        super().load(model_dir)
        shapes = self.mean_.shape, self.v_.shape, self.s_.shape
        n_features, width = self.mean_.shape[-1:], self.s_.shape[:1]
        if shapes != ((1, *n_features), (*n_features, *width), width):
            must = "must hold mean (1, d), v (d, k) and s (k,)"
            raise BadArtifact(f"{model_dir / MODEL_FILE} {must}; it holds {', '.join(map(str, shapes))}")

    def score(self, batches: Iterable[Dataset]) -> dict[str, float]:
        """`explained_variance_ratio`: the share of the rows' squared distance from the mean that survives projection.

        SageMaker's PCA scores the test channel too, by a measure that it does not publish; this one is ours.
        """
        kept = whole = 0.0
        for batch in batches:
            whole += _sum_of_squares(batch.X - self.mean_)
            kept += _sum_of_squares(self.predict(batch.X)["projection"])
        return {"explained_variance_ratio": kept / whole if whole else 1.0}

    def _check_num_components(self, most: int, what: str) -> None:
        wanted = self.hyperparameters.num_components
        if wanted > most:
            raise BadHyperparameter(f"hyperparameter 'num_components' is {wanted}, the data has {most} {what}")

    def _randomized(self, n_features: int) -> Plan:
        """Each pass multiplies the newest directions by the scatter, which turns them to the best; all are kept."""
        wanted, extra = self.hyperparameters.num_components, self.hyperparameters.extra_components
        width = math.ceil((wanted + (max(10, wanted) if extra < 0 else extra)) / 2) + SPARE
        latest = np.random.default_rng(self.hyperparameters.seed).standard_normal((n_features, width))
        basis = images = np.empty((n_features, 0))
        mean = self._fixed_mean(n_features)
        for _ in range(PASSES):
            new = _orthonormal(latest[:, : n_features - basis.shape[1]], basis)
            totals = yield Round(moments, (new, mean), pooled)
            latest, mean = totals["scatter"], totals["mean"]
            basis, images = np.hstack([basis, new]), np.hstack([images, latest])
            if basis.shape[1] == n_features:
                break
        self._learn(totals, *_nystrom(basis, images, wanted))

    def _fixed_mean(self, n_features: int) -> np.ndarray | None:
        """Zeros where the mean must not be subtracted; None where it is yet to be found."""
        return None if self.hyperparameters.subtract_mean else np.zeros(n_features)

    def _learn(self, totals: Totals, values: np.ndarray, vectors: np.ndarray) -> None:
        """Sets what is learned from eigenvalues in ascending order and their eigenvectors (n_features, width)."""
        self._check_num_components(int(totals["rows"][0]), "rows")
        wanted = self.hyperparameters.num_components
        squares = np.maximum(values[-wanted:], 0)
        self.mean_ = totals["mean"][None].astype(np.float32)
        self.v_ = _with_signs(vectors[:, -wanted:]).astype(np.float32)
        self.s_ = np.sqrt(squares).astype(np.float32)
        spread = float(totals["spread"][0])
        self._explained = float(squares.sum()) / spread if spread else 1.0


def moments(state: tuple[np.ndarray | None, np.ndarray | None], X: np.ndarray, y: Any, key: Key) -> Totals:
    """What a mini-batch tells of the mean and of the scatter: `D.T @ D @ basis`, where D are the rows less the mean.

    The state is the basis (n_features, width), or None for the whole scatter; and the mean (n_features,), or None for
    the mini-batch's own. Rows are centred before they are multiplied in float32: products of raw rows lose the spread
    of data that lies far from zero.
    """
    basis, mean = state
    mean = X.mean(axis=0, dtype=np.float64) if mean is None else mean
    if basis is None:
        centred = X - mean.astype(np.float32)
        scatter = (centred.T @ centred).astype(np.float64)
        return _totals(len(X), mean, mean, scatter, scatter.trace())
    float_mean, float_basis = mean.astype(np.float32), basis.astype(np.float32)
    scatter, spread = np.zeros(basis.shape), 0.0
    for at in range(0, len(X), BLOCK_ROWS):
        centred = X[at : at + BLOCK_ROWS] - float_mean
        scatter += centred.T @ (centred @ float_basis)
        spread += _sum_of_squares(centred)
    return _totals(len(X), mean, mean @ basis, scatter, spread)


def _totals(n_rows: int, mean: np.ndarray, seen_mean: np.ndarray, scatter: np.ndarray, spread: float) -> Totals:
    """The parts of a round; `seen_mean` is the mean on the basis, `spread` the sum of squared distances from it."""
    rows, spread = np.array([float(n_rows)]), np.array([spread])
    return {"rows": rows, "mean": mean, "seen_mean": seen_mean, "scatter": scatter, "spread": spread}


def pooled(totals: Totals, part: Totals) -> Totals:
    """The moments of two sets of rows together, each with its scatter about its own mean.

    Chan, Golub, LeVeque: Updating formulae and a pairwise algorithm for computing sample variances (1979).
    """
    rows = totals["rows"] + part["rows"]
    share = part["rows"] / rows
    apart, seen_apart = part["mean"] - totals["mean"], part["seen_mean"] - totals["seen_mean"]
    totals["scatter"] += part["scatter"]
    totals["scatter"] += np.outer(apart * totals["rows"] * share, seen_apart)
    totals["spread"] += part["spread"] + (apart @ apart) * totals["rows"] * share
    means = {"mean": totals["mean"] + apart * share, "seen_mean": totals["seen_mean"] + seen_apart * share}
    return {**totals, **means, "rows": rows}


def _sum_of_squares(rows: np.ndarray) -> float:
    return float(np.einsum("ij,ij->i", rows, rows).sum(dtype=np.float64))


def _orthonormal(new: np.ndarray, basis: np.ndarray) -> np.ndarray:
    """Orthonormal columns that span what `new` adds to an orthonormal basis."""
    return np.linalg.qr(new - basis @ (basis.T @ new))[0]


def _nystrom(basis: np.ndarray, images: np.ndarray, wanted: int) -> tuple[np.ndarray, np.ndarray]:
    """The greatest eigenvalues, ascending, and eigenvectors of a matrix of which only `images` of a basis are known.

    Nyström's approximation; what is smaller than the rounding errors of the images counts as zero.
    """
    small = basis.T @ images
    values, turn = np.linalg.eigh((small + small.T) / 2)
    real = values > ROUNDING * values[-1]
    half = images @ (turn * np.where(real, 1 / np.sqrt(np.where(real, values, 1)), 0))
    values, turn = np.linalg.eigh(half.T @ half)
    vectors = np.linalg.qr((half @ turn)[:, ::-1][:, :wanted])[0]
    return values[-wanted:], vectors[:, ::-1]


def _with_signs(components: np.ndarray) -> np.ndarray:
    """The columns, each with the sign that makes its largest entry positive."""
    largest = np.abs(components).argmax(axis=0)
    return components * np.where(components[largest, np.arange(components.shape[1])] < 0, -1.0, 1.0)
