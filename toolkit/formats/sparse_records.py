"""Sparse `Record` messages, as SageMaker's writers make them, read by array operations over a whole block.

Such records differ in length, but not in the order of their fields: numpy walks through all of them at once, a protobuf
field at a time (https://protobuf.dev/programming-guides/encoding/).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from toolkit.dataset import Dataset
from toolkit.errors import BadPayload
from toolkit.formats import framing
from toolkit.formats.record_message import VECTOR
from toolkit.formats.sparse_rows import compressed

FEWEST = 3  # records for which a walk is worth its beginning
_VARINT_BYTES = 5  # that a length or a column below 2**35 takes at most
_WITH_LENGTH = 2  # the wire type of messages, strings and packed numbers


class _Irregular(Exception):
    """The records are not alike."""


@dataclass(frozen=True)
class _Places:
    """Where a field begins and ends in each of the records, as places in the block (n_records,)."""

    starts: np.ndarray
    stops: np.ndarray


def read(block: bytes) -> Dataset | None:
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
        columns, n_keys = self._varints(keys)
        numbers = self._floats(values)
        _require((n_widths == 1).all() and (widths == widths[0]).all() and 0 < widths[0] < 2**31)
        _require((4 * n_keys == values.stops - values.starts).all())
        y = self._labels(_behind(feature, self._payloads))
        return Dataset(compressed(n_keys, columns, numbers, int(widths[0]), str), y)

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
