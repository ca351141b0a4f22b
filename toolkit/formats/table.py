"""The table of data formats: by media type, what reads a payload and what writes an answer.

`decode` and `encode` take whole payloads, as requests have them; `reader` gives what streams need. A
request without a Content-Type is read as text/csv, an answer without an Accept is written as the caller's
default.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO

import numpy as np

from toolkit.dataset import Dataset
from toolkit.errors import BadAccept, BadContentType, BadPayload
from toolkit.files import written_whole
from toolkit.formats import csv_rows, json_records, libsvm, media_types, npy_arrays, parquet_files, recordio
from toolkit.formats.media_types import MediaType
from toolkit.formats.readers import BlockReader, Declared, Reader
from toolkit.formats.writers import Writer

WITHOUT_CONTENT_TYPE = "text/csv"

READERS: dict[str, type[BlockReader]] = {
    "text/csv": csv_rows.CsvReader,
    "application/json": json_records.JsonReader,
    "application/jsonlines": json_records.JsonLinesReader,
    "application/x-recordio-protobuf": recordio.RecordIOReader,
    "text/libsvm": libsvm.LibsvmReader,
    "text/x-libsvm": libsvm.LibsvmReader,
    "application/x-npy": npy_arrays.NpyReader,
}

# a few bytes of a parquet file can stand for gigabytes: no request may be one
STREAM_READERS: dict[str, type[Reader]] = READERS | {"application/x-parquet": parquet_files.ParquetReader}

ANSWERS: dict[str, Callable[[dict[str, np.ndarray], str | None], bytes]] = {
    "application/json": json_records.answer,
    "application/jsonlines": lambda columns, answers: json_records.answer_lines(columns),
    "text/csv": lambda columns, answers: csv_rows.answer(columns),
    "application/x-recordio-protobuf": lambda columns, answers: recordio.answer(columns),
    "application/x-npy": lambda columns, answers: npy_arrays.answer(columns),
}

WRITERS: dict[str, type[Writer]] = {
    "text/csv": csv_rows.CsvWriter,
    "application/json": json_records.JsonWriter,
    "application/jsonlines": json_records.JsonLinesWriter,
    "application/x-recordio-protobuf": recordio.RecordIOWriter,
    "text/libsvm": libsvm.LibsvmWriter,
    "text/x-libsvm": libsvm.LibsvmWriter,
    "application/x-npy": npy_arrays.NpyWriter,
}


def decode(body: bytes, content_type: str | None, *, n_features: int | None = None, label_size: int = 0) -> Dataset:
    """The rows of a whole payload, at least one.

    `n_features` is the width of sparse rows that do not tell theirs; whether dense rows have it, the caller
    checks. `label_size` is how many leading columns are labels where the content type does not say: 0 for
    requests. Raises BadContentType for a type that nothing reads, BadPayload for bytes that are not what it
    promises.
    """
    media_type = _media_type(content_type or WITHOUT_CONTENT_TYPE, READERS)
    data = READERS[media_type.name](Declared(media_type, n_features, label_size)).decode(body)
    if data is None:
        raise BadPayload("the payload is empty")
    return data


def reader(content_type: str, *, n_features: int | None = None, label_size: int = 0) -> Reader:
    """A new reader for one stream of that content type; the parameters are those of `decode`, parquet is read too."""
    media_type = _media_type(content_type, STREAM_READERS)
    return STREAM_READERS[media_type.name](Declared(media_type, n_features, label_size))


def writer(content_type: str, file: BinaryIO) -> Writer:
    """A new writer of rows in that content type to a file. Raises BadContentType for one that nothing writes."""
    media_type = _media_type(content_type, WRITERS)
    return WRITERS[media_type.name](file, media_type)


def write(parts: Iterable[Dataset], path: Path, content_type: str) -> int:
    """Writes all the rows to a file in that content type and returns how many; where something raises, no file."""
    n_rows = 0
    with written_whole(path) as file:
        rows = writer(content_type, file)
        for part in parts:
            rows.write(part)
            n_rows += len(part)
        rows.finish()
    return n_rows


def encode(
    columns: dict[str, np.ndarray],
    accept: str | None,
    *,
    answers: str | None = "predictions",
    default: str = "application/json",
) -> tuple[bytes, str]:
    """An answer's bytes and content type: named columns, each (n_rows,) or (n_rows, width), as `accept` asks.

    `answers` is the name of the list in a JSON answer; None asks for a JSON array with one comma-joined
    string for each column, `["1,0,3"]`. Raises BadAccept where nothing that is accepted can be written.
    """
    content_type = negotiate(accept, default)
    return ANSWERS[content_type](columns, answers), content_type


@lru_cache(maxsize=256)
def negotiate(accept: str | None, default: str) -> str:
    """The media type, without parameters, that answers an Accept header best (RFC 9110, section 12.5.1).

    Among equal weights the earlier in the header wins; a wildcard and a missing header mean `default`, or the
    first type in the table that the wildcard covers. What was found is kept, because requests repeat their
    headers. Raises BadAccept, listing what can be written.
    """
    try:
        ranges = media_types.parse_list(accept or default) or media_types.parse_list(default)
        weighted = [(_weight(range_), range_.name) for range_ in ranges]
    except ValueError as error:
        raise BadAccept(f"accept {accept or default!r} is not supported; {_supported(ANSWERS)}") from error
    refused = {name for weight, name in weighted if weight == 0}
    choices = [media_types.parse(default).name, *ANSWERS]
    for _, name in sorted((pair for pair in weighted if pair[0] > 0), key=lambda pair: -pair[0]):
        for choice in choices:
            if choice in ANSWERS and choice not in refused and _covers(name, choice):
                return choice
    raise BadAccept(f"accept {accept or default!r} is not supported; {_supported(ANSWERS)}")


def _media_type(content_type: str, formats: dict) -> MediaType:
    """The parsed content type of one of the formats. Raises BadContentType, listing them."""
    try:
        media_type = media_types.parse(content_type)
    except ValueError:
        media_type = None
    if media_type is None or media_type.name not in formats:
        raise BadContentType(f"content type {content_type!r} is not supported; {_supported(formats)}")
    return media_type


def _weight(range_: MediaType) -> float:
    weight = float(range_.parameters.get("q", "1"))
    if not 0 <= weight <= 1:
        raise ValueError(f"weight {weight} is not within 0 and 1")
    return weight


def _covers(range_: str, name: str) -> bool:
    return range_ in (name, "*/*", "*") or (range_.endswith("/*") and name.startswith(range_[:-1]))


def _supported(formats: dict) -> str:
    return f"supported are {', '.join(formats)}"
