"""Parquet files as channels have them: rows, or the exact error."""

import io
import subprocess
import sys

import numpy as np
import pytest

from toolkit.errors import BadContentType, BadPayload
from toolkit.formats import table

PARQUET = "application/x-parquet"
arrow = pytest.importorskip("pyarrow")


def parquet(columns: dict, **options) -> io.BytesIO:
    from pyarrow import parquet

    file = io.BytesIO()
    parquet.write_table(arrow.table(columns), file, **options)
    file.seek(0)
    return file


def read(file, content_type=PARQUET, **options):
    return list(table.reader(content_type, **options).stream(file, 4000))


def test_rows_come_a_batch_at_a_time():
    columns = {
        "a": np.arange(1000.0),
        "b": np.arange(1000),
        "c": np.arange(1000) % 2 == 0,
        "d": np.ones(1000, np.float32),
    }
    parts = read(parquet(columns, row_group_size=300))
    assert len(parts) >= 4
    expected = np.stack([np.asarray(column, np.float32) for column in columns.values()], axis=1)
    np.testing.assert_array_equal(np.concatenate([part.X for part in parts]), expected)


def test_leading_columns_are_labels():
    (data,) = read(parquet({"y": [1, 2], "x": [3.0, 4.0]}), label_size=1)
    assert (data.X.tolist(), data.y.tolist()) == ([[3], [4]], [1, 2])
    (data,) = read(parquet({"y": [1, 2], "x": [3.0, 4.0]}), "application/x-parquet;label_size=0", label_size=1)
    assert (data.X.tolist(), data.y) == ([[1, 3], [2, 4]], None)


def test_a_stream_that_cannot_seek_is_read():
    class Pipe(io.BytesIO):
        def seekable(self):
            return False

    (data,) = read(Pipe(parquet({"x": [1.0]}).getvalue()))
    assert data.X.tolist() == [[1]]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"x": ["a", "b"]}, "parquet column 'x' must hold numbers; it holds string"),
        ({"x": [1.0, None]}, "parquet row 2 column 'x' must be a finite number; got None"),
        ({"w": [1, 2], "x": [1.0, float("inf")]}, "parquet row 2 column 'x' must be a finite number; got inf"),
    ],
)
def test_errors(columns, message):
    with pytest.raises(BadPayload) as raised:
        read(parquet(columns))
    assert str(raised.value) == message


@pytest.mark.parametrize("body", [b"", b"PAR1", b"1,2,3\n" * 100, parquet({"x": [1.0] * 100}).getvalue()[:-20]])
def test_what_is_no_parquet(body):
    with pytest.raises(BadPayload) as raised:
        read(io.BytesIO(body))
    assert str(raised.value).startswith("the parquet file cannot be read: ")


def test_no_request_may_be_parquet():
    with pytest.raises(BadContentType) as raised:
        table.decode(b"", PARQUET)
    assert str(raised.value) == f"content type '{PARQUET}' is not supported; supported are {', '.join(table.READERS)}"


def test_without_pyarrow_the_error_says_what_to_install():
    program = f"""
import io, sys
sys.modules["pyarrow"] = None
from toolkit.formats import table
try:
    list(table.reader("{PARQUET}").stream(io.BytesIO()))
except Exception as error:
    print(type(error).__name__, error)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "BadContentType content type 'application/x-parquet' needs pyarrow: pip install pyarrow\n"
