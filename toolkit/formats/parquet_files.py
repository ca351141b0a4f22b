"""`application/x-parquet`, for training: columns of numbers, read a batch of rows at a time by pyarrow.

Leading label columns are as in CSV, as XGBoost's container has them too. Needs pyarrow.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any, BinaryIO

import numpy as np

from toolkit.dataset import Dataset
from toolkit.errors import BadContentType, BadPayload
from toolkit.formats.labels import label_size, split_labels
from toolkit.formats.readers import BLOCK_BYTES, Declared, Reader


class ParquetReader(Reader):
    """Reads parquet files; their directory is at the end, so a stream that cannot seek is taken into memory."""

    def __init__(self, declared: Declared):
        super().__init__(declared)
        self._label_size = label_size(declared)
        self._row = 1  # the number of the next row

    def stream(self, file: BinaryIO, block_bytes: int = BLOCK_BYTES) -> Iterator[Dataset]:  # noqa: D102
        arrow, parquet = _pyarrow()
        try:
            table = parquet.ParquetFile(file if file.seekable() else io.BytesIO(file.read()))
            width = max(1, table.metadata.num_columns)
            for batch in table.iter_batches(max(1, block_bytes // (4 * width))):
                if batch.num_rows:
                    yield split_labels(self._rows(batch), self._label_size, "parquet row 1")
        except (arrow.ArrowException, OSError) as error:
            raise BadPayload(f"the parquet file cannot be read: {error}") from error

    def _rows(self, batch: Any) -> np.ndarray:
        """The rows (n_rows, n_columns) float32 of a batch. Raises BadPayload by row and column."""
        rows = np.empty((batch.num_rows, batch.num_columns), np.float32)
        for place, (field, column) in enumerate(zip(batch.schema, batch.columns, strict=True)):
            numbers = column.to_numpy(zero_copy_only=False)
            if numbers.dtype.kind not in "fiub":
                raise BadPayload(f"parquet column {field.name!r} must hold numbers; it holds {field.type}")
            with np.errstate(over="ignore"):
                rows[:, place] = numbers
            is_finite = np.isfinite(rows[:, place])
            if not is_finite.all():
                row = int(np.argmin(is_finite))
                where = f"parquet row {self._row + row} column {field.name!r}"
                raise BadPayload(f"{where} must be a finite number; got {column[row].as_py()}")
        self._row += batch.num_rows
        return rows


def _pyarrow() -> tuple[Any, Any]:
    """The modules pyarrow and pyarrow.parquet. Raises BadContentType where they are not installed."""
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        needed = "content type 'application/x-parquet' needs pyarrow: pip install pyarrow"
        raise BadContentType(needed) from error
    return pyarrow, pyarrow.parquet
