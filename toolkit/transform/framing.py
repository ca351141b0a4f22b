"""How records lie in a file, by SplitType: lines, RecordIO, TFRecord.

A framing finds where records end in a stretch of a file, takes a stretch of whole records apart, and takes the frame
off a record that becomes a request of its own. Offsets in messages count from the beginning of the file.

Sources: the Developer Guide's "Batch Transform" (what is stripped when), dmlc-core's recordio.h, TensorFlow's
"TFRecord and tf.train.Example".
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Protocol

from toolkit.errors import BadPayload

MAGIC = 0xCED7230A
_MAGIC_BYTES = struct.pack("<I", MAGIC)
_RECORDIO_HEADER = struct.Struct("<II")
_TFRECORD_HEADER = struct.Struct("<QI")
WHOLE, FIRST, MIDDLE, LAST = range(4)  # the top bits of a RecordIO header: which part of a record follows


class Framing(Protocol):
    """What a SplitType has to know."""

    def last_end(self, data: bytearray, stop: int, final: bool, offset: int) -> int:
        """Where the last whole record of `data[:stop]` ends, or 0; `final` says that the file ends there."""

    def records(self, block: bytes, offset: int) -> list[bytes]:
        """The records of a block of whole records, each with its frame."""

    def count(self, block: bytes, offset: int) -> int:
        """How many records `records` gives."""

    def bare(self, record: bytes) -> bytes:
        """A record without its frame."""


class Line:
    """Records end with a newline; the file's last one may go without. An empty line is no record."""

    def __init__(self, keep_newline: bool = True):
        self.keep_newline = keep_newline  # unconfirmed: SageMaker may strip it from a request of one record

    def last_end(self, data: bytearray, stop: int, final: bool, offset: int) -> int:
        """The place behind the last newline, or behind everything at the file's end."""
        return stop if final else data.rfind(b"\n", 0, stop) + 1

    def records(self, block: bytes, offset: int) -> list[bytes]:
        """The lines that are not empty, with their newlines."""
        *lines, rest = block.split(b"\n")
        found = [line + b"\n" for line in lines if line not in _EMPTY]
        return found if rest in _EMPTY else [*found, rest]

    def count(self, block: bytes, offset: int) -> int:
        """The number of lines that are not empty."""
        if b"\n\n" in block or b"\n\r\n" in block or block.startswith((b"\n", b"\r\n")):
            return len(self.records(block, offset))
        return block.count(b"\n") + (not block.endswith(b"\n")) if block else 0

    def bare(self, record: bytes) -> bytes:
        """The line, with or without its newline as was asked for."""
        return record if self.keep_newline else record.rstrip(b"\r\n")


_EMPTY = (b"", b"\r")


class _Framed:
    """Records with a header that says their length."""

    def end(self, data: bytes | bytearray, at: int, stop: int, offset: int) -> int | None:
        """Where the record beginning at `at` ends; None where that lies behind `stop`."""
        raise NotImplementedError

    def last_end(self, data: bytearray, stop: int, final: bool, offset: int) -> int:
        """The end of the last record that lies before `stop` as a whole."""
        last = 0
        while last < stop and (end := self.end(data, last, stop, offset)) is not None:
            last = end
        return last

    def ends(self, block: bytes, offset: int) -> Iterator[int]:
        """Where each record of a block of whole records ends."""
        at = 0
        while at < len(block):
            at = self.end(block, at, len(block), offset)
            yield at

    def records(self, block: bytes, offset: int) -> list[bytes]:
        """The records with their frames."""
        ends = list(self.ends(block, offset))
        return [block[start:end] for start, end in zip([0, *ends], ends, strict=False)]

    def count(self, block: bytes, offset: int) -> int:
        """The number of records."""
        return sum(1 for _ in self.ends(block, offset))


class RecordIO(_Framed):
    """A magic number, the length in 29 bits below 3 bits of which part it is, the part, zeros up to a multiple of 4.

    A writer cuts a record where the magic number stands in it at a multiple of 4; the reader puts the number back.
    """

    def end(self, data: bytes | bytearray, at: int, stop: int, offset: int) -> int | None:
        """The end of a record with all its parts and padding."""
        begun = at
        while at + _RECORDIO_HEADER.size <= stop:
            magic, word = _RECORDIO_HEADER.unpack_from(data, at)
            part = word >> 29
            if magic != MAGIC or (part in (WHOLE, FIRST)) != (at == begun):
                raise BadPayload(_not_recordio(offset + at, magic, part, at == begun))
            at += _RECORDIO_HEADER.size + _padded(word & 0x1FFFFFFF)
            if part in (WHOLE, LAST):
                return at if at <= stop else None
        return None

    def bare(self, record: bytes) -> bytes:
        """The parts put together."""
        parts, at = [], 0
        while at < len(record):
            length = _RECORDIO_HEADER.unpack_from(record, at)[1] & 0x1FFFFFFF
            at += _RECORDIO_HEADER.size
            parts.append(record[at : at + length])
            at += _padded(length)
        return _MAGIC_BYTES.join(parts)


def _padded(length: int) -> int:
    return length + 3 & ~3


def _not_recordio(place: int, magic: int, part: int, first: bool) -> str:
    if magic != MAGIC:
        return f"a RecordIO record must begin with {MAGIC:#x}; at byte {place} stands {magic:#x}"
    wanted = "be whole or begin with its first part" if first else "go on with its next part"
    return f"a RecordIO record must {wanted}; at byte {place} stands part flag {part}"


class TFRecord(_Framed):
    """The length in 8 bytes, its checksum, the record, its checksum."""

    def end(self, data: bytes | bytearray, at: int, stop: int, offset: int) -> int | None:
        """The end of a record with its second checksum."""
        if at + _TFRECORD_HEADER.size > stop:
            return None
        length, checksum = _TFRECORD_HEADER.unpack_from(data, at)
        _check(bytes(data[at : at + 8]), checksum, "length", offset + at)
        end = at + _TFRECORD_HEADER.size + length + 4
        return end if end <= stop else None

    def records(self, block: bytes, offset: int) -> list[bytes]:
        """The records with their frames, their checksums verified."""
        found, at = super().records(block, offset), offset
        for record in found:
            _check(memoryview(record)[12:-4], int.from_bytes(record[-4:], "little"), "data", at)
            at += len(record)
        return found

    def count(self, block: bytes, offset: int) -> int:
        """The number of records, their checksums verified."""
        return len(self.records(block, offset))

    def bare(self, record: bytes) -> bytes:
        """The record between its header and its checksum."""
        return record[_TFRECORD_HEADER.size : -4]


def _check(data: bytes | memoryview, checksum: int, what: str, place: int) -> None:
    from toolkit.transform.crc32c import masked  # which imports numpy

    if masked(data) != checksum:
        found = masked(data)
        raise BadPayload(
            f"the {what} of the TFRecord at byte {place} has checksum {found:#x}; the file says {checksum:#x}"
        )
