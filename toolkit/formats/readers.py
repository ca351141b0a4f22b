"""What every format's reader gives: rows from a whole payload, or from a stream a block at a time.

A reader is made for one payload (a request's body, a file, an epoch of a FIFO) and remembers what its errors need: the
number of the next line or record, and the width of the first. Where records lie one behind another, `whole` says where
the last one of a block ends, so that the bytes behind it are kept for the next block; `read` takes whole records only.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

from toolkit.dataset import Dataset
from toolkit.formats.media_types import MediaType

BLOCK_BYTES = 4_000_000  # read from a stream at a time; more where one record is longer


@dataclass(frozen=True)
class Declared:
    """What is known of a payload before it is read.

    `n_features` is the width of sparse rows whose format does not tell theirs, or None. `label_size` is how
    many leading columns are labels, where the media type's own parameter `label_size` does not say.
    """

    media_type: MediaType
    n_features: int | None = None
    label_size: int = 0


class Reader(ABC):
    """Reads one payload; a subclass for each format.

    `tells_width` is False where only `n_features` or all the rows together say how many columns there are.
    """

    tells_width = True

    def __init__(self, declared: Declared):
        self.declared = declared

    @abstractmethod
    def stream(self, file: BinaryIO, block_bytes: int = BLOCK_BYTES) -> Iterator[Dataset]:
        """The rows of a stream in order, about a block's at a time. Raises BadPayload where they are not such rows."""


class BlockReader(Reader):
    """Reads a payload whose records lie one behind another."""

    @abstractmethod
    def whole(self, block: bytes) -> int:
        """How many leading bytes of `block` are whole records; 0 where not even the first is."""

    @abstractmethod
    def read(self, block: bytes) -> Dataset | None:
        """The rows of whole records, None where there are none. The last block may lack its last newline.

        Raises BadPayload for anything else, by the number of the line or record in the payload.
        """

    def finish(self) -> None:
        """Raises BadPayload if the payload must not end where it was read to."""

    def decode(self, body: bytes) -> Dataset | None:
        """The rows of a whole payload, None where there are none. Raises BadPayload as `read` and `finish`."""
        data = self.read(body)
        self.finish()
        return data

    def stream(self, file: BinaryIO, block_bytes: int = BLOCK_BYTES) -> Iterator[Dataset]:  # noqa: D102
        for block in blocks(file, self.whole, block_bytes):
            data = self.read(block)
            if data is not None:
                yield data
        self.finish()


def blocks(file: BinaryIO, whole: Callable[[bytes], int], block_bytes: int = BLOCK_BYTES) -> Iterator[bytes]:
    """A stream cut where `whole` says that records end; what is left at its end comes last."""
    rest = b""
    while block := file.read(max(block_bytes, len(rest))):
        block = rest + block if rest else block
        end = whole(block)
        if end:
            yield block[:end]
        rest = block[end:]
    if rest:
        yield rest
