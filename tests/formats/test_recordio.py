"""RecordIO and its Record messages: bytes on the left, rows or the exact error on the right."""

import io
import struct

import numpy as np
import pytest

from toolkit.dataset import Sparse
from toolkit.errors import BadPayload
from toolkit.formats import dense_records, framing, sparse_records, table
from toolkit.formats.media_types import MediaType
from toolkit.formats.readers import Declared
from toolkit.formats.record_message import decode_error, record_class
from toolkit.formats.recordio import RecordIOReader

RECORDIO = "application/x-recordio-protobuf"
MAGIC = struct.pack("<I", 0xCED7230A)


def message(values, label=None, keys=None, width=None, kind="float32_tensor", name="values", **more) -> bytes:
    record = record_class()(**more)
    tensor = getattr(record.features[name], kind)
    tensor.values.extend(values)
    tensor.keys.extend(keys or [])
    tensor.shape.extend([] if width is None else [width])
    if label is not None:
        record.label["values"].float32_tensor.values.extend(label)
    return record.SerializeToString()


def framed(*messages: bytes) -> bytes:
    return b"".join(framing.frame(payload) for payload in messages)


def decode(body: bytes):
    return table.decode(body, RECORDIO)


def error_of(body: bytes) -> str:
    with pytest.raises(BadPayload) as raised:
        decode(body)
    return str(raised.value)


def test_a_record_as_the_documentation_draws_it():
    # features {"values": float32_tensor {values: [1, 2]}} and label {"values": float32_tensor {values: [3]}}, by hand
    payload = bytes.fromhex(
        "0a160a0676616c756573120c120a0a080000803f00000040" + "0a0676616c75657312081206".join(["1212", "0a0400004040"])
    )
    assert decode(MAGIC + struct.pack("<I", len(payload)) + payload + bytes(-len(payload) % 4)).X.tolist() == [[1, 2]]
    assert decode(framed(payload)).y.tolist() == [3]
    assert message([1, 2], [3]) == payload


@pytest.mark.parametrize("kind", ["float32_tensor", "float64_tensor", "int32_tensor"])
@pytest.mark.parametrize("n_rows", [1, 2, 7])
def test_dense_tensors_of_every_kind(kind, n_rows):
    X = np.arange(n_rows * 3).reshape(n_rows, 3)
    data = decode(framed(*(message(row.tolist(), kind=kind) for row in X)))
    np.testing.assert_array_equal(data.X, X.astype(np.float32))
    assert (data.X.dtype, data.y) == (np.float32, None)


@pytest.mark.parametrize("n_rows", [1, 2, 7])
def test_labels(n_rows):
    data = decode(framed(*(message([i, 0.5], [i]) for i in range(n_rows))))
    assert data.y.tolist() == list(range(n_rows))
    several = decode(framed(*(message([i, 0.5], [i, i + 1]) for i in range(n_rows))))
    assert several.y.tolist() == [[i, i + 1] for i in range(n_rows)]


@pytest.mark.parametrize("n_rows", [1, 7])
def test_sparse_rows(n_rows):
    data = decode(framed(*(message([5, 6], [1], keys=[i, 300], width=1000) for i in range(n_rows))))
    assert isinstance(data.X, Sparse)
    expected = np.zeros((n_rows, 1000))
    expected[np.arange(n_rows), np.arange(n_rows)] = 5
    expected[:, 300] = 6
    np.testing.assert_array_equal(data.dense().X, expected)


def test_dense_rows_may_stand_among_sparse_ones():
    data = decode(framed(message([1], keys=[2], width=3), message([0, 5, 0]), message([], width=3)))
    assert data.dense().X.tolist() == [[0, 0, 1], [0, 5, 0], [0, 0, 0]]


def test_the_rest_of_the_message_is_passed_over():
    record = record_class()()
    record.ParseFromString(message([1, 2], uid="a", metadata="b", configuration="c"))
    record.features["picture"].bytes.value.append(b"x")
    assert decode(framed(record.SerializeToString())).X.tolist() == [[1, 2]]


def test_a_record_in_parts_gets_its_magic_number_back():
    value = struct.unpack("<f", MAGIC)[0]
    payload = message([0.0, value])
    place = payload.index(MAGIC)
    parts = [payload[:place], payload[place + 4 :]]
    body = b"".join(
        MAGIC + struct.pack("<I", flag << 29 | len(part)) + part + bytes(-len(part) % 4)
        for flag, part in zip((1, 3), parts, strict=True)
    )
    assert decode(body + framed(message([1, 2]))).X.tolist() == [[0, value], [1, 2]]
    assert framing.payloads(body) == [payload]


def test_a_body_may_be_one_record_without_its_frame():
    data = decode(message([1, 2], [3]))
    assert (data.X.tolist(), data.y.tolist()) == ([[1, 2]], [3])
    assert decode(message([5], keys=[2], width=4)).X.columns.tolist() == [2]


def test_the_magic_number_begins_no_record():
    with pytest.raises(decode_error()):
        record_class()().ParseFromString(MAGIC + bytes(64))


ALIKE = [message([i, 1], [i]) for i in range(4)]
ERRORS = {
    "no magic number": (
        b"1,2,3\n4,5,6",
        "RecordIO record 1 must begin with the magic number 0xced7230a; got 0x2c322c31",
    ),
    "two records without frames": (
        message([1, 2]) * 2,
        "RecordIO record 1 must begin with the magic number 0xced7230a; got 0x60a160a",
    ),
    "a later one": (
        framed(*ALIKE) + bytes(8),
        "RecordIO record 5 must begin with the magic number 0xced7230a; got 0x0",
    ),
    "cut short": (
        framed(*ALIKE)[:-5],
        f"RecordIO record 4 is cut short: {len(framed(ALIKE[0])) - 5} bytes are left of it",
    ),
    "cut within its header": (framed(*ALIKE) + MAGIC, "RecordIO record 5 is cut short: 4 bytes are left of it"),
    "a middle part first": (
        MAGIC + struct.pack("<I", 2 << 29),
        "RecordIO record 1 must begin with its first part; got part flag 2",
    ),
    "a first part alone": (
        (MAGIC + struct.pack("<I", 1 << 29)) * 2,
        "RecordIO record 1 must go on with a middle or last part; got part flag 1",
    ),
    "another feature": (
        framed(message([1], name="other")),
        "RecordIO record 1 must have the feature 'values'; got 'other'",
    ),
    "no feature": (framed(b""), "RecordIO record 1 must have the feature 'values'; got none"),
    "another width": (framed(*ALIKE, message([1], [1])), "RecordIO record 5 has 1 value, record 1 has 2"),
    "a label missing": (framed(*ALIKE, message([1, 2])), "RecordIO record 5 has 0 labels, record 1 has 1"),
    "NaN": (framed(*ALIKE, message([1, np.nan], [1])), "RecordIO record 5 value 2 must be a finite number; got nan"),
    "an infinite label": (
        framed(*ALIKE, message([1, 2], [np.inf])),
        "RecordIO record 5 label 1 must be a finite number; got inf",
    ),
    "more than float32": (
        framed(*(message([1, 1e300], kind="float64_tensor") for _ in range(4))),
        "RecordIO record 1 value 2 must be a finite number; got inf",
    ),
    "keys without a shape": (
        framed(message([1], keys=[2])),
        "RecordIO record 1 is sparse, so it must have a shape of a positive width; got []",
    ),
    "keys for other values": (
        framed(message([1], keys=[2, 3], width=4)),
        "RecordIO record 1 must have a key for each value; got 2 for 1",
    ),
    "a key beyond the shape": (
        framed(*(message([1], keys=[i + 7], width=10) for i in range(4))),
        "RecordIO record 4 has key 10; it must be below 10",
    ),
    "a key twice": (framed(message([1, 2], keys=[3, 3], width=4)), "RecordIO record 1 names column 3 twice"),
    "nothing": (b"", "the payload is empty"),
}


@pytest.mark.parametrize(("body", "message"), ERRORS.values(), ids=ERRORS)
def test_errors(body, message):
    assert error_of(body) == message


def test_what_is_no_message():
    assert error_of(framed(b"\xff\xff\xff")).startswith("RecordIO record 1 must be a Record message: ")


def test_a_value_that_is_no_tensor():
    record = record_class()()
    record.features["values"].bytes.value.append(b"x")
    assert error_of(framed(record.SerializeToString())) == "RecordIO record 1 must be a tensor of numbers; got bytes"


def test_records_are_counted_from_block_to_block():
    body = framed(*(message([i, 1], [i]) for i in range(50)), message([1], [1]))
    with pytest.raises(BadPayload) as raised:
        list(table.reader(RECORDIO).stream(io.BytesIO(body), 300))
    assert str(raised.value) == "RecordIO record 51 has 1 value, record 1 has 2"
    with pytest.raises(BadPayload) as raised:
        list(table.reader(RECORDIO).stream(io.BytesIO(body[:-1]), 300))
    assert str(raised.value).startswith("RecordIO record 51 is cut short: ")


RANDOM = np.random.default_rng(3)
DENSE = RANDOM.random((20, 9), np.float32)
MASK = RANDOM.random((20, 9)) < 0.4


def rows_by_message(body: bytes):
    return RecordIOReader(Declared(MediaType(RECORDIO)))._general(body)


@pytest.mark.parametrize("with_labels", [False, True])
@pytest.mark.parametrize("kind", ["float32_tensor", "float64_tensor"])
def test_the_view_of_dense_records_equals_the_messages(kind, with_labels):
    body = framed(*(message(row.tolist(), [i] if with_labels else None, kind=kind) for i, row in enumerate(DENSE)))
    viewed, general = dense_records.read(body), rows_by_message(body)
    np.testing.assert_array_equal(viewed.X, general.X)
    np.testing.assert_array_equal(viewed.y, general.y)


@pytest.mark.parametrize("with_labels", [False, True])
@pytest.mark.parametrize("width", [9, 100_000])
def test_the_walk_through_sparse_records_equals_the_messages(width, with_labels):
    keys = [[int(key) * (width // 9) for key in np.flatnonzero(mask)] for mask in MASK]
    body = framed(
        *(
            message(row[mask].tolist(), [i] if with_labels else None, keys[i], width)
            for i, (row, mask) in enumerate(zip(DENSE, MASK, strict=True))
        )
    )
    walked, general = sparse_records.read(body), rows_by_message(body)
    np.testing.assert_array_equal(walked.dense().X, general.dense().X)
    np.testing.assert_array_equal(walked.y, general.y)


@pytest.mark.parametrize("flipped", [0x01, 0x02, 0x41, 0x80])
@pytest.mark.parametrize("keys", [None, [1, 200, 4], [1, 2, 4]])
def test_a_damaged_byte_gives_the_same_by_view_walk_and_message(keys, flipped):
    good = framed(*(message([1, 2, 3], [i], keys, keys and 300) for i in range(4)))
    for place in range(len(good)):
        body = bytearray(good)
        body[place] ^= flipped
        seen = dense_records.read(bytes(body)) or sparse_records.read(bytes(body))
        if seen is not None:
            general = rows_by_message(bytes(body))
            np.testing.assert_array_equal(seen.dense().X, general.dense().X)
            np.testing.assert_array_equal(seen.y, general.y)


def test_what_only_looks_like_sparse_records_is_read_by_message():
    cut = message([1, 2], keys=[1, 200], width=300).replace(
        b"\x01\xc8\x01\x1a", b"\x01\x48\x81\x1a"
    )  # a key without an end
    more = message([1, 2], keys=[1, 2], width=300) + b"\x1a\x01a"  # a uid
    for payload in (cut, more):
        assert sparse_records.read(framed(*[payload] * 4)) is None


def test_large_numbers_are_finite_by_view_too():
    body = framed(*(message([3e38, -3e38, i]) for i in range(4)))
    np.testing.assert_array_equal(dense_records.read(body).X, rows_by_message(body).X)
    for number in (np.inf, -np.inf, np.nan):
        assert dense_records.read(framed(*(message([1, 2, 3]) for _ in range(3)), message([1, number, 3]))) is None


def test_an_answer_has_a_record_for_each_row():
    columns = {"closest_cluster": np.array([1, 0], np.float32), "distance_to_cluster": np.array([3, 0.5], np.float32)}
    body, content_type = table.encode(columns, RECORDIO)
    assert content_type == RECORDIO
    records = [record_class().FromString(payload) for payload in framing.payloads(body)]
    assert [len(record.features) for record in records] == [0, 0]
    for name, column in columns.items():
        assert [list(record.label[name].float32_tensor.values) for record in records] == [[value] for value in column]
    projection = {"projection": np.arange(6, dtype=np.float32).reshape(2, 3)}
    first = record_class().FromString(framing.payloads(table.encode(projection, RECORDIO)[0])[0])
    assert list(first.label["projection"].float32_tensor.values) == [0, 1, 2]
