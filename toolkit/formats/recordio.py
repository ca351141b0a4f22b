"""`application/x-recordio-protobuf`: a `Record` message for each row, framed as RecordIO.

A row's vector is `features["values"]`, dense or with keys and a shape; its labels are `label["values"]`. An answer is a
Record with no features and a label for each column. `uid`, `metadata`, `configuration` and features of other names are
passed over. Blocks of records that are alike are read as one array (dense_records.py, sparse_records.py), others
message by message.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from toolkit.dataset import Dataset, Sparse
from toolkit.errors import BadPayload
from toolkit.formats import dense_records, framing, sparse_records
from toolkit.formats.readers import BlockReader, Declared
from toolkit.formats.record_message import TENSORS, VECTOR, decode_error, record_class
from toolkit.formats.sparse_rows import compressed
from toolkit.formats.writers import Writer

_NONE = np.empty(0, np.float32)


@dataclass(frozen=True)
class _Row:
    """One message's numbers; `keys` are the columns of a sparse vector, None for a dense one."""

    values: np.ndarray
    keys: np.ndarray | None
    width: int
    labels: np.ndarray


class RecordIOReader(BlockReader):
    """Reads RecordIO, by views where all records of a block are alike."""

    def __init__(self, declared: Declared):
        super().__init__(declared)
        self._record = 1  # the number of the next record
        self._width: int | None = None
        self._n_labels: int | None = None

    def decode(self, body: bytes) -> Dataset | None:
        """The rows of a body; it may be one Record without its frame, as batch transform sends a single record.

        Nothing is guessed: to a message, the magic number's bytes would mean a field of wire type 7, and there is none.
        """
        return super().decode(framing.frame(body) if _is_record(body) else body)

    def whole(self, block: bytes) -> int:  # noqa: D102
        return framing.whole(block, self._record)

    def read(self, block: bytes) -> Dataset | None:  # noqa: D102
        data = dense_records.read(block) or sparse_records.read(block)
        if data is None or not self._goes_on(data):
            data = self._general(block)
        self._record += 0 if data is None else len(data)
        return data

    def _goes_on(self, data: Dataset) -> bool:
        """Whether rows have the width and the number of labels of those before."""
        n_labels = 0 if data.y is None else 1
        if self._width is None:
            self._width, self._n_labels = data.n_features, n_labels
        return (self._width, self._n_labels) == (data.n_features, n_labels)

    def _general(self, block: bytes) -> Dataset | None:
        """The rows message by message, with an error for the first that cannot be."""
        payloads = enumerate(framing.payloads(block, self._record), self._record)
        with np.errstate(over="ignore"):  # told by _finite
            rows = [self._checked(number, self._row(number, payload)) for number, payload in payloads]
        if not rows:
            return None
        X = _matrix(rows, self._record)
        y = _finite(np.stack([row.labels for row in rows]), "label", self._record) if self._n_labels else None
        return Dataset(X, y[:, 0] if self._n_labels == 1 else y)

    def _row(self, number: int, payload: bytes) -> _Row:
        record = record_class()()
        try:
            record.ParseFromString(payload)
        except decode_error() as error:
            raise BadPayload(f"RecordIO record {number} must be a Record message: {error}") from error
        if VECTOR not in record.features:
            named = ", ".join(map(repr, sorted(record.features))) or "none"
            raise BadPayload(f"RecordIO record {number} must have the feature {VECTOR!r}; got {named}")
        where = f"RecordIO record {number}"
        tensor, values = _tensor(record.features[VECTOR], where)
        labels = _tensor(record.label[VECTOR], f"{where} label")[1] if VECTOR in record.label else _NONE
        if len(values) and not tensor.keys:
            return _Row(values, None, len(values), labels)
        return _Row(values, *_keys(tensor, where), labels)

    def _checked(self, number: int, row: _Row) -> _Row:
        if self._width is None:
            self._width, self._n_labels = row.width, len(row.labels)
        for got, first, what in ((row.width, self._width, "value"), (len(row.labels), self._n_labels, "label")):
            if got != first:
                many = f"{got} {what}{'s' * (got != 1)}"
                raise BadPayload(f"RecordIO record {number} has {many}, record 1 has {first}")
        return row


def _is_record(body: bytes) -> bool:
    """Whether a body is one Record with a vector, and nothing around it: two would be read as one, and smaller."""
    if body[:4] == framing.MAGIC.to_bytes(4, "little"):
        return False
    record = record_class()()
    try:
        record.ParseFromString(body)
    except decode_error():
        return False
    return VECTOR in record.features and record.ByteSize() == len(body)


def _tensor(value: Any, where: str) -> tuple[Any, np.ndarray]:
    """A tensor message and its values, float32."""
    kind = value.WhichOneof("value")
    if kind not in TENSORS:
        raise BadPayload(f"{where} must be a tensor of numbers; got {kind or 'nothing'}")
    tensor = getattr(value, kind)
    return tensor, np.array(tensor.values, TENSORS[kind]).astype(np.float32, copy=False)


def _keys(tensor: Any, where: str) -> tuple[np.ndarray, int]:
    """The columns of a sparse vector and its width; keys count cells row by row, so that a row's are columns."""
    if len(tensor.keys) != len(tensor.values):
        raise BadPayload(f"{where} must have a key for each value; got {len(tensor.keys)} for {len(tensor.values)}")
    if not tensor.shape or not 0 < tensor.shape[-1] < 2**31:
        raise BadPayload(f"{where} is sparse, so it must have a shape of a positive width; got {list(tensor.shape)}")
    return np.array(tensor.keys, np.uint64), int(tensor.shape[-1])


def _matrix(rows: list[_Row], first: int) -> np.ndarray | Sparse:
    """The rows below each other: sparse if at least one is, with the cells that are not zero of a dense one."""
    if all(row.keys is None for row in rows):
        return _finite(np.stack([row.values for row in rows]), "value", first)
    keys = [np.flatnonzero(row.values).astype(np.uint64) if row.keys is None else row.keys for row in rows]
    values = [row.values[row.values != 0] if row.keys is None else row.values for row in rows]
    lengths = np.array([len(part) for part in keys])
    where = lambda row: f"RecordIO record {first + row}"  # noqa: E731
    return compressed(lengths, np.concatenate(keys), np.concatenate(values), rows[0].width, where)


def _finite(rows: np.ndarray, what: str, first: int) -> np.ndarray:
    """The same rows, the first of which is record number `first`. Raises BadPayload where a number is not finite."""
    is_finite = np.isfinite(rows)
    if not is_finite.all():
        row, place = np.argwhere(~is_finite)[0].tolist()
        got = rows[row, place]
        raise BadPayload(f"RecordIO record {first + row} {what} {place + 1} must be a finite number; got {got}")
    return rows


def answer(columns: dict[str, np.ndarray]) -> bytes:
    """A Record for each row: no features, and a float32 label for each column."""
    labels = {name: column.reshape(len(column), -1) for name, column in columns.items()}
    return dense_records.written({}, labels)


class RecordIOWriter(Writer):
    """Writes features and labels as SageMaker's SDK does, float32, dense or sparse."""

    def write(self, data: Dataset) -> None:  # noqa: D102
        if isinstance(data.X, Sparse):
            self.file.write(b"".join(_sparse_records(data)))
            return
        labels = {} if data.y is None else {VECTOR: data.y.reshape(len(data), -1)}
        self.file.write(dense_records.written({VECTOR: data.X}, labels))


def _sparse_records(data: Dataset) -> Iterator[bytes]:
    """A framed record for each row, with keys and a shape."""
    X, labels = data.X, [] if data.y is None else data.y.reshape(len(data), -1).tolist()
    for row, (start, stop) in enumerate(pairwise(X.starts.tolist())):
        record = record_class()()
        tensor = record.features[VECTOR].float32_tensor
        tensor.values.extend(X.values[start:stop].tolist())
        tensor.keys.extend(X.columns[start:stop].tolist())
        tensor.shape.append(X.n_columns)
        if labels:
            record.label[VECTOR].float32_tensor.values.extend(labels[row])
        yield framing.frame(record.SerializeToString())
