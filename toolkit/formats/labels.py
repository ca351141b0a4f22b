"""Leading columns of labels, as `text/csv;label_size=1` declares them."""

from __future__ import annotations

import numpy as np

from toolkit.dataset import Dataset
from toolkit.errors import BadContentType, BadPayload
from toolkit.formats.readers import Declared


def label_size(declared: Declared) -> int:
    """How many leading columns are labels. Raises BadContentType where the parameter is no whole number."""
    given = declared.media_type.parameters.get("label_size")
    if given is None:
        return declared.label_size
    if not (given.isascii() and given.isdigit() and len(given) < 10):
        raise BadContentType(f"content type parameter 'label_size' must be an integer of at least 0; got {given!r}")
    return int(given)


def split_labels(rows: np.ndarray, size: int, where: str) -> Dataset:
    """Features and labels of rows (n_rows, n_columns) float32 whose first `size` columns are labels."""
    if rows.shape[1] <= size:
        many = f"{rows.shape[1]} column{'s' * (rows.shape[1] != 1)}"
        raise BadPayload(f"{where} has {many}, of which the first {size} {_are(size)}: no feature is left")
    if size == 0:
        return Dataset(rows)
    y = rows[:, 0] if size == 1 else rows[:, :size]
    return Dataset(np.ascontiguousarray(rows[:, size:]), np.ascontiguousarray(y))


def _are(size: int) -> str:
    return "is the label (label_size=1)" if size == 1 else f"are labels (label_size={size})"


def joined_labels(data: Dataset) -> np.ndarray:
    """The rows (n_rows, n_labels + n_features) float32, the labels in front of the features."""
    X = data.dense().X
    return X if data.y is None else np.concatenate([data.y.reshape(len(data), -1), X], axis=1)
