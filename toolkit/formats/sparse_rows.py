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
    starts = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths, dtype=np.int64)])
    with np.errstate(over="ignore"):
        values = np.asarray(values, np.float32)

    def row(cell: int) -> str:
        return where(int(np.searchsorted(starts, cell, side="right")) - 1)

    _refuse(~np.isfinite(values), lambda i: f"{row(i)} must hold finite numbers; got {values[i]}")
    _refuse(columns >= n_columns, lambda i: f"{row(i)} has key {columns[i]}; it must be below {n_columns}")
    columns = columns.astype(np.int64, copy=False)
    if not (_is_above_the_one_before(columns) | _is_first(starts)).all():
        rows = np.repeat(np.arange(len(starts) - 1), np.diff(starts))
        order = np.lexsort((columns, rows))
        columns, values = columns[order], values[order]
        is_new = _is_above_the_one_before(columns) | _is_first(starts)
        _refuse(~is_new, lambda i: f"{row(i)} names column {columns[i] + base} twice")
    return Sparse(starts, columns, values, n_columns)


def _refuse(is_wrong: np.ndarray, message: Callable[[int], str]) -> None:
    if is_wrong.any():
        raise BadPayload(message(int(np.argmax(is_wrong))))


def _is_above_the_one_before(columns: np.ndarray) -> np.ndarray:
    return np.append(True, columns[1:] > columns[:-1])[: len(columns)]


def _is_first(starts: np.ndarray) -> np.ndarray:
    """Whether each cell is the first of its row."""
    is_first = np.zeros(starts[-1] + 1, bool)
    is_first[starts] = True
    return is_first[:-1]
