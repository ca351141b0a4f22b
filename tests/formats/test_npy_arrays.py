"""npy files on the left, rows or the exact error on the right."""

import io
import pickle

import numpy as np
import pytest

from toolkit.errors import BadPayload
from toolkit.formats import table

NPY = "application/x-npy"


def npy(array, **options) -> bytes:
    file = io.BytesIO()
    np.save(file, array, **options)
    return file.getvalue()


def npy_with_header(text) -> bytes:
    return b"\x93NUMPY\x01\x00" + (len(text) + 1).to_bytes(2, "little") + text.encode() + b"\n"


ARRAY = np.arange(6).reshape(2, 3)
CUT = npy(ARRAY.astype(np.float32))
ERRORS = {
    "no npy": (b"1,2,3", "the npy payload must begin with NumPy's magic string"),
    "nothing": (b"", "the npy payload is cut short within its header"),
    "cut in the header": (CUT[:60], "the npy payload is cut short within its header"),
    "cut in a row": (CUT[:-1], "the npy payload must have 24 bytes of numbers here; got 23"),
    "a row too few": (CUT[:-12], "the npy payload has 1 rows, its header says 2"),
    "a row too many": (CUT + CUT[-12:], "the npy payload must have 24 bytes of numbers here; got 36"),
    "objects": (
        npy(np.array([{}], object), allow_pickle=True),
        "the npy array must hold numbers of at most 64 bits; got object",
    ),
    "complex numbers": (npy(np.eye(2) * 1j), "the npy array must hold numbers of at most 64 bits; got complex128"),
    "texts": (npy(np.array(["a"])), "the npy array must hold numbers of at most 64 bits; got <U1"),
    "fields": (
        npy(np.zeros(2, "f4,f4")),
        "the npy array must hold numbers of at most 64 bits; got [('f0', '<f4'), ('f1', '<f4')]",
    ),
    "three dimensions": (
        npy(np.zeros((2, 2, 2))),
        "the npy array must be rows of numbers, of one or two dimensions; got shape (2, 2, 2)",
    ),
    "no dimension": (
        npy(np.float32(1)),
        "the npy array must be rows of numbers, of one or two dimensions; got shape ()",
    ),
    "no column": (
        npy(np.zeros((2, 0))),
        "the npy array must be rows of numbers, of one or two dimensions; got shape (2, 0)",
    ),
    "more columns than can be": (
        npy_with_header(f"{{'descr': '<f4', 'fortran_order': False, 'shape': (0, {2**70}), }}"),
        f"the npy array must be rows of numbers, of one or two dimensions; got shape (0, {2**70})",
    ),
    "a deep header": (npy_with_header("-" * 9000 + "1"), "the npy header cannot be read: it is nested too deeply"),
    "no row": (npy(np.zeros((0, 2))), "the payload is empty"),
    "NaN": (npy(np.array([[1, 2], [3, np.nan]])), "npy row 2 column 2 must be a finite number; got nan"),
    "more than float32": (npy(np.array([[1e39]])), "npy row 1 column 1 must be a finite number; got inf"),
    "a long header": (
        b"\x93NUMPY\x02\x00" + (20_000).to_bytes(4, "little") + bytes(20_000),
        "the npy header has 20000 bytes; more than 10000 are not read",
    ),
}


@pytest.mark.parametrize("dtype", ["<f4", ">f4", "<f8", "<f2", "u1", "<i4", ">i8", "?"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_numbers_of_every_kind_and_order(dtype, order):
    array = np.array(ARRAY, dtype, order=order)
    data = table.decode(npy(array), NPY)
    np.testing.assert_array_equal(data.X, array.astype(np.float32))
    assert data.X.dtype == np.float32
    assert data.X.flags.c_contiguous


def test_one_dimension_is_a_lone_row():
    assert table.decode(npy(np.array([1, 2, 3])), NPY).X.tolist() == [[1, 2, 3]]


def test_leading_columns_are_labels_where_that_is_declared():
    data = table.decode(npy(ARRAY), "application/x-npy; label_size=1")
    assert (data.X.tolist(), data.y.tolist()) == ([[1, 2], [4, 5]], [0, 3])


@pytest.mark.parametrize(("body", "message"), ERRORS.values(), ids=ERRORS)
def test_errors(body, message):
    with pytest.raises(BadPayload) as raised:
        table.decode(body, NPY)
    assert str(raised.value) == message


class Planted:
    def __reduce__(self):
        return pytest.fail, ("a pickle was read",)


def test_a_pickle_is_never_read():
    body = npy(np.array([Planted()], object), allow_pickle=True)
    for payload in (body, body[: body.index(b"\n") + 1] + pickle.dumps(Planted()), pickle.dumps(Planted())):
        with pytest.raises(BadPayload):
            table.decode(payload, NPY)


@pytest.mark.parametrize("order", ["C", "F"])
def test_a_stream_cut_short_is_told(order):
    body = npy(np.array(np.ones((100, 3), np.float32), order=order))
    reader = table.reader(NPY)
    with pytest.raises(BadPayload) as raised:
        list(reader.stream(io.BytesIO(body[:-12]), 200))
    message = {
        "C": "the npy payload has 99 rows, its header says 100",
        "F": "the npy payload has 99 rows, its header says 100",
    }
    assert str(raised.value) == message[order]


def test_an_answer_is_an_array():
    projection = np.arange(6, dtype=np.float32).reshape(2, 3)
    body, content_type = table.encode({"projection": projection}, NPY)
    np.testing.assert_array_equal(np.load(io.BytesIO(body)), projection)
    assert content_type == NPY
    assert np.load(io.BytesIO(table.encode({"cluster": np.array([1, 0])}, NPY)[0])).tolist() == [1, 0]
    pair = {"closest_cluster": np.array([1, 0], np.float32), "distance_to_cluster": np.array([3, 0.5], np.float32)}
    assert np.load(io.BytesIO(table.encode(pair, NPY)[0])).tolist() == [[1, 3], [0, 0.5]]


def test_what_is_written_in_parts_numpy_reads():
    file = io.BytesIO()
    writer = table.writer(NPY, file)
    data = table.decode(npy(np.arange(30).reshape(10, 3)), NPY)
    for part in data.batches(4):
        writer.write(part)
    writer.finish()
    np.testing.assert_array_equal(np.load(io.BytesIO(file.getvalue())), data.X)
