"""Rows and labels, dense and sparse."""

import numpy as np
import pytest

from toolkit.dataset import Dataset, Sparse, concatenate

X = np.array([[0, 1, 0], [0, 0, 0], [2, 0, 3], [0, 4, 0]], np.float32)
y = np.arange(4, dtype=np.float32)
SPARSE = Sparse(np.array([0, 1, 1, 3, 4]), np.array([1, 0, 2, 1]), np.array([1, 2, 3, 4], np.float32), 3)


def test_sparse_rows_are_made_dense():
    np.testing.assert_array_equal(SPARSE.dense(), X)
    assert SPARSE.dense().dtype == np.float32
    assert SPARSE.shape == (4, 3)


@pytest.mark.parametrize("features", [X, SPARSE], ids=["dense", "sparse"])
def test_rows_are_taken_out(features):
    data = Dataset(features, y)
    assert (len(data), data.n_features) == (4, 3)
    for start, stop in ((0, 4), (1, 3), (3, 9), (2, 2), (5, 7)):
        part = data.rows(start, stop)
        np.testing.assert_array_equal(part.dense().X, X[start:stop])
        np.testing.assert_array_equal(part.y, y[start:stop])


@pytest.mark.parametrize("features", [X, SPARSE], ids=["dense", "sparse"])
def test_batches_put_together_are_the_rows(features):
    batches = list(Dataset(features, y).batches(3))
    assert [len(batch) for batch in batches] == [3, 1]
    together = concatenate(batches)
    assert type(together.X) is type(features)
    np.testing.assert_array_equal(together.dense().X, X)
    np.testing.assert_array_equal(together.y, y)


def test_dense_and_sparse_rows_put_together_are_dense():
    together = concatenate([Dataset(SPARSE), Dataset(X)])
    np.testing.assert_array_equal(together.X, np.concatenate([X, X]))
    assert together.y is None


def test_a_dense_dataset_is_itself_when_dense():
    data = Dataset(X)
    assert data.dense() is data


def test_sparse_rows_take_the_memory_of_their_cells():
    assert Dataset(SPARSE, y).nbytes == SPARSE.starts.nbytes + SPARSE.columns.nbytes + 4 * 4 + y.nbytes
