"""Rows that name only some of their cells, checked and put into one `Sparse` matrix."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from toolkit.dataset import Sparse
from toolkit.errors import BadPayload


def compressed(
    lengths: np.ndarray,
    columns: np.ndarray,
    values: np.ndarray,
    n_columns: int,
    where: Callable[[int], str],
    base: int = 0,
) -> Sparse:
    """The matrix whose row i has the next `lengths[i]` of `columns` and `values`, in any order.

    `where(i)` names row i in the messages, which count columns from `base`. Raises BadPayload for a column that is
    not below `n_columns`, for one that a row names twice, and for a value that float32 cannot hold.
    """
    lengths = np.asarray(lengths, np.int64)
    rows = np.repeat(np.arange(len(lengths)), lengths)
    with np.errstate(over="ignore"):
        values = np.asarray(values, np.float32)
    _refuse(~np.isfinite(values), rows, lambda i: f"{where(rows[i])} must hold finite numbers; got {values[i]}")
    is_wide = columns >= n_columns
    _refuse(is_wide, rows, lambda i: f"{where(rows[i])} has key {columns[i]}; it must be below {n_columns}")
    columns = columns.astype(np.int64)
    if not _ascends(rows, columns):
        order = np.lexsort((columns, rows))
        columns, values = columns[order], values[order]
        twice = np.zeros(len(rows), bool)
        twice[1:] = (np.diff(columns) == 0) & (np.diff(rows) == 0)
        _refuse(twice, rows, lambda i: f"{where(rows[i])} names column {columns[i] + base} twice")
    return Sparse(np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)]), columns, values, n_columns)


def _refuse(wrong: np.ndarray, rows: np.ndarray, message: Callable[[int], str]) -> None:
    if wrong.any():
        raise BadPayload(message(int(np.argmax(wrong))))


def _ascends(rows: np.ndarray, columns: np.ndarray) -> bool:
    return bool(((np.diff(columns) > 0) | (np.diff(rows) > 0)).all())
