"""How records lie in a file, by SplitType: lines, RecordIO, TFRecord.

A framing finds where records end in a stretch of a file, and takes a stretch of whole records apart. Offsets in
messages count from the beginning of the file.

Sources: the Developer Guide's "Batch Transform" (what is stripped when), TensorFlow's "TFRecord and
tf.train.Example".
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from toolkit.errors import BadPayload


class Framing(Protocol):
    """What a SplitType has to know."""

    def last_end(self, data: bytearray, stop: int, final: bool, offset: int) -> int:
        """Where the last whole record of `data[:stop]` ends, or 0; `final` says that the file ends there."""

    def records(self, block: bytes, offset: int) -> list[bytes]:
        """The records of a block of whole records, each as it is sent alone: without its frame."""

    def count(self, block: bytes, offset: int) -> int:
        """How many records `records` gives."""


class Line:
    """Records end with a newline; the file's last one may go without. An empty line is no record."""

    def __init__(self, keep_newline: bool = True):
        self.keep_newline = keep_newline  # unconfirmed: SageMaker may strip it from a request of one record

    def last_end(self, data: bytearray, stop: int, final: bool, offset: int) -> int:
        """The place behind the last newline, or behind everything at the file's end."""
        return stop if final else data.rfind(b"\n", 0, stop) + 1

    def records(self, block: bytes, offset: int) -> list[bytes]:
        """The lines that are not empty, with or without their newlines as was asked for."""
        *lines, rest = block.split(b"\n")
        found = [line + b"\n" for line in lines if line not in _EMPTY] + [rest] * (rest not in _EMPTY)
        return found if self.keep_newline else [line.rstrip(b"\r\n") for line in found]

    def count(self, block: bytes, offset: int) -> int:
        """The number of lines that are not empty."""
        if b"\r" in block:
            return len(self.records(block, offset))
        return _n_lines(block) if block else 0


_EMPTY = (b"", b"\r")


def _n_lines(block: bytes) -> int:
    """The number of newlines that do not follow another, and of what is behind the last."""
    import numpy as np

    newlines = np.frombuffer(block, np.uint8) == ord("\n")
    n_lines = np.count_nonzero(newlines) + (not newlines[-1]) - newlines[0]
    newlines[:-1] &= newlines[1:]
    return int(n_lines - np.count_nonzero(newlines[:-1]))


class RecordIO:
    """Records as toolkit/formats/framing.py describes them; one that is cut into parts is one record."""

    def last_end(self, data: bytearray, stop: int, final: bool, offset: int) -> int:
        """The end of the last record that lies before `stop` as a whole."""
        from toolkit.formats import framing  # which imports numpy

        with memoryview(data)[:stop] as view, _counted_from(offset):
            return framing.whole(view)

    def records(self, block: bytes, offset: int) -> list[bytes]:
        """The records, their parts put together."""
        from toolkit.formats import framing

        with _counted_from(offset):
            return framing.payloads(block)

    def count(self, block: bytes, offset: int) -> int:
        """The number of records."""
        from toolkit.formats import framing

        in_one_part = framing.places(block)
        return len(self.records(block, offset) if in_one_part is None else in_one_part)


@contextmanager
def _counted_from(offset: int) -> Iterator[None]:
    """Says from where the number of a record in a message is counted."""
    try:
        yield
    except BadPayload as error:
        raise BadPayload(f"{error} (records counted from byte {offset})") from error


class TFRecord:
    """The length in 8 bytes, its checksum, the record, its checksum."""

    def last_end(self, data: bytearray, stop: int, final: bool, offset: int) -> int:
        """The end of the last record that lies before `stop` as a whole."""
        last = 0
        while (end := _end(data, last, stop, offset)) <= stop:
            last = end
        return last

    def records(self, block: bytes, offset: int) -> list[bytes]:
        """The records, their checksums verified."""
        found, at = [], 0
        while at < len(block):
            end = _end(block, at, len(block), offset)
            found.append(block[at + _HEADER.size : end - 4])
            _check(found[-1], block[end - 4 : end], "data", offset + at)
            at = end
        return found

    def count(self, block: bytes, offset: int) -> int:
        """The number of records, their checksums verified."""
        return len(self.records(block, offset))


_HEADER = struct.Struct("<Q4s")


def _end(data: bytes | bytearray, at: int, stop: int, offset: int) -> float:
    """Where the record at `at` ends; infinitely far where its header is not there as a whole before `stop`."""
    if at + _HEADER.size > stop:
        return math.inf
    length, checksum = _HEADER.unpack_from(data, at)
    _check(bytes(data[at : at + 8]), checksum, "length", offset + at)
    return at + _HEADER.size + length + 4


def _check(data: bytes | memoryview, stored: bytes, what: str, place: int) -> None:
    from toolkit.transform.crc32c import masked  # which imports numpy

    checksum, found = int.from_bytes(stored, "little"), masked(data)
    if found != checksum:
        raise BadPayload(
            f"the {what} of the TFRecord at byte {place} has checksum {found:#x}; the file says {checksum:#x}"
        )
