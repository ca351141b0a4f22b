"""`application/x-npy`: a NumPy array file of one or two dimensions, rows of numbers; never a pickle.

https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html. An array of one dimension is a lone row. Leading
label columns are as in CSV: `application/x-npy;label_size=1`.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from tokenize import TokenError

import numpy as np
from numpy.lib import format as npy

from toolkit.dataset import Dataset
from toolkit.errors import BadPayload
from toolkit.formats.labels import joined_labels, label_size, split_labels
from toolkit.formats.readers import BlockReader, Declared
from toolkit.formats.writers import Writer

_HEADERS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
_PREFIX_BYTES = 12  # magic, version and the longest form of the header's length
_LONGEST_HEADER = 10_000  # numpy's own limit
_DIGITS = 20  # kept free for the number of rows, which a writer learns last


@dataclass(frozen=True)
class _Header:
    """What the header says, and how many bytes it has."""

    n_rows: int
    n_columns: int
    is_fortran: bool
    dtype: np.dtype
    n_bytes: int

    @property
    def row_bytes(self) -> int:
        return self.n_columns * self.dtype.itemsize


class NpyReader(BlockReader):
    """Reads a C-ordered array row by row, a Fortran-ordered one as a whole."""

    def __init__(self, declared: Declared):
        super().__init__(declared)
        self._label_size = label_size(declared)
        self._header: _Header | None = None
        self._read_rows = 0

    def whole(self, block: bytes) -> int:  # noqa: D102
        header = self._header or _header(block)
        if header is None:
            return 0
        begin = 0 if self._header else header.n_bytes
        n_rows = (len(block) - begin) // header.row_bytes
        return 0 if header.is_fortran and n_rows < header.n_rows else begin + n_rows * header.row_bytes

    def read(self, block: bytes) -> Dataset | None:  # noqa: D102
        begin = 0
        if self._header is None:
            self._header = _header(block)
            if self._header is None:
                raise BadPayload("the npy payload is cut short within its header")
            begin = self._header.n_bytes
        rows = self._rows(block[begin:])
        with np.errstate(over="ignore"):
            rows = np.ascontiguousarray(rows, np.float32)
        self._refuse_what_is_not_finite(rows)
        self._read_rows += len(rows)
        return split_labels(rows, self._label_size, "npy row 1") if len(rows) else None

    def finish(self) -> None:  # noqa: D102
        if self._header is not None and self._read_rows < self._header.n_rows:
            raise BadPayload(f"the npy payload has {self._read_rows} rows, its header says {self._header.n_rows}")

    def _rows(self, data: bytes) -> np.ndarray:
        header = self._header
        n_rows, rest = divmod(len(data), header.row_bytes)
        if rest or self._read_rows + n_rows > header.n_rows:
            wanted = (header.n_rows - self._read_rows) * header.row_bytes
            raise BadPayload(f"the npy payload must have {wanted} bytes of numbers here; got {len(data)}")
        shape = (n_rows, header.n_columns)
        rows = np.frombuffer(data, header.dtype)
        return rows.reshape(shape[::-1]).T if header.is_fortran else rows.reshape(shape)

    def _refuse_what_is_not_finite(self, rows: np.ndarray) -> None:
        is_finite = np.isfinite(rows)
        if not is_finite.all():
            row, column = np.argwhere(~is_finite)[0].tolist()
            where = f"npy row {self._read_rows + row + 1} column {column + 1}"
            raise BadPayload(f"{where} must be a finite number; got {rows[row, column]}")


def _header(block: bytes) -> _Header | None:
    """The header with which a payload begins, None where it is not all there. Raises BadPayload."""
    if not block.startswith(npy.MAGIC_PREFIX[: len(block)]):
        raise BadPayload("the npy payload must begin with NumPy's magic string")
    if len(block) < _PREFIX_BYTES:
        return None
    major = block[6]
    length = int.from_bytes(block[8:10] if major == 1 else block[8:12], "little")
    n_bytes = (10 if major == 1 else 12) + length
    if length > _LONGEST_HEADER:
        raise BadPayload(f"the npy header has {length} bytes; more than {_LONGEST_HEADER} are not read")
    return _parsed(block[:n_bytes]) if len(block) >= n_bytes else None


def _parsed(text: bytes) -> _Header:
    """The header of these bytes: the shape and type of a table of numbers, or BadPayload."""
    file = io.BytesIO(text)
    try:
        shape, is_fortran, dtype = _HEADERS[npy.read_magic(file)](file)
    except (RecursionError, MemoryError) as error:  # of Python's parser
        raise BadPayload("the npy header cannot be read: it is nested too deeply") from error
    except (ValueError, KeyError, TypeError, SyntaxError, TokenError) as error:
        raise BadPayload(f"the npy header cannot be read: {error}") from error
    if dtype.kind not in "fiub" or dtype.itemsize > 8:
        raise BadPayload(f"the npy array must hold numbers of at most 64 bits; got {dtype}")
    if len(shape) not in (1, 2) or not all(type(n) is int and n >= 0 for n in shape) or not 0 < shape[-1] < 2**31:
        raise BadPayload(f"the npy array must be rows of numbers, of one or two dimensions; got shape {shape}")
    n_rows = 1 if len(shape) == 1 else shape[0]
    return _Header(n_rows, shape[-1], is_fortran and len(shape) == 2, dtype, len(text))


def answer(columns: dict[str, np.ndarray]) -> bytes:
    """One array: the lone column as it is, several beside each other."""
    wide = [column.reshape(len(column), -1) for column in columns.values()]
    array = next(iter(columns.values())) if len(columns) == 1 else np.concatenate(wide, axis=1)
    file = io.BytesIO()
    np.save(file, array, allow_pickle=False)
    return file.getvalue()


class NpyWriter(Writer):
    """Writes float32 rows, labels first; the file must be one that can be written at its beginning again."""

    n_rows = 0
    n_columns = 0

    def write(self, data: Dataset) -> None:  # noqa: D102
        rows = joined_labels(data)
        if not self.n_rows:
            self.n_columns = rows.shape[1]
            self._write_header()
        self.n_rows += len(rows)
        self.file.write(rows.astype("<f4", copy=False).tobytes())

    def finish(self) -> None:  # noqa: D102
        self.file.seek(0)
        self._write_header()

    def _write_header(self) -> None:
        """Writes a header of one size whatever the number of rows."""
        text = f"{{'descr': '<f4', 'fortran_order': False, 'shape': ({self.n_rows}, {self.n_columns}), }}"
        text = text.ljust(len(text) - len(str(self.n_rows)) + _DIGITS)
        text += " " * (-(len(text) + 11) % 64) + "\n"
        self.file.write(npy.magic(1, 0) + len(text).to_bytes(2, "little") + text.encode())
