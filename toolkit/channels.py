"""A channel's files or FIFOs as a stream of mini-batches, in memory that does not grow with the data.

File mode reads the files below the channel's folder in the order of their S3 keys. Pipe mode reads the FIFO
`<folder>_<epoch>`, the next epoch's for every pass, which SageMaker fills with the objects one after another.
Compressed files are recognised by their first two bytes. A mini-batch never mixes files.
https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-training-algo-running-container.html
"""

from __future__ import annotations

import gzip
import time
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from io import BufferedReader, BytesIO
from itertools import chain
from pathlib import Path
from typing import BinaryIO

from toolkit.dataset import Dataset, concatenate
from toolkit.environment import Input
from toolkit.errors import BadChannel, BadContentType, BadPayload, UserError
from toolkit.files import GZIP, data_files
from toolkit.formats import framing, media_types, table
from toolkit.formats.readers import Reader

HELD_BYTES = 200_000_000  # of decoded mini-batches that a Passes keeps for the next pass
FIFO_SECONDS = 600  # how long a FIFO may take to appear
RECORDIO = "application/x-recordio-protobuf"

Key = tuple[int, int]
RowsPerBatch = Callable[[int], int]
Batches = Iterator[tuple[Key, Dataset]]


@dataclass(frozen=True)
class _Source:
    """A stream of a channel: what errors call it, the file on disk, and its content without compression."""

    name: str
    raw: BinaryIO
    file: BinaryIO


def mini_batches(
    channel: Input,
    rows_per_batch: RowsPerBatch,
    label_size: int = 1,
    *,
    n_features: int | None = None,
    epoch: int = 0,
    progress: Callable[[int], None] | None = None,
) -> Batches:
    """The mini-batches of one pass over a channel, each with its key (file, chunk); sparse rows are still sparse.

    `rows_per_batch(n_features)` says how many rows a mini-batch has; the last of a file has what is left.
    `label_size` is how many leading columns are labels where the content type does not say. `n_features` is the
    width of sparse rows that do not tell theirs; without it, File mode looks through the files once before.
    `progress` is told of bytes that have been read. Raises BadChannel where there is no row; what is wrong in a
    file is told with the file's path in front.
    """
    declared_width = _width(channel, label_size, n_features)
    first = None
    for place, source in enumerate(_sources(channel, epoch)):
        parts = _read(source, _reader(channel, label_size, declared_width), progress)
        for chunk, data in enumerate(_rebatched(parts, rows_per_batch)):
            first = first or data
            _check_alike(first, data, source.name)
            yield (place, chunk), data
    if first is None:
        raise BadChannel(_empty(channel))


class Passes:
    """A channel's mini-batches, dense, to be iterated once for each pass of an algorithm.

    Iterating again reads the channel again, in Pipe mode the next epoch's FIFO; unless all the mini-batches
    together have at most `held_bytes` as they were read: then they are read once and kept.
    """

    def __init__(
        self,
        channel: Input,
        rows_per_batch: RowsPerBatch,
        label_size: int = 1,
        *,
        n_features: int | None = None,
        held_bytes: int = HELD_BYTES,
    ):
        self._read_epoch = partial(mini_batches, channel, rows_per_batch, label_size)
        self._n_features = n_features
        self._held_bytes = held_bytes
        self._held: list[tuple[Key, Dataset]] | None = None
        self._begun: Batches | None = None  # a pass of which n_features has seen the first mini-batch
        self._epoch = 0

    @property
    def n_features(self) -> int:
        """The width of the rows. The mini-batch that is read to know it is not lost to the next pass."""
        first = next(batches := self._pass())
        self._begun = chain([first], batches)
        return first[1].n_features

    def __iter__(self) -> Batches:
        return ((key, data.dense()) for key, data in self._pass())

    def dataset(self) -> Dataset:
        """All the rows at once, for an algorithm that needs them so; sparse rows are still sparse."""
        return concatenate(data for _, data in self._pass())

    def _pass(self) -> Batches:
        begun, self._begun = self._begun, None
        return begun or iter(self._held or self._reading())

    def _reading(self) -> Batches:
        """A pass over the channel, which keeps the mini-batches while they fit."""
        epoch, self._epoch = self._epoch, self._epoch + 1
        kept, n_bytes = [], 0
        for key, data in self._read_epoch(epoch=epoch, n_features=self._n_features):
            self._n_features, n_bytes = data.n_features, n_bytes + data.nbytes
            if n_bytes <= self._held_bytes:
                kept.append((key, data))
            else:
                kept.clear()
            yield key, data
        self._held = kept


def _empty(channel: Input) -> str:
    return f"channel {channel.name!r} is empty: {channel.folder}; the S3 prefix in the job is usually wrong"


def _check_alike(first: Dataset, data: Dataset, source: str) -> None:
    """Raises BadPayload where rows have not the columns of the channel's first ones."""
    for what, got, wanted in (
        ("features", data.n_features, first.n_features),
        ("labels", data.n_labels, first.n_labels),
    ):
        if got != wanted:
            raise BadPayload(f"{source}: the rows have {got} {what}; those before have {wanted}")


def _reader(channel: Input, label_size: int, n_features: int | None) -> Reader:
    try:
        return table.reader(channel.content_type, n_features=n_features, label_size=label_size)
    except BadContentType as error:
        raise BadContentType(f"channel {channel.name!r}: {error}") from error


def _width(channel: Input, label_size: int, n_features: int | None) -> int | None:
    """`n_features`; without it the widest row in the files of a format whose rows do not tell how wide they are."""
    if _reader(channel, label_size, n_features).tells_width or n_features:
        return n_features
    if channel.input_mode == "Pipe":
        wanted = "in Pipe mode its width must be known before: set the hyperparameter 'feature_dim'"
        raise BadChannel(f"channel {channel.name!r} has content type {channel.content_type!r}; {wanted}")
    parts = (_read(source, _reader(channel, label_size, None)) for source in _sources(channel, 0))
    return max((data.n_features for data in chain.from_iterable(parts)), default=None)


def _sources(channel: Input, epoch: int) -> Iterator[_Source]:
    """The streams of a pass; each is closed when the next is asked for."""
    if channel.input_mode == "Pipe":
        yield from _piped(channel, epoch)
        return
    for path in data_files(channel.folder):
        with path.open("rb") as file:
            yield _Source(str(path), file, _decompressed(file))


def _piped(channel: Input, epoch: int) -> Iterator[_Source]:
    """The epoch's FIFO; of objects in RecordIO records each one, unless RecordIO is what the format reads anyway."""
    fifo = channel.folder.with_name(f"{channel.folder.name}_{epoch}")
    _wait_for(fifo, channel)
    with fifo.open("rb") as file:
        if channel.record_wrapper != "RecordIO" or media_types.parse(channel.content_type).name == RECORDIO:
            yield _Source(str(fifo), file, _decompressed(file))
            return
        for number, body in enumerate(framing.stream(file), 1):
            yield _Source(f"{fifo} object {number}", file, _decompressed(BufferedReader(BytesIO(body))))


def _wait_for(fifo: Path, channel: Input) -> None:
    deadline = time.monotonic() + FIFO_SECONDS
    while not fifo.exists():
        if time.monotonic() > deadline:
            raise BadChannel(f"channel {channel.name!r} must have the FIFO {fifo}; none came in {FIFO_SECONDS} s")
        time.sleep(0.1)


def _decompressed(file: BufferedReader) -> BinaryIO:
    return gzip.GzipFile(fileobj=file) if file.peek(2).startswith(GZIP) else file


def _read(source: _Source, reader: Reader, progress: Callable[[int], None] | None = None) -> Iterator[Dataset]:
    """The rows of one stream; errors have its name in front."""
    at = 0
    try:
        for data in reader.stream(source.file):
            yield data
            if progress:
                before, at = at, source.raw.tell()
                progress(at - before)
    except UserError as error:
        raise type(error)(f"{source.name}: {error}") from error
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise BadPayload(f"{source.name}: the gzip file is damaged: {error}") from error


def _rebatched(parts: Iterable[Dataset], rows_per_batch: RowsPerBatch) -> Iterator[Dataset]:
    """The rows of the parts in order, in mini-batches of equal size but for the last."""
    pending, n_pending = [], 0
    for part in parts:
        n_rows, at = rows_per_batch(part.n_features), 0
        while at < len(part):
            piece = part.rows(at, at + n_rows - n_pending)
            pending.append(piece)
            at, n_pending = at + len(piece), n_pending + len(piece)
            if n_pending == n_rows:
                yield concatenate(pending)
                pending, n_pending = [], 0
    if pending:
        yield concatenate(pending)
