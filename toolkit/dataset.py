"""The one shape that data has inside the toolkit: rows of float32 features, and perhaps a label for each.

Features are a dense array, or `Sparse` where the format names only the cells that are not zero. Sparse rows
stay so until an algorithm needs them dense: `Dataset.dense()` of one mini-batch at a time.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Sparse:
    """Compressed sparse rows: row i holds `values[starts[i]:starts[i + 1]]`, in the columns of the same places.

    `starts` (n_rows + 1,) int64, `columns` int64 and `values` float32 of one length; columns ascend within a row
    and are below `n_columns`. The three arrays are what scipy calls indptr, indices and data.
    """

    starts: np.ndarray
    columns: np.ndarray
    values: np.ndarray
    n_columns: int

    @property
    def shape(self) -> tuple[int, int]:
        """(n_rows, n_columns)."""
        return len(self.starts) - 1, self.n_columns

    @property
    def nbytes(self) -> int:
        """The bytes of the three arrays."""
        return self.starts.nbytes + self.columns.nbytes + self.values.nbytes

    def rows(self, start: int, stop: int) -> Sparse:
        """The rows from `start` up to but not with `stop`; columns and values are views."""
        starts = self.starts[start : stop + 1]
        if not len(starts):
            return Sparse(np.zeros(1, np.int64), self.columns[:0], self.values[:0], self.n_columns)
        cells = slice(starts[0], starts[-1])
        return Sparse(starts - starts[0], self.columns[cells], self.values[cells], self.n_columns)

    def dense(self) -> np.ndarray:
        """A new array (n_rows, n_columns) float32."""
        X = np.zeros(self.shape, np.float32)
        X[np.repeat(np.arange(len(X)), np.diff(self.starts)), self.columns] = self.values
        return X


@dataclass(frozen=True)
class Dataset:
    """Rows of features `X` (n_rows, n_features) and labels `y` (n_rows,), float32; `y` is None without labels.

    Where a row has several labels, `y` is (n_rows, n_labels).
    """

    X: np.ndarray | Sparse
    y: np.ndarray | None = None

    def __len__(self) -> int:
        return self.X.shape[0]

    @property
    def n_features(self) -> int:
        """The number of columns of `X`."""
        return self.X.shape[1]

    @property
    def n_labels(self) -> int:
        """The number of labels of a row."""
        return 0 if self.y is None else self.y.reshape(len(self), -1).shape[1]

    @property
    def nbytes(self) -> int:
        """The bytes of features and labels."""
        return self.X.nbytes + (0 if self.y is None else self.y.nbytes)

    def rows(self, start: int, stop: int) -> Dataset:
        """The rows from `start` up to but not with `stop`, without a copy."""
        X = self.X.rows(start, stop) if isinstance(self.X, Sparse) else self.X[start:stop]
        return Dataset(X, None if self.y is None else self.y[start:stop])

    def batches(self, n_rows: int) -> Iterator[Dataset]:
        """The rows in order, at most `n_rows` at a time."""
        return (self.rows(at, at + n_rows) for at in range(0, len(self), n_rows))

    def dense(self) -> Dataset:
        """The same rows with `X` a dense array; itself where it is dense already."""
        return Dataset(self.X.dense(), self.y) if isinstance(self.X, Sparse) else self


def concatenate(datasets: Iterable[Dataset]) -> Dataset:
    """One dataset with the rows of all, in order; all have the same columns, and labels or none."""
    parts = list(datasets)
    if len(parts) == 1:
        return parts[0]
    y = None if parts[0].y is None else np.concatenate([part.y for part in parts])
    matrices = [part.X for part in parts]
    if all(isinstance(X, Sparse) for X in matrices):
        return Dataset(_stacked(matrices), y)
    return Dataset(np.concatenate([part.dense().X for part in parts]), y)


def _stacked(parts: list[Sparse]) -> Sparse:
    """The rows of all parts below each other."""
    before = np.cumsum([0] + [len(part.columns) for part in parts])
    starts = [part.starts[1:] + offset for part, offset in zip(parts, before[:-1], strict=True)]
    columns = np.concatenate([part.columns for part in parts])
    values = np.concatenate([part.values for part in parts])
    return Sparse(np.concatenate([np.zeros(1, np.int64), *starts]), columns, values, parts[0].n_columns)
