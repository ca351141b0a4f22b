"""Dense `Record` messages of one width, read and written as one array.

Such records differ in nothing but their numbers. The protobuf library says of the first where these lie; that all other
bytes are equal makes the rest of a block a table.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from toolkit.dataset import Dataset
from toolkit.formats import framing
from toolkit.formats.record_message import TENSORS, VECTOR, decode_error, record_class

FEWEST = 3  # records for which a view is worth its making
_HEADER_BYTES = 8


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
        return rows if _are_finite(rows) else None


def read(block: bytes) -> Dataset | None:
    """The rows of records that all have the first one's size, its fields, and its bytes but for the numbers."""
    size = framing.size_of_first(block)
    if not size or len(block) % size or len(block) // size < FEWEST:
        return None
    spans = _spans(block[_HEADER_BYTES : _HEADER_BYTES + int.from_bytes(block[4:8], "little")])
    records = np.frombuffer(block, np.uint8).reshape(-1, size)
    if spans is None or not _are_alike(records, [span for span in spans if span]):
        return None
    features, label = spans
    y = label and label.read(records)  # first: its bytes are still in the cache
    X = features.read(records)
    if X is None or (y is None) != (label is None):
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


def _are_finite(rows: np.ndarray) -> bool:
    """Whether all numbers are finite: they are if the sum of their squares is, which takes one pass and no memory."""
    numbers = rows.reshape(-1)
    with np.errstate(all="ignore"):
        return bool(np.isfinite(np.dot(numbers, numbers)) or np.isfinite(numbers).all())


def _are_alike(records: np.ndarray, spans: list[_Span]) -> bool:
    """Whether all records have the same bytes outside the spans."""
    edges = [0, *sorted(edge for span in spans for edge in (span.start, span.stop)), records.shape[1]]
    outside = [records[:, start:stop] for start, stop in zip(edges[::2], edges[1::2], strict=True)]
    return all((part == part[0]).all() for part in outside)
