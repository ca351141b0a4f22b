"""`text/libsvm` and `text/x-libsvm`: a label and `index:value` pairs on each line, sparse.

https://www.csie.ntu.edu.tw/~cjlin/libsvm/. Indices count from 1 as there, or from 0 where the media type says so:
`text/libsvm;index_base=0`. It is never guessed from the indices. All lines have a label or none has. `#` begins a
comment; lines without anything else are passed over.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from itertools import pairwise

import numpy as np

from toolkit.dataset import Dataset, Sparse
from toolkit.errors import BadContentType, BadPayload
from toolkit.formats import decimals, lines
from toolkit.formats.media_types import MediaType
from toolkit.formats.readers import BlockReader, Declared
from toolkit.formats.sparse_rows import compressed
from toolkit.formats.writers import Writer

_NEWLINE, _BLANK, _COLON = (ord(character) for character in "\n :")
_NUMERALS = b"0123456789+-.eE"
_TO_COMMAS = bytes.maketrans(b"\n :", b",,,")
_TOO_LARGE = 2**31


@dataclass(frozen=True)
class _Rows:
    """Some lines' labels (none where they have none), numbers of pairs, indices, values, and their line numbers."""

    labels: np.ndarray
    lengths: np.ndarray
    indices: np.ndarray
    values: np.ndarray
    numbers: np.ndarray


class LibsvmReader(BlockReader):
    """Reads libsvm at simdjson's speed, and line by line where a block holds what JSON calls no number."""

    tells_width = False

    def __init__(self, declared: Declared):
        super().__init__(declared)
        self._base = index_base(declared.media_type)
        self._has_labels: bool | None = None
        self._line = 1  # the number of the next line

    def whole(self, block: bytes) -> int:  # noqa: D102
        return lines.whole(block)

    def read(self, block: bytes) -> Dataset | None:  # noqa: D102
        parts = []
        for text in decimals.pieces(block.removesuffix(b"\n")):
            parts.append(self._regular(text) or self._general(text))
            self._line += lines.count(text) + 1
        rows = _Rows(*(np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(_Rows)))
        return self._dataset(rows) if len(rows.numbers) else None

    def _dataset(self, rows: _Rows) -> Dataset:
        columns = rows.indices - self._base
        width = self.declared.n_features or int(columns.max(initial=0)) + 1
        if (columns >= width).any():
            place = int(np.argmax(columns >= width))
            line = rows.numbers[np.searchsorted(np.cumsum(rows.lengths), place, side="right")]
            told = f"of {width} features the last is {width - 1 + self._base}"
            raise BadPayload(f"libsvm line {line} has index {rows.indices[place]}; {told}")

        def where(row: int) -> str:
            return f"libsvm line {rows.numbers[row]}"

        X = compressed(rows.lengths, columns, rows.values, width, where, self._base)
        return Dataset(X, rows.labels.astype(np.float32) if self._has_labels else None)

    def _regular(self, text: bytes) -> _Rows | None:
        """The rows of lines of JSON numbers with one blank or colon between; None for any others."""
        if b" \n" in text[: text.find(b"\n") + 1]:  # libsvm's own tools end their lines so
            text = text.replace(b" \n", b"\n").removesuffix(b" ")
        try:
            rows = _rows_of_numbers(text, self._line)
        except ValueError:
            return None
        has_labels = len(rows.labels) > 0
        if self._has_labels not in (None, has_labels) or not self._are_good(rows):
            return None
        self._has_labels = has_labels
        return rows

    def _are_good(self, rows: _Rows) -> bool:
        indices, values = rows.indices, np.concatenate([rows.values, rows.labels])
        are_indices = ((indices >= self._base) & (indices < _TOO_LARGE)).all()
        return bool(are_indices and (np.abs(values) < decimals.OVERFLOW).all())

    def _general(self, text: bytes) -> _Rows:
        """The rows of any lines, with an error for the first that cannot be."""
        rows: tuple[list, ...] = ([], [], [], [], [])
        for number, line in enumerate(text.split(b"\n"), self._line):
            words = line.partition(b"#")[0].decode("utf-8", "replace").split()
            if words:
                self._add(rows, number, words)
        kinds = (np.float64, np.int64, np.int64, np.float64, np.int64)
        return _Rows(*(np.array(part, kind) for part, kind in zip(rows, kinds, strict=True)))

    def _add(self, rows: tuple[list, ...], number: int, words: list[str]) -> None:
        labels, lengths, indices, values, numbers = rows
        has_label = ":" not in words[0]
        if self._has_labels is None:
            self._has_labels = has_label
        if has_label != self._has_labels:
            told = ("no label, the first row has one", "a label, the first row has none")[has_label]
            raise BadPayload(f"libsvm line {number} has {told}")
        if has_label:
            labels.append(_number(words[0], f"libsvm line {number} label"))
        pairs = [self._pair(word, number) for word in words[has_label:]]
        lengths.append(len(pairs))
        indices.extend(index for index, _ in pairs)
        values.extend(value for _, value in pairs)
        numbers.append(number)

    def _pair(self, word: str, number: int) -> tuple[int, float]:
        index, colon, value = word.partition(":")
        if not colon:
            raise BadPayload(f"libsvm line {number} must have pairs of index:value; got {word!r}")
        place = _whole_number(index)
        if not self._base <= place < _TOO_LARGE:
            hint = "; index_base=0 in the content type says that they count from 0" if place == 0 else ""
            raise BadPayload(f"libsvm line {number} must have indices of at least {self._base}; got {index!r}{hint}")
        return place, _number(value, f"libsvm line {number} index {index}")


def index_base(media_type: MediaType) -> int:
    """What the indices count from. Raises BadContentType for anything but 0 and 1."""
    given = media_type.parameters.get("index_base", "1")
    if given not in ("0", "1"):
        raise BadContentType(f"content type parameter 'index_base' must be 0 or 1; got {given!r}")
    return int(given)


def _number(text: str, where: str) -> float:
    try:
        return decimals.number(text)
    except ValueError as error:
        raise BadPayload(f"{where} must be a finite number; got {text!r}") from error


def _whole_number(text: str) -> int:
    """The whole number that a text spells in any way, as `1.0` does too; -1 where it spells none."""
    try:
        number = decimals.number(text)
    except ValueError:
        return -1
    return int(number) if number.is_integer() else -1


def _rows_of_numbers(text: bytes, first_line: int) -> _Rows:
    """The rows of lines with exactly one blank or colon between JSON numbers. Raises ValueError for any others."""
    numbers = decimals.numbers(text.translate(_TO_COMMAS))
    separators = text.translate(None, _NUMERALS)
    has_labels = not separators.startswith(b":")
    if not has_labels:  # as if there were one
        separators = b" " + separators.replace(b"\n", b"\n ")
    lengths = _lengths(np.frombuffer(separators, np.uint8))
    sizes = 2 * lengths + has_labels
    _require(len(numbers) == sizes.sum())  # more if a line ends within a pair
    is_label = np.zeros(len(numbers), bool)
    if has_labels:
        is_label[np.cumsum(sizes) - sizes] = True
    labels, cells = numbers[is_label], numbers[~is_label]
    indices = cells[::2].astype(np.int64)
    _require((indices == cells[::2]).all())
    return _Rows(labels, lengths, indices, cells[1::2], np.arange(first_line, first_line + len(lengths)))


def _lengths(separators: np.ndarray) -> np.ndarray:
    """How many pairs each line has, whose separators are a blank and a colon for each pair and nothing else."""
    is_newline = separators == _NEWLINE
    pairs = separators[~is_newline]
    _require((pairs[::2] == _BLANK).all() and (pairs[1::2] == _COLON).all())
    ends = np.append(np.flatnonzero(is_newline), len(separators))
    return (np.diff(ends, prepend=-1) - 1) // 2


def _require(is_regular: bool) -> None:
    if not is_regular:
        raise ValueError("not numbers with one separator between")


class LibsvmWriter(Writer):
    """Writes the cells that are not zero, or the first one; lines begin with the label where the rows have one."""

    def write(self, data: Dataset) -> None:  # noqa: D102
        X = data.X if isinstance(data.X, Sparse) else _sparse(data.X)
        base = index_base(self.media_type)
        pairs = [
            b"%d:%b" % (column + base, value)
            for column, value in zip(X.columns.tolist(), decimals.texts(X.values), strict=True)
        ]
        nothing = [b"%d:0" % base]  # a line must not be empty
        words = [pairs[start:stop] or nothing for start, stop in pairwise(X.starts.tolist())]
        if data.y is not None:
            words = [[label, *row] for label, row in zip(self._labels(data.y), words, strict=True)]
        self.file.write(b"".join(b" ".join(row) + b"\n" for row in words))

    def _labels(self, y: np.ndarray) -> list[bytes]:
        if y.ndim > 1:
            raise BadPayload(f"libsvm has one label a row; the rows have {y.shape[1]}")
        return decimals.texts(y)


def _sparse(X: np.ndarray) -> Sparse:
    """The cells of a dense array that are not zero."""
    rows, columns = np.nonzero(X)
    starts = np.searchsorted(rows, np.arange(len(X) + 1))
    return Sparse(starts, columns, X[rows, columns], X.shape[1])
