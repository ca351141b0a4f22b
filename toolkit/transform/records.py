"""Files cut into blocks of whole records, and blocks into the requests that a batch transform job sends.

A block is what one worker takes at a time: with MultiRecord one request as large as MaxPayloadInMB allows, with
SingleRecord many small ones. A file is read once, front to back, through one buffer: memory does not grow with it.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from toolkit.errors import BadPayload, PayloadTooLarge
from toolkit.transform.framing import Framing, Line, RecordIO, TFRecord
from toolkit.transform.settings import Settings

SINGLE_RECORDS = 256 * 1024  # bytes of a block whose records become requests of their own
FRAME_ALLOWANCE = 4096  # what the frame of a record may add to a record of the largest size


@dataclass(frozen=True)
class Block:
    """A stretch of a file: whole records, or the whole file where `length` is None.

    `data` holds the bytes where they cannot be read again by their place, because the file is compressed.
    `consumed` is how far the file on disk has been read for it, in bytes.
    """

    path: Path
    offset: int
    length: int | None
    data: bytes | None = None
    consumed: int = 0


@dataclass(frozen=True)
class Request:
    """One body to be sent, and its records without their frames (None: they were only counted)."""

    body: bytes
    n_records: int
    records: list[bytes] | None = None


def framing(settings: Settings) -> Framing | None:
    """The framing of the job's SplitType; None where a file is one record."""
    kinds = {
        "Line": lambda: Line(settings.keep_newline),
        "RecordIO": RecordIO,
        "TFRecord": TFRecord,
        "None": lambda: None,
    }
    return kinds[settings.split_type]()


def blocks(path: Path, settings: Settings) -> Iterator[Block]:
    """The blocks of a file in order; none for an empty file.

    Raises PayloadTooLarge for a record over the limit, BadPayload for bytes that are not of the SplitType.
    """
    limit = settings.max_payload_bytes
    whole = settings.split_type == "None" or (limit is None and settings.strategy == "MultiRecord")
    with path.open("rb") as raw, opened(raw, settings) as file:
        try:
            yield from _whole(path, file, limit) if whole else _cut(path, file, settings, raw)
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise BadPayload(f"the file must be gzip as CompressionType says; {error}".rstrip(".")) from error


def opened(raw: BinaryIO, settings: Settings) -> BinaryIO:
    """The file as it is, or decompressed while it is read."""
    return gzip.GzipFile(fileobj=raw) if settings.compression_type == "Gzip" else raw


def _whole(path: Path, file: BinaryIO, limit: int | None) -> Iterator[Block]:
    head = file.read(1 if limit is None else limit + 1)
    if limit is not None and len(head) > limit:
        raise PayloadTooLarge(f"the file has more than {_limit(limit)}; a SplitType would cut it into records")
    if head:
        yield Block(path, 0, None, consumed=path.stat().st_size)


def _cut(path: Path, file: BinaryIO, settings: Settings, raw: BinaryIO) -> Iterator[Block]:
    """Blocks of as many whole records as fit."""
    cutter = Cutter(file, framing(settings), settings)
    for offset, view in cutter:
        if file is raw:
            yield Block(path, offset, len(view), consumed=offset + len(view))
        else:
            yield Block(path, offset, len(view), bytes(view), consumed=raw.tell())


class Cutter:
    """Iterates over (offset, view of the bytes) of a file's blocks; a view is good until the next one."""

    def __init__(self, file: BinaryIO, framing: Framing, settings: Settings):
        self.file = file
        self.framing = framing
        self.limit = _framed_limit(settings)
        wanted = SINGLE_RECORDS if settings.strategy == "SingleRecord" else self.limit
        self.size = min(wanted, self.limit or wanted)
        self.buffer = bytearray(self.size + 1)  # one byte more tells whether the file goes on
        self.filled = 0
        self.offset = 0

    def __iter__(self) -> Iterator[tuple[int, memoryview]]:
        while self._fill():
            end = self._end()
            with memoryview(self.buffer)[:end] as view:
                yield self.offset, view
            self.offset += end
            self.buffer[: self.filled - end] = self.buffer[end : self.filled]
            self.filled -= end

    def _fill(self) -> int:
        with memoryview(self.buffer) as view:
            while self.filled < len(view) and (n_read := self.file.readinto(view[self.filled :])):
                self.filled += n_read
        return self.filled

    def _end(self) -> int:
        """Where the block ends, the buffer growing until a record fits into it."""
        size = self.size
        while True:
            final = self.filled <= size
            end = self.framing.last_end(self.buffer, min(self.filled, size), final, self.offset)
            if end:
                return end
            if final:
                raise BadPayload(f"the file ends inside the record that begins at byte {self.offset}")
            if size == self.limit:
                raise PayloadTooLarge(f"the record at byte {self.offset} has more than {_limit(self.limit)}")
            size = min(2 * size, self.limit or 2 * size)
            self.buffer.extend(bytes(max(0, size + 1 - len(self.buffer))))
            self._fill()


def _framed_limit(settings: Settings) -> int | None:
    """The largest record in the file: of a request of its own the frame is taken off before it is sent."""
    stripped = settings.strategy == "SingleRecord" and settings.max_payload_bytes is not None
    return settings.max_payload_bytes + FRAME_ALLOWANCE if stripped else settings.max_payload_bytes


def read(block: Block, settings: Settings) -> bytes:
    """The bytes of a block. Raises BadPayload where the file has become shorter."""
    if block.data is not None:
        return block.data
    with block.path.open("rb") as raw:
        if block.length is None:
            return opened(raw, settings).read()
        raw.seek(block.offset)
        data = raw.read(block.length)
    if len(data) < block.length:
        raise BadPayload(f"the file has become shorter while it was read; it ends at byte {block.offset + len(data)}")
    return data


def requests(block: Block, settings: Settings, apart: bool = False) -> Iterator[Request]:
    """The requests of a block; `apart` asks for the records of each. A block of empty lines has none."""
    data, how = read(block, settings), framing(settings)
    if how is None:
        yield Request(data, 1, [data])
    elif settings.strategy == "SingleRecord":
        for record in how.records(data, block.offset):
            yield Request(record, 1, [record])
    else:
        records = how.records(data, block.offset) if apart else None
        n_records = how.count(data, block.offset) if records is None else len(records)
        if n_records:
            yield Request(data, n_records, records)


def check_size(request: Request, settings: Settings) -> None:
    """Raises PayloadTooLarge for a request over the limit; only one whose frame was taken off can be."""
    limit = settings.max_payload_bytes
    if limit is not None and len(request.body) > limit:
        raise PayloadTooLarge(f"the record has {len(request.body):,} bytes, more than {_limit(limit)}")


def _limit(n_bytes: int) -> str:
    return f"the {n_bytes:,} bytes that MaxPayloadInMB allows"
