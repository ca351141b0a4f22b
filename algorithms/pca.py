"""Principal component analysis, with the hyperparameters, the artifact and the answers of SageMaker's built-in PCA.

https://docs.aws.amazon.com/sagemaker/latest/dg/pca.html
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import numpy as np
from pydantic import Field

from toolkit import hyperparameters as declared
from toolkit.algorithm import Algorithm
from toolkit.dataset import Dataset
from toolkit.errors import BadHyperparameter
from toolkit.rounds import Key, Plan, Round, Totals

BLOCK_ROWS = 2048  # rows centred at a time, so that one small buffer serves a mini-batch of any size
MAX_PASSES = 8
ENOUGH = 1e-3  # a further pass of the randomized mode must add this share to the variance found so far


class PCA(Algorithm):
    """Projects rows on the directions of greatest variance; the best component is the last one.

    The principal components are the eigenvectors of the rows' covariance. `regular` adds up the whole covariance in
    one pass; it needs memory for feature_dim ** 2 numbers. `randomized` never makes it: a few passes turn a random
    subspace towards the best components, which wide data wants [1]. Both give the same model for the same data.

    Learned: `mean_` (1, n_features), `v_` (n_features, num_components), whose columns are the components in ascending
    order, and `s_` (num_components,), the singular values of the centred rows (not divided by their number). Of each
    component the entry that is largest in size is positive.

    >>> X = np.array([[0, 0], [1, 2], [2, 4], [3, 6]], np.float32)
    >>> pca = PCA(num_components=1).fit(X)
    >>> pca.predict(X)["projection"].round(3).tolist()
    [[-3.354], [-1.118], [1.118], [3.354]]

    [1] Halko, Martinsson, Tropp: Finding structure with randomness, SIAM Review 53 (2011).
    """

    class Hyperparameters(declared.Hyperparameters):
        """Those of https://docs.aws.amazon.com/sagemaker/latest/dg/PCA-reference.html, and `seed`."""

        num_components: int = Field(ge=1, description="how many components to keep; at most the rows and the features")
        feature_dim: int | None = Field(None, ge=1, description="the number of features; follows from the data")
        mini_batch_size: int | None = Field(
            None,
            ge=1,
            description="rows read at a time, never fewer than there are features; the model is the same",
        )
        algorithm_mode: Literal["regular", "randomized"] = Field(
            "regular",
            description="regular makes the whole covariance in one pass; randomized suits many features",
        )
        subtract_mean: bool = Field(True, description="whether rows are centred, in training and in inference")
        extra_components: int = Field(
            -1,
            ge=-1,
            description="randomized: how much wider than num_components the subspace is; -1 is max(10, num_components)",
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
        """One pass in mode `regular`; in mode `randomized` as many as find more variance, at most MAX_PASSES."""
        self._check_num_components(n_features, "features")
        if self.hyperparameters.algorithm_mode == "regular":
            totals = yield Round(moments, (None, self.hyperparameters.subtract_mean), pooled)
            self._learn(totals, *np.linalg.eigh(totals["scatter"]))
        else:
            yield from self._turn_subspace(n_features)

    def predict(self, X: np.ndarray) -> dict[str, np.ndarray]:
        """`projection` (n_rows, num_components) float32: each row's coordinate on each component, the best last."""
        return {"projection": (X - self.mean_) @ self.v_}

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

    def _turn_subspace(self, n_features: int) -> Plan:
        """Subspace iteration: every pass multiplies an orthonormal basis by the scatter, which favours the best."""
        wanted, extra = self.hyperparameters.num_components, self.hyperparameters.extra_components
        width = min(n_features, wanted + (max(10, wanted) if extra < 0 else extra))
        random = np.random.default_rng(self.hyperparameters.seed)
        basis = _orthonormal(random.standard_normal((n_features, width)))
        found = 0.0
        for _ in range(MAX_PASSES):
            totals = yield Round(moments, (basis, self.hyperparameters.subtract_mean), pooled)
            values, vectors = _nystrom(totals["scatter"], basis)
            self._learn(totals, values, vectors)
            if not values[-wanted:].sum() > found * (1 + ENOUGH):
                return
            found = values[-wanted:].sum()
            basis = _orthonormal(totals["scatter"])

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


def moments(state: tuple[np.ndarray | None, bool], X: np.ndarray, y: np.ndarray | None, key: Key) -> Totals:
    """What a mini-batch tells of the mean and of the scatter `D.T @ D @ basis`, where D are the rows less their mean.

    The state is a basis (n_features, width), or None for the whole scatter, and whether the mean is subtracted.
    Rows are centred before they are multiplied in float32: products of raw rows lose the spread of data that lies
    far from zero.
    """
    basis, subtract_mean = state
    mean = X.mean(axis=0, dtype=np.float64) if subtract_mean else np.zeros(X.shape[1])
    float_mean, float_basis = mean.astype(np.float32), None if basis is None else basis.astype(np.float32)
    scatter, spread = 0.0, 0.0
    for at in range(0, len(X), BLOCK_ROWS):
        centred = X[at : at + BLOCK_ROWS] - float_mean
        seen = centred if basis is None else centred @ float_basis
        scatter = scatter + (centred.T @ seen).astype(np.float64)
        spread += _sum_of_squares(centred)
    seen_mean = mean if basis is None else mean @ basis
    return {
        "rows": np.array([float(len(X))]),
        "mean": mean,
        "seen_mean": seen_mean,
        "scatter": scatter,
        "spread": np.array([spread]),
    }


def pooled(totals: Totals, part: Totals) -> Totals:
    """The moments of two sets of rows together, each with its scatter about its own mean.

    Chan, Golub, LeVeque: Updating formulae and a pairwise algorithm for computing sample variances (1979).
    """
    rows = totals["rows"] + part["rows"]
    apart = part["mean"] - totals["mean"]
    weight = totals["rows"] * part["rows"] / rows
    totals["scatter"] += part["scatter"]
    totals["scatter"] += np.outer(apart * weight, part["seen_mean"] - totals["seen_mean"])
    totals["spread"] += part["spread"] + weight * (apart @ apart)
    for name in ("mean", "seen_mean"):
        totals[name] += (part[name] - totals[name]) * (part["rows"] / rows)
    totals["rows"] = rows
    return totals


def _sum_of_squares(rows: np.ndarray) -> float:
    return float(np.einsum("ij,ij->i", rows, rows).sum(dtype=np.float64))


def _orthonormal(columns: np.ndarray) -> np.ndarray:
    return np.linalg.qr(columns)[0]


def _nystrom(scatter: np.ndarray, basis: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Eigenvalues, ascending, and eigenvectors of a matrix C of which only `scatter = C @ basis` is known."""
    small = basis.T @ scatter
    values, turn = np.linalg.eigh((small + small.T) / 2)
    kept = values > max(values[-1], 0) * 1e-12
    left, sizes, _ = np.linalg.svd(scatter @ (turn[:, kept] / np.sqrt(values[kept])), full_matrices=False)
    return np.square(sizes)[::-1], left[:, ::-1]


def _with_signs(components: np.ndarray) -> np.ndarray:
    """The columns, each with the sign that makes its largest entry positive."""
    largest = np.abs(components).argmax(axis=0)
    return components * np.where(components[largest, np.arange(components.shape[1])] < 0, -1.0, 1.0)
