"""The one shape that data has inside the toolkit: rows of float32 features, and perhaps a label for each."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Dataset:
    """Rows of features `X` (n_rows, n_features) float32 and labels `y` (n_rows,) float32, or None without labels."""

    X: np.ndarray
    y: np.ndarray | None = None

    def __len__(self) -> int:
        return self.X.shape[0]

    @property
    def n_features(self) -> int:
        """The number of columns of `X`."""
        return self.X.shape[1]

    def rows(self, start: int, stop: int) -> Dataset:
        """The rows from `start` up to but not with `stop`, without a copy."""
        return Dataset(self.X[start:stop], None if self.y is None else self.y[start:stop])


def concatenate(datasets: Iterable[Dataset]) -> Dataset:
    """One dataset with the rows of all, in order; all have the same columns, and labels or none."""
    parts = list(datasets)
    if len(parts) == 1:
        return parts[0]
    y = None if parts[0].y is None else np.concatenate([part.y for part in parts])
    return Dataset(np.concatenate([part.X for part in parts]), y)
