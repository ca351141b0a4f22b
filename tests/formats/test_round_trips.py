"""What a format writes it reads back as it was, whole and cut into blocks; other bytes give a clear error."""

import io
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from toolkit.dataset import Dataset, Sparse
from toolkit.errors import UserError
from toolkit.formats import table

FLOATS = st.floats(width=32, allow_nan=False, allow_infinity=False)
SHAPES = arrays.array_shapes(min_dims=2, max_dims=2, max_side=7)
MATRICES = arrays.arrays(np.float32, SHAPES, elements=FLOATS)
SPARSE_TYPES = ("text/libsvm", "text/libsvm;index_base=0", "application/jsonlines", "application/x-recordio-protobuf")


def written(data: Dataset, content_type: str) -> bytes:
    file = io.BytesIO()
    writer = table.writer(content_type, file)
    writer.write(data.rows(0, 1))
    if len(data) > 1:
        writer.write(data.rows(1, len(data)))
    writer.finish()
    return file.getvalue()


def read_in_blocks(body: bytes, content_type: str, block_bytes: int, **options) -> list[np.ndarray]:
    reader = table.reader(content_type, **options)
    return [part.dense().X for part in reader.stream(io.BytesIO(body), block_bytes)]


def message_of(read) -> str | None:
    """The sentence that a user is told, or None where the bytes are read; any other error fails the test."""
    try:
        read()
    except UserError as error:
        return str(error)
    return None


@pytest.mark.parametrize("content_type", table.WRITERS)
@given(X=MATRICES)
@settings(max_examples=60, deadline=None)
def test_rows_are_read_back_as_they_were_written(content_type, X):
    body = written(Dataset(X), content_type)
    np.testing.assert_array_equal(table.decode(body, content_type, n_features=X.shape[1]).dense().X, X)


@pytest.mark.parametrize("content_type", [name for name in table.WRITERS if not name.endswith(("json", "lines"))])
@given(X=MATRICES, data=st.data())
@settings(max_examples=40, deadline=None)
def test_labels_are_read_back_as_they_were_written(content_type, X, data):
    y = data.draw(arrays.arrays(np.float32, len(X), elements=FLOATS))
    body = written(Dataset(X, y), content_type)
    decoded = table.decode(body, content_type, n_features=X.shape[1], label_size=1)
    np.testing.assert_array_equal(decoded.dense().X, X)
    np.testing.assert_array_equal(decoded.y, y)


@pytest.mark.parametrize("content_type", SPARSE_TYPES)
@given(X=MATRICES, data=st.data())
@settings(max_examples=40, deadline=None)
def test_sparse_rows_stay_sparse_and_equal(content_type, X, data):
    X = np.where(data.draw(arrays.arrays(bool, X.shape)), X, np.float32(0))
    rows, columns = np.nonzero(X)
    starts = np.searchsorted(rows, np.arange(len(X) + 1))
    body = written(Dataset(Sparse(starts, columns, X[rows, columns], X.shape[1])), content_type)
    decoded = table.decode(body, content_type, n_features=X.shape[1])
    assert isinstance(decoded.X, Sparse)
    np.testing.assert_array_equal(decoded.dense().X, X)


@pytest.mark.parametrize("content_type", table.WRITERS)
@given(X=MATRICES, block_bytes=st.integers(1, 200))
@settings(max_examples=40, deadline=None)
def test_a_record_cut_by_a_blocks_end_is_put_together(content_type, X, block_bytes):
    body = written(Dataset(X), content_type)
    parts = read_in_blocks(body, content_type, block_bytes, n_features=X.shape[1])
    np.testing.assert_array_equal(np.concatenate(parts), X)


@pytest.mark.parametrize("content_type", table.READERS)
@given(body=st.binary(max_size=300), block_bytes=st.integers(1, 100))
@settings(max_examples=150, deadline=None)
def test_random_bytes_are_rows_or_a_clear_error(content_type, body, block_bytes):
    assert message_of(lambda: table.decode(body, content_type)) != ""
    assert message_of(lambda: read_in_blocks(body, content_type, block_bytes)) != ""


@pytest.mark.parametrize("content_type", table.READERS)
@given(data=st.data())
@settings(max_examples=150, deadline=None)
def test_damaged_payloads_are_rows_or_a_clear_error(content_type, data):
    good = bytearray(written(Dataset(np.arange(12, dtype=np.float32).reshape(4, 3)), content_type))
    for place, byte in data.draw(st.lists(st.tuples(st.integers(0, len(good) - 1), st.integers(0, 255)), max_size=4)):
        good[place] = byte
    body = bytes(good[: data.draw(st.integers(0, len(good)))])
    assert message_of(lambda: table.decode(body, content_type, n_features=3)) != ""


HOSTILE = {
    "many empty lines behind a wide one": (b"1," * 100_000 + b"1" + b"\n" * 300_000 + b"1", "text/csv"),
    "deep JSON": (b"[" * 300_000, "application/json"),
    "many closing brackets": (b'{"features":[1' + b"]" * 1_000_000, "application/json"),
    "many empty documents": (b"[]" * 500_000, "application/json"),
    "many quotes": (b'"1' * 300_000, "text/csv"),
    "deep objects": (b'{"a":' * 100_000, "application/json"),
    "a huge sparse width": (
        b'{"data":{"features":{"keys":[1],"shape":[2147483647],"values":[1]}}}',
        "application/jsonlines",
    ),
    "a huge index": (b"1 2147483647:1\n", "text/libsvm"),
    "a huge npy shape": (
        b"\x93NUMPY\x01\x00\x76\x00"
        + b"{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999, 99999999999), }".ljust(117)
        + b"\n",
        "application/x-npy",
    ),
    "a huge RecordIO length": (b"\x0a\x23\xd7\xce\xff\xff\xff\x1f" + bytes(40), "application/x-recordio-protobuf"),
}


@pytest.mark.parametrize(("body", "content_type"), HOSTILE.values(), ids=HOSTILE)
def test_hostile_payloads_take_no_more_than_a_small_multiple_of_their_size(body, content_type):
    tracemalloc.start()
    try:
        table.decode(body, content_type)
    except UserError:
        pass
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < 100 * len(body) + 2_000_000
