"""Whole blocks of `Record` messages read as arrays, where all the records are alike; None where they are not.

Dense records of one width differ in nothing but their numbers: the protobuf library says for the first where these lie,
and that all other bytes are equal makes the rest of the block a table. Sparse records differ in length, but not in the
order of their fields: numpy walks through all of them at once, a field at a time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from toolkit.dataset import Dataset
from toolkit.errors import BadPayload
from toolkit.formats import framing
from toolkit.formats.record_message import TENSORS, VECTOR, decode_error, record_class
from toolkit.formats.sparse_rows import compressed

FEWEST = 3  # records in a block for which a view is worth its making
_HEADER_BYTES = 8
_VARINT_BYTES = 5  # that a length or a column below 2**35 takes at most
_WITH_LENGTH = 2  # the wire type of messages, strings and packed numbers


@dataclass(frozen=True)
class _Span:
    """Where the numbers of a tensor lie in a record, and their type."""

    start: int
    stop: int
    dtype: str

    def read(self, records: np.ndarray) -> np.ndarray | None:
        """The numbers (n_records, n_numbers) float32 of records (n_records, n_bytes) uint8; None if not finite."""
        size, n_bytes = int(self.dtype[-1]), records.shape[1]
        shape = len(records), (self.stop - self.start) // size
        numbers = np.ndarray(shape, self.dtype, records, offset=self.start, strides=(n_bytes, size))
        with np.errstate(over="ignore"):
            rows = numbers.astype(np.float32)
        return rows if np.isfinite(rows).all() else None


def dense(block: bytes) -> Dataset | None:
    """The rows of records that all have the first one's size, its fields, and its bytes but for the numbers."""
    size = framing.size_of_first(block)
    if not size or len(block) % size or len(block) // size < FEWEST:
        return None
    spans = _spans(block[_HEADER_BYTES : _HEADER_BYTES + int.from_bytes(block[4:8], "little")])
    records = np.frombuffer(block, np.uint8).reshape(-1, size)
    if spans is None or not _are_alike(records, [span for span in spans if span]):
        return None
    X, y = (span and span.read(records) for span in spans)
    if X is None or (y is None) != (spans[1] is None):
        return None
    return Dataset(X, None if y is None else y[:, 0])


def _spans(payload: bytes) -> tuple[_Span, _Span | None] | None:
    """Where the features and the label of a dense record lie, counted from its header; None for any other record."""
    record = record_class()()
    try:
        record.ParseFromString(payload)
    except decode_error():
        return None
    if set(record.features) != {VECTOR} or not set(record.label) <= {VECTOR}:
        return None
    if record.SerializeToString(deterministic=True) != payload:
        return None
    features, label = (_span_of_vector(record, each) if each else None for each in (record.features, record.label))
    is_one_label = label is None or label.stop - label.start == int(label.dtype[-1])
    return (features, label) if features and is_one_label and bool(record.label) == bool(label) else None


def _span_of_vector(record: Any, tensors: Any) -> _Span | None:
    """Where the numbers of a map's dense vector lie; None where it is of another kind."""
    kind = tensors[VECTOR].WhichOneof("value")
    if kind not in ("float32_tensor", "float64_tensor"):  # whole numbers have no fixed size in protobuf
        return None
    tensor = getattr(tensors[VECTOR], kind)
    return None if tensor.keys or not tensor.values else _span(record, tensor, TENSORS[kind])


def _span(record: Any, tensor: Any, dtype: str) -> _Span:
    """Where the numbers of one of the record's tensors lie: where its bytes change with them."""
    values, written = list(tensor.values), []
    for byte in (b"\0", b"\1"):
        tensor.values[:] = np.frombuffer(byte * int(dtype[-1]) * len(values), dtype).tolist()
        written.append(np.frombuffer(record.SerializeToString(deterministic=True), np.uint8))
    tensor.values[:] = values
    changed = np.flatnonzero(written[0] != written[1])
    return _Span(_HEADER_BYTES + int(changed[0]), _HEADER_BYTES + int(changed[-1]) + 1, dtype)


def written(features: dict[str, np.ndarray], labels: dict[str, np.ndarray]) -> bytes:
    """Framed records of dense float32 vectors: each named array (n_rows, width) gives a row to each record."""
    record = record_class()()
    named = [(record.features[name].float32_tensor, rows) for name, rows in features.items()]
    named += [(record.label[name].float32_tensor, rows) for name, rows in labels.items()]
    for tensor, rows in named:
        tensor.values[:] = [0.0] * rows.shape[1]
    template = np.frombuffer(framing.frame(record.SerializeToString(deterministic=True)), np.uint8)
    records = np.empty((len(named[0][1]), len(template)), np.uint8)
    records[:] = template
    for tensor, rows in named:
        span = _span(record, tensor, "<f4")
        records[:, span.start : span.stop] = np.ascontiguousarray(rows, "<f4").view(np.uint8)
    return records.tobytes()


def _are_alike(records: np.ndarray, spans: list[_Span]) -> bool:
    """Whether all records have the same bytes outside the spans."""
    edges = [0, *sorted(edge for span in spans for edge in (span.start, span.stop)), records.shape[1]]
    outside = [records[:, start:stop] for start, stop in zip(edges[::2], edges[1::2], strict=True)]
    return all((part == part[0]).all() for part in outside)


class _Irregular(Exception):
    """The records are not alike."""


@dataclass(frozen=True)
class _Places:
    """Where a field begins and ends in each of the records, as places in the block (n_records,)."""

    starts: np.ndarray
    stops: np.ndarray


def sparse(block: bytes) -> Dataset | None:
    """The rows of float32 sparse records of one width, as SageMaker's writers make them, with a label each or none."""
    try:
        return _Walk(block).dataset()
    except (_Irregular, BadPayload):
        return None


class _Walk:
    """A walk through all the records of a block at once, a protobuf field at a time."""

    def __init__(self, block: bytes):
        found = framing.places(block)
        _require(found is not None and len(found) >= FEWEST)
        self._block = block
        self._bytes = np.frombuffer(block + bytes(1 + _VARINT_BYTES), np.uint8)  # a field may be looked for at the end
        places = np.array(found, np.int64)
        self._payloads = _Places(places[:, 0], places[:, 1])

    def dataset(self) -> Dataset:
        """The rows. Raises _Irregular, and BadPayload for columns that are no columns."""
        feature = self._field(self._payloads, 1)
        tensor = self._tensor(feature)
        values = self._field(tensor, 1, may_lack=True)
        keys = self._field(_behind(values, tensor), 2, may_lack=True)
        widths, n_widths = self._varints(self._last_field(_behind(keys, tensor), 3))
        columns, n_columns = self._varints(keys)
        numbers = self._floats(values)
        _require((n_widths == 1).all() and (widths == widths[0]).all() and 0 < widths[0] < 2**31)
        _require((4 * n_columns == values.stops - values.starts).all())
        y = self._labels(_behind(feature, self._payloads))
        return Dataset(compressed(n_columns, columns, numbers, int(widths[0]), str), y)

    def _labels(self, rest: _Places) -> np.ndarray | None:
        """The labels of the records, whose features end where `rest` begins; None where nothing is behind them."""
        if (rest.starts == rest.stops).all():
            return None
        values = self._last_field(self._tensor(self._last_field(rest, 2)), 1)
        _require((values.stops - values.starts == 4).all())
        labels = self._floats(values)
        _require(np.isfinite(labels).all())
        return labels

    def _tensor(self, entry: _Places) -> _Places:
        """The float32 tensor of a map's entry with the key `values`."""
        key = self._field(entry, 1)
        _require((key.stops - key.starts == len(VECTOR)).all())
        _require((self._bytes[key.starts[:, None] + np.arange(len(VECTOR))] == list(VECTOR.encode())).all())
        return self._last_field(self._last_field(_behind(key, entry), 2), 2)

    def _last_field(self, outer: _Places, number: int) -> _Places:
        """A field that goes to the end of its message."""
        field = self._field(outer, number)
        _require((field.stops == outer.stops).all())
        return field

    def _field(self, outer: _Places, number: int, may_lack: bool = False) -> _Places:
        """The field of that number and a length, with which each message `outer` begins; empty where it is lacking."""
        is_there = (self._bytes[outer.starts] == (number << 3 | _WITH_LENGTH)) & (outer.starts < outer.stops)
        _require(may_lack or is_there.all())
        length, n_bytes = self._length(outer.starts + 1)
        starts = outer.starts + np.where(is_there, 1 + n_bytes, 0)
        stops = starts + np.where(is_there, length, 0)
        _require((stops <= outer.stops).all())
        return _Places(starts, stops)

    def _length(self, at: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The varints that begin at these places, and how many bytes each has."""
        digits = self._bytes[at[:, None] + np.arange(_VARINT_BYTES)].astype(np.int64)
        n_bytes = np.argmax(digits < 128, axis=1) + 1
        _require((digits.min(axis=1) < 128).all())
        is_own = np.arange(_VARINT_BYTES) < n_bytes[:, None]
        return ((digits & 127) * is_own << 7 * np.arange(_VARINT_BYTES)).sum(axis=1), n_bytes

    def _varints(self, places: _Places) -> tuple[np.ndarray, np.ndarray]:
        """All the varints in the places, one behind another, and how many each place has."""
        digits = np.frombuffer(bytes(_VARINT_BYTES) + self._joined(places), np.uint8)
        stops = np.cumsum(places.stops - places.starts) + _VARINT_BYTES
        _require((digits[stops - 1] < 128).all())  # none goes on behind its place
        last = np.flatnonzero(digits < 128)[_VARINT_BYTES:]
        numbers = digits[last].astype(np.int64)
        goes_on = np.ones(len(last), bool)
        for place in range(1, _VARINT_BYTES + 1):  # from the last byte, which is the highest, to the first
            digit = digits[last - place]
            goes_on &= digit >= 128
            if not goes_on.any():
                break
            numbers = np.where(goes_on, numbers << 7 | digit & 127, numbers)
        _require(not goes_on.any())
        return numbers, np.diff(np.searchsorted(last, stops), prepend=0)

    def _floats(self, places: _Places) -> np.ndarray:
        _require(((places.stops - places.starts) % 4 == 0).all())
        return np.frombuffer(self._joined(places), "<f4")

    def _joined(self, places: _Places) -> bytes:
        spans = zip(places.starts.tolist(), places.stops.tolist(), strict=True)
        return b"".join([self._block[start:stop] for start, stop in spans])


def _behind(field: _Places, outer: _Places) -> _Places:
    """What follows a field in its message."""
    return _Places(field.stops, outer.stops)


def _require(is_regular: bool) -> None:
    if not is_regular:
        raise _Irregular
