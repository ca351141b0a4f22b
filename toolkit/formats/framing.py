"""RecordIO: how records lie one behind another in `application/x-recordio-protobuf`.

A record is the magic number, a word with the length in its low 29 bits and a part flag above, the payload, and zeros
up to a multiple of four (dmlc-core, include/dmlc/recordio.h; little-endian). A writer that finds the magic number
inside a payload may cut it there into parts, and leave those four bytes out; the reader puts them back. SageMaker's own
writers never cut, and their readers do not put together: neither does `frame`.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import BinaryIO

import numpy as np

from toolkit.errors import BadPayload
from toolkit.formats.readers import blocks

MAGIC = 0xCED7230A
_MAGIC = struct.pack("<I", MAGIC)
_HEADER = struct.Struct("<II")
_LENGTH = 0x1FFFFFFF
_WHOLE, _FIRST, _MIDDLE, _LAST = range(4)


def whole(block: bytes, first: int = 1) -> int:
    """How many leading bytes of `block`, which begins with record number `first`, are whole records."""
    n_alike = _n_alike(block)
    found, end = _in_one_part(block, n_alike * size_of_first(block))
    ends = [end for end, _ in _records(block, end, first + n_alike + len(found))]
    return ends[-1] if ends else end


def payloads(block: bytes, first: int = 1) -> list[bytes]:
    """The payloads of a block of whole records. Raises BadPayload; the block begins with record number `first`."""
    found, at = _in_one_part(block)
    rest = list(_records(block, at, first + len(found)))
    end = rest[-1][0] if rest else at
    if end < len(block):
        number = first + len(found) + len(rest)
        raise BadPayload(f"RecordIO record {number} is cut short: {len(block) - end} bytes are left of it")
    whole_parts = [block[start:stop] for start, stop in found]
    return whole_parts + [_MAGIC.join([block[start:stop] for start, stop in parts]) for _, parts in rest]


def places(block: bytes) -> list[tuple[int, int]] | None:
    """Where the payload of each record starts and stops; None unless the block is whole records of one part each."""
    found, end = _in_one_part(block)
    return found if end == len(block) else None


def stream(file: BinaryIO) -> Iterator[bytes]:
    """The payloads of a stream of records. Raises BadPayload."""
    n_read = 0
    for block in blocks(file, whole):
        found = payloads(block, n_read + 1)
        n_read += len(found)
        yield from found


def frame(payload: bytes) -> bytes:
    """A record with that payload."""
    return b"%b%b%b" % (_HEADER.pack(MAGIC, len(payload)), payload, bytes(-len(payload) % 4))


def size_of_first(block: bytes) -> int:
    """The bytes of the first record with its header and padding if it is in one part, else 0."""
    if len(block) < _HEADER.size:
        return 0
    magic, word = _HEADER.unpack_from(block)
    return _HEADER.size + _padded(word) if magic == MAGIC and word <= _LENGTH else 0


def _n_alike(block: bytes) -> int:
    """How many records of the first one's header, and so of its size, the block begins with; 0 if it is in parts."""
    size = size_of_first(block)
    n_records = len(block) // size if size else 0
    headers = np.ndarray((n_records,), "<u8", block, strides=(size,)) if n_records else np.empty(0)
    alike = headers == headers[:1]
    return n_records if alike.all() else int(np.argmin(alike))


def _in_one_part(block: bytes, at: int = 0) -> tuple[list[tuple[int, int]], int]:
    """The payloads' places up to the first record that is not whole and in one part, and where that begins."""
    found, n_bytes = [], len(block)
    while at + _HEADER.size <= n_bytes:
        magic, word = _HEADER.unpack_from(block, at)
        start = at + _HEADER.size
        end = start + (word + 3 & ~3)
        if magic != MAGIC or word > _LENGTH or end > n_bytes:
            break
        found.append((start, start + word))
        at = end
    return found, at


def _records(block: bytes, at: int, number: int) -> Iterator[tuple[int, list[tuple[int, int]]]]:
    """The end of each whole record from `at` on, and the places of its parts. Raises BadPayload for what is none."""
    while at + _HEADER.size <= len(block):
        parts, flag = [], None
        while flag not in (_WHOLE, _LAST):
            if at + _HEADER.size > len(block):
                return
            magic, word = _HEADER.unpack_from(block, at)
            flag = word >> 29
            _check(magic, flag, bool(parts), number)
            at += _HEADER.size
            parts.append((at, at + (word & _LENGTH)))
            at += _padded(word & _LENGTH)
        if at > len(block):
            return
        yield at, parts
        number += 1


def _check(magic: int, flag: int, is_begun: bool, number: int) -> None:
    if magic != MAGIC:
        raise BadPayload(f"RecordIO record {number} must begin with the magic number {MAGIC:#x}; got {magic:#x}")
    if is_begun != (flag in (_MIDDLE, _LAST)):
        wanted = "go on with a middle or last part" if is_begun else "begin with its first part"
        raise BadPayload(f"RecordIO record {number} must {wanted}; got part flag {flag}")


def _padded(length: int) -> int:
    return length + 3 & ~3
