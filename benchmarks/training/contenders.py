"""What is measured: each contender learns from rows, and its quality is judged afterwards, in float64.

A process of its own runs one contender: contenders.py NAME FILE SEED, printing one JSON object.
"""

from __future__ import annotations

import importlib
import json
import sys
import time
import warnings
from pathlib import Path

import numpy as np

PROCESS = Path("/proc/self")
EPS = 4.4  # near the default for the 20,000 projections: 55 clusters, a third of the rows noise


def ours(algorithm: str, X: np.ndarray, **hyperparameters):
    """One of this project's algorithms, fitted."""
    from toolkit.algorithm import find

    return find(algorithm)(**hyperparameters).fit(X)


def theirs(name: str, X: np.ndarray, **parameters):
    """One of scikit-learn's classes, fitted."""
    module, _, kind = name.partition(".")
    return getattr(importlib.import_module(f"sklearn.{module}"), kind)(**parameters).fit(X)


def our_pca(X: np.ndarray, seed: int, mode: str, k: int) -> np.ndarray:
    """The components, as rows."""
    return ours("pca", X, num_components=k, algorithm_mode=mode, seed=seed).v_.T


def their_pca(X: np.ndarray, seed: int, solver: str, k: int) -> np.ndarray:
    """The components, as rows."""
    return theirs("decomposition.PCA", X, n_components=k, svd_solver=solver, random_state=seed).components_


def their_kmeans(X: np.ndarray, seed: int, n_init: int) -> np.ndarray:
    """The centres of Lloyd's algorithm from k-means++."""
    return theirs("cluster.KMeans", X, n_clusters=10, n_init=n_init, random_state=seed).cluster_centers_


def inertia(X: np.ndarray, centres: np.ndarray) -> float:
    """The sum of squared distances to the nearest centre."""
    X, centres = X.astype(float), centres.astype(float)
    squares = np.square(centres).sum(axis=1) - 2 * X @ centres.T
    return float(squares.min(axis=1).sum() + np.square(X).sum())


def explained(X: np.ndarray, components: np.ndarray) -> float:
    """The share of the variance that lies along orthonormal components."""
    centred = X - X.mean(axis=0, dtype=float)
    return float(np.square(centred @ np.linalg.qr(components.T.astype(float))[0]).sum() / np.square(centred).sum())


def partition(X: np.ndarray, labels: np.ndarray) -> int:
    """A number that is the same for labels that are equal up to numbering."""
    numbers = {}
    return hash(tuple(numbers.setdefault(label, len(numbers)) for label in labels.tolist()))


CONTENDERS = {  # name: how it learns, how it is judged
    "kmeans": (lambda X, seed: ours("kmeans", X, k=10, seed=seed).centroids_, inertia),
    "sklearn n_init=1": (lambda X, seed: their_kmeans(X, seed, 1), inertia),
    "sklearn n_init=3": (lambda X, seed: their_kmeans(X, seed, 3), inertia),
    "pca regular": (lambda X, seed: our_pca(X, seed, "regular", 50), explained),
    "pca randomized": (lambda X, seed: our_pca(X, seed, "randomized", 50), explained),
    "pca randomized 100": (lambda X, seed: our_pca(X, seed, "randomized", 100), explained),
    "sklearn covariance": (lambda X, seed: their_pca(X, seed, "covariance_eigh", 50), explained),
    "sklearn randomized": (lambda X, seed: their_pca(X, seed, "randomized", 50), explained),
    "sklearn randomized 100": (lambda X, seed: their_pca(X, seed, "randomized", 100), explained),
    "dbscan": (lambda X, seed: ours("dbscan", X, eps=EPS).labels_, partition),
    "sklearn DBSCAN": (lambda X, seed: theirs("cluster.DBSCAN", X, eps=EPS, min_samples=5).labels_, partition),
}


def main(name: str, path: str, seed: str) -> None:
    """Runs one contender: first on few rows, for all that happens once, then on all."""
    warnings.simplefilter("ignore")
    (learn, judge), X = CONTENDERS[name], np.load(path)
    learn(X[:300].copy(), 0)
    PROCESS.joinpath("clear_refs").write_text("5")  # forget the peak so far, says proc(5)
    before, wall, cpu = megabytes("VmRSS"), time.perf_counter(), time.process_time()
    learned = learn(X, int(seed))
    figures = {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}
    figures["extra"] = megabytes("VmHWM") - before
    print(json.dumps(figures | {"quality": judge(X, learned)}))


def megabytes(name: str) -> float:
    """The memory that this process holds (VmRSS) or the most that it has held (VmHWM)."""
    status = dict(line.split(":", 1) for line in PROCESS.joinpath("status").read_text().splitlines())
    return int(status[name].split()[0]) / 1024


if __name__ == "__main__":
    main(*sys.argv[1:])
