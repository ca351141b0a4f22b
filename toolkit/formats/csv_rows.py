"""`text/csv`: numbers with commas between, one row a line, no header; `label_size` leading labels.

https://docs.aws.amazon.com/sagemaker/latest/dg/cdf-training.html. A payload that
begins with `{` is read as JSON records: the published notebooks send PCA's JSON answers on as text/csv.
"""

from __future__ import annotations

import csv
import re
from contextlib import suppress

import numpy as np

from toolkit.dataset import Dataset
from toolkit.errors import BadContentType, BadPayload
from toolkit.formats import decimals, lines
from toolkit.formats.json_records import JsonReader
from toolkit.formats.labels import joined_labels, label_size, split_labels
from toolkit.formats.readers import BlockReader, Declared
from toolkit.formats.writers import Writer

_OBJECT = re.compile(rb"\s*\{")
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_ASCII = "0123456789+-.eE,\"' \t\r\n{}"


class CsvReader(BlockReader):
    """Reads CSV at simdjson's speed, and line by line where a block holds what JSON calls no number."""

    def __init__(self, declared: Declared):
        super().__init__(declared)
        self._charset = _charset(declared)
        self._label_size = label_size(declared)
        self._json: JsonReader | None = None
        self._width: int | None = None
        self._line = 1  # the number of the next line
        self._empty_line: int | None = None

    def whole(self, block: bytes) -> int:  # noqa: D102
        return self._json_reader(block).whole(block) if self._json_reader(block) else lines.whole(block)

    def read(self, block: bytes) -> Dataset | None:  # noqa: D102
        if self._json_reader(block):
            return self._json_reader(block).read(block)
        text = block.rstrip()
        n_behind = block.count(b"\n", len(text))  # one ends the last row, more are empty lines
        rows = self._rows(text.removeprefix(_BYTE_ORDER_MARK) if self._line == 1 else text) if text else None
        n_rows = 0 if rows is None else len(rows)
        if n_behind > (rows is not None) and self._empty_line is None:
            self._empty_line = self._line + n_rows
        self._line += n_behind + max(0, n_rows - 1)
        return None if rows is None else split_labels(rows, self._label_size, "CSV line 1")

    def _json_reader(self, block: bytes) -> JsonReader | None:
        """The reader of JSON records, if the payload begins as one."""
        if self._width is None and self._json is None and _OBJECT.match(block):
            self._json = JsonReader(self.declared)
        return self._json

    def _rows(self, text: bytes) -> np.ndarray:
        """The numbers (n_lines, n_fields) float32 of lines that end without a newline."""
        if self._empty_line is not None:  # only the payload's last lines may be empty
            raise BadPayload(f"CSV line {self._empty_line} is empty")
        for spell in (bytes, decimals.respelled):
            with suppress(ValueError):
                rows = decimals.table(spell(text))
                if self._width in (None, rows.shape[1]):
                    self._width = rows.shape[1]
                    return rows
        return np.stack([self._row(number, line) for number, line in enumerate(text.split(b"\n"), self._line)])

    def _row(self, number: int, line: bytes) -> np.ndarray:
        """The numbers of one line. Raises BadPayload with its number, and that of the field."""
        fields = self._fields(number, line)
        if self._width is None:
            self._width = len(fields)
        if len(fields) != self._width:
            many = f"{len(fields)} field{'s' * (len(fields) != 1)}"
            raise BadPayload(f"CSV line {number} has {many}, line 1 has {self._width}")
        values = [self._number(number, place, field) for place, field in enumerate(fields, 1)]
        return np.array(values, np.float32)

    def _fields(self, number: int, line: bytes) -> list[bytes | str]:
        if not line.strip():
            raise BadPayload(f"CSV line {number} is empty")
        if b'"' not in line:
            return line.split(b",")
        text = line.decode(self._charset, "replace")
        try:
            return next(csv.reader([text.strip()], skipinitialspace=True, strict=True))
        except csv.Error as error:
            raise BadPayload(f"CSV line {number} cannot be read: {error}") from error

    def _number(self, number: int, place: int, field: bytes | str) -> float:
        try:
            return decimals.number(field)
        except ValueError as error:
            text = field if isinstance(field, str) else field.decode(self._charset, "replace")
            raise BadPayload(_complaint(number, place, text.strip())) from error


def _complaint(number: int, place: int, text: str) -> str:
    where = f"CSV line {number} field {place}"
    if not text:
        return f"{where} is empty"
    is_name = number == 1 and text[0].isalpha() and text.lower() not in ("nan", "inf", "infinity")
    hint = "; the format has no header line" if is_name else ""
    shown = text if len(text) <= 40 else text[:37] + "..."
    return f"{where} must be a finite number; got {shown!r}{hint}"


def _charset(declared: Declared) -> str:
    """The payload's charset; it must write ASCII as ASCII, which UTF-16 does not."""
    charset = declared.media_type.parameters.get("charset", "utf-8")
    try:
        if _ASCII.encode(charset) == _ASCII.encode("ascii"):
            return charset
    except (LookupError, UnicodeError):
        pass
    raise BadContentType(f"charset {charset!r} is not supported; it must be UTF-8 or another that contains ASCII")


def answer(columns: dict[str, np.ndarray]) -> bytes:
    """The columns beside each other, one line a row."""
    texts = [decimals.texts(column) for column in columns.values()]
    rows = texts[0] if len(texts) == 1 else map(b",".join, zip(*texts, strict=True))
    return b"".join(row + b"\n" for row in rows).replace(b"null", b"nan")


class CsvWriter(Writer):
    """Writes the labels, then the features, each number as short as it reads back the same."""

    def write(self, data: Dataset) -> None:  # noqa: D102
        self.file.write(b"".join(row + b"\n" for row in decimals.texts(joined_labels(data))))
