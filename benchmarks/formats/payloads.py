"""What the formats are measured on: matrices as users have them, and the payloads that hold them."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np

from toolkit.dataset import Dataset, Sparse
from toolkit.formats import table

MNIST = Path(__file__).parents[2] / ".." / "shared" / "data" / "mnist" / "mnist.npz"


def digits(n_rows: int) -> np.ndarray:
    """MNIST's pixels / 256, 784 wide, 81 % zeros; invented ones of the same kind where the file is absent."""
    if MNIST.exists():
        return (np.load(MNIST)["x_train"][:n_rows].reshape(-1, 784) / np.float32(256)).astype(np.float32)
    random = np.random.default_rng(0)
    is_ink = random.random((n_rows, 784)) < 0.19
    return (random.integers(1, 256, (n_rows, 784)) * is_ink / 256).astype(np.float32)


def ratings(n_rows: int) -> np.ndarray:
    """0 and 1, 2,348 wide, 3 % ones: films that a user has liked."""
    return (np.random.default_rng(1).random((n_rows, 2348)) < 0.03).astype(np.float32)


def measurements(n_rows: int) -> np.ndarray:
    """100 columns of numbers with eight digits."""
    return np.random.default_rng(2).normal(size=(n_rows, 100)).astype(np.float32)


MATRICES: dict[str, Callable[[int], np.ndarray]] = {
    "784 digits": digits,
    "2,348 of 0/1": ratings,
    "100 dense": measurements,
}


def csv(X: np.ndarray) -> bytes:
    """As `%.8g` writes it."""
    return b"".join(b",".join(b"%.8g" % value for value in row) + b"\n" for row in X.tolist())


def projections(X: np.ndarray) -> bytes:
    """PCA's answer, as `json.dumps` writes it."""
    return json.dumps({"projections": [{"projection": row} for row in X.astype(float).round(8).tolist()]}).encode()


def written(data: Dataset, content_type: str) -> bytes:
    """As the toolkit writes it."""
    file = io.BytesIO()
    rows = table.writer(content_type, file)
    rows.write(data)
    rows.finish()
    return file.getvalue()


def sparse(X: np.ndarray) -> Sparse:
    """The cells that are not zero."""
    rows, columns = np.nonzero(X)
    return Sparse(np.searchsorted(rows, np.arange(len(X) + 1)), columns, X[rows, columns], X.shape[1])


def libsvm(X: np.ndarray) -> bytes:
    """Labelled, with indices from 1, as scikit-learn's `dump_svmlight_file` writes it."""
    return written(Dataset(sparse(X), np.arange(len(X), dtype=np.float32) % 10), "text/libsvm")
