"""Decimal text to float32 and back, exactly: Python's `float` of the same text, rounded once more to float32.

simdjson reads numbers at several hundred MB/s, but only what JSON calls a number, and it flattens what it
reads: so lines become one JSON array, and the commas of every line are counted beside it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from threading import Lock

import numpy as np
import orjson
import simdjson

PIECE_BYTES = 1 << 18  # of text for simdjson at a time: it stays in the cache, and a parser keeps twelve times as much

_SPELLINGS = (  # what stands before is looked at last, so that the search is for one character
    (re.compile(rb'"(?<![^,\n]")([-+.0-9eE]+)"(?![^,\r\n])'), rb"\1"),
    (re.compile(rb"\+(?<![^,\n \t]\+)(?=[.0-9])"), b""),
    (re.compile(rb"\.(?<![0-9]\.)(?=[0-9])"), b"0."),
    (re.compile(rb"\.(?<=[0-9]\.)(?![0-9])"), b".0"),
)
OVERFLOW = (2 - 2.0**-24) * 2.0**127  # the least number that rounds to no finite float32


class _Numbers:
    """One simdjson parser for the process, made when it is first needed: threads take turns."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._parser: simdjson.Parser | None = None

    def read(self, text: bytes) -> np.ndarray:
        """The numbers of a JSON array, flattened, float64. Raises ValueError for anything else."""
        with self._lock:
            parser, self._parser = self._parser or simdjson.Parser(), None
            try:
                numbers = parser.parse(text).as_buffer(of_type="d")
            except (TypeError, RuntimeError) as error:  # not numbers; an integer of more than 64 bits
                raise ValueError(str(error)) from error
            if len(text) <= 2 * PIECE_BYTES:
                self._parser = parser
        return np.frombuffer(numbers)


_NUMBERS = _Numbers()


def table(text: bytes) -> np.ndarray:
    """The numbers (n_lines, n_fields) float32 of lines of JSON numbers with commas between.

    `text` ends without a newline. Raises ValueError for any other text, for lines of unequal length and for
    numbers beyond float32.
    """
    parts = [_table_of_piece(piece) for piece in pieces(text)]
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def respelled(text: bytes) -> bytes:
    """The same lines with `+1`, `.5`, `1.` and `"1"` as JSON spells these numbers."""
    for spelling, as_json in _SPELLINGS:
        text = spelling.sub(as_json, text)
    return text


def pieces(text: bytes) -> Iterator[bytes]:
    """The lines of a text, some at a time, without the newline behind the last of them."""
    at = 0
    while at <= len(text):
        end = _end_of_piece(text, at)
        yield text[at:end]
        at = end + 1


def numbers(text: bytes) -> np.ndarray:
    """The JSON numbers, float64, of a text with commas between them. Raises ValueError for any other text."""
    if b"[" in text:  # simdjson would flatten it without a word
        raise ValueError("not numbers alone")
    return _NUMBERS.read(b"[%b]" % text)


def number(text: str | bytes) -> float:
    """The number that a text spells as Python's `float` reads it. Raises ValueError unless float32 can hold it."""
    value = float(text)
    if not abs(value) < OVERFLOW or (b"_" in text if isinstance(text, bytes) else "_" in text):
        raise ValueError(f"not a finite number: {text!r}")
    return value


def texts(column: np.ndarray) -> list[bytes]:
    """The shortest text of each row's numbers that reads back as the same; a wide row's are joined by commas."""
    column = np.ascontiguousarray(column, np.float32 if column.dtype.kind == "f" and column.itemsize == 2 else None)
    if not column.size:
        return [b""] * len(column)
    dumped = orjson.dumps(column, option=orjson.OPT_SERIALIZE_NUMPY)
    if column.ndim == 1:
        return dumped[1:-1].split(b",")
    return [row[2:] for row in dumped[:-2].split(b"]")]  # a search for one character is several times as fast


def _end_of_piece(text: bytes, at: int) -> int:
    """Where the last line that ends within a piece from `at` ends; or the first, if it is longer than that."""
    if len(text) - at <= PIECE_BYTES:
        return len(text)
    end = text.rfind(b"\n", at, at + PIECE_BYTES)
    end = text.find(b"\n", at) if end < 0 else end
    return len(text) if end < 0 else end


def _table_of_piece(text: bytes) -> np.ndarray:
    """The numbers (n_lines, n_fields) float32 of a few lines. Raises ValueError."""
    found = numbers(text.replace(b"\n", b","))
    characters = np.frombuffer(text, np.uint8)
    starts = np.concatenate([[0], np.flatnonzero(characters == ord("\n")) + 1])
    if starts[-1] == len(text):
        raise ValueError("an empty line")
    commas = np.add.reduceat((characters == ord(",")).view(np.uint8), starts, dtype=np.int32)
    if (commas != commas[0]).any():
        raise ValueError("lines of unequal length")
    with np.errstate(over="ignore"):
        rows = found.reshape(len(starts), commas[0] + 1).astype(np.float32)
    if not np.isfinite(rows).all():
        raise ValueError("a number beyond float32")
    return rows
