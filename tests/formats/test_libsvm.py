"""libsvm on the left, rows or the exact error on the right; the fast and the line-by-line reader agree."""

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from toolkit.errors import BadContentType, BadPayload
from toolkit.formats import table
from toolkit.formats.libsvm import LibsvmReader
from toolkit.formats.media_types import parse
from toolkit.formats.readers import Declared

ROWS = {
    "labels and pairs": (b"1 1:0.5 3:2\n-1 2:7\n", [[0.5, 0, 2], [0, 7, 0]], [1, -1]),
    "no newline at the end": (b"1 1:0.5\n0 1:3", [[0.5], [3]], [1, 0]),
    "blanks at the ends of lines": (b"1 1:0.5 \n0 1:3 \n", [[0.5], [3]], [1, 0]),
    "CRLF, tabs, several blanks": (b"1\t1:0.5  2:1\r\n0 1:3\r\n", [[0.5, 1], [3, 0]], [1, 0]),
    "no labels": (b"1:0.5 3:2\n2:7\n", [[0.5, 0, 2], [0, 7, 0]], None),
    "a label alone": (b"1 2:5\n0\n", [[0, 5], [0, 0]], [1, 0]),
    "comments and empty lines": (b"# made by hand\n1 1:0.5 # first\n\n0 1:3\n", [[0.5], [3]], [1, 0]),
    "indices in any order": (b"1 3:3 1:1\n", [[1, 0, 3]], [1]),
    "what JSON does not call a number": (b"+1 1:.5 2:+3\n", [[0.5, 3]], [1]),
}

ERRORS = {
    "index 0": (
        b"1 1:1\n1 0:1\n",
        "libsvm line 2 must have indices of at least 1; got '0'"
        "; index_base=0 in the content type says that they count from 0",
    ),
    "a negative index": (b"1 -1:1\n", "libsvm line 1 must have indices of at least 1; got '-1'"),
    "a fraction as index": (b"1 1.5:1\n", "libsvm line 1 must have indices of at least 1; got '1.5'"),
    "a huge index": (
        b"1 99999999999999999999999:1\n",
        "libsvm line 1 must have indices of at least 1; got '99999999999999999999999'",
    ),
    "qid": (b"1 qid:3 1:1\n", "libsvm line 1 must have indices of at least 1; got 'qid'"),
    "an index twice": (b"1 2:1 2:3\n", "libsvm line 1 names column 2 twice"),
    "no value": (b"1 1:\n", "libsvm line 1 index 1 must be a finite number; got ''"),
    "NaN": (b"1 1:1\n0 1:nan\n", "libsvm line 2 index 1 must be a finite number; got 'nan'"),
    "more than float32": (b"1 1:1e39\n", "libsvm line 1 index 1 must be a finite number; got '1e39'"),
    "text as label": (b"cat 1:1\n", "libsvm line 1 label must be a finite number; got 'cat'"),
    "a label too many": (b"1 2 1:1\n", "libsvm line 1 must have pairs of index:value; got '2'"),
    "a label missing": (b"1 1:1\n\n1:2\n", "libsvm line 3 has no label, the first row has one"),
    "a label once": (b"1:1\n2 1:2\n", "libsvm line 2 has a label, the first row has none"),
    "CSV": (b"1,2\n", "libsvm line 1 label must be a finite number; got '1,2'"),
    "commas between pairs": (b"1 1:2,3:4\n", "libsvm line 1 index 1 must be a finite number; got '2,3:4'"),
    "a pair over two lines": (b"1 1:1 2\n3 4:5\n", "libsvm line 1 must have pairs of index:value; got '2'"),
    "colons in a row": (b"1 1:2:3\n", "libsvm line 1 index 1 must be a finite number; got '2:3'"),
    "nothing": (b"\n# nothing\n", "the payload is empty"),
}


@pytest.mark.parametrize(("body", "rows", "labels"), ROWS.values(), ids=ROWS)
def test_rows(body, rows, labels):
    data = table.decode(body, "text/libsvm")
    np.testing.assert_array_equal(data.dense().X, np.array(rows, np.float32))
    assert (None if data.y is None else data.y.tolist()) == labels


@pytest.mark.parametrize(("body", "message"), ERRORS.values(), ids=ERRORS)
def test_errors(body, message):
    with pytest.raises(BadPayload) as raised:
        table.decode(body, "text/x-libsvm")
    assert str(raised.value) == message


def test_indices_count_from_zero_where_that_is_declared():
    data = table.decode(b"1 0:5 2:6\n", "text/libsvm; index_base=0")
    assert data.dense().X.tolist() == [[5, 0, 6]]
    with pytest.raises(BadContentType) as raised:
        table.decode(b"1 0:5\n", "text/libsvm; index_base=2")
    assert str(raised.value) == "content type parameter 'index_base' must be 0 or 1; got '2'"


def test_the_model_says_how_wide_the_rows_are():
    assert table.decode(b"1 2:5\n", "text/libsvm", n_features=4).dense().X.tolist() == [[0, 5, 0, 0]]
    for body in (b"1 1:1\n0\n0 2:1 5:3\n", b"1 1:1\n0\n0 2:1  5:3\n"):
        with pytest.raises(BadPayload) as raised:
            table.decode(body, "text/libsvm", n_features=4)
        assert str(raised.value) == "libsvm line 3 has index 5; of 4 features the last is 4"


def test_lines_are_counted_from_block_to_block():
    with pytest.raises(BadPayload) as raised:
        list(table.reader("text/libsvm").stream(io.BytesIO(b"1 1:1\n" * 20 + b"1 1:x\n"), 30))
    assert str(raised.value) == "libsvm line 21 index 1 must be a finite number; got 'x'"
    with pytest.raises(BadPayload) as raised:
        list(table.reader("text/libsvm").stream(io.BytesIO(b"1 1:1\n" * 20 + b"1:1\n" * 20), 30))
    assert str(raised.value) == "libsvm line 21 has no label, the first row has one"


WORDS = st.sampled_from(
    [
        "1",
        "-2.5",
        "1:1",
        "2:0.5",
        "3:-1e3",
        "0:1",
        "x",
        "1:",
        ":1",
        "1:1:1",
        "",
        "2,1:4",
        "1.0:1",
        "#",
        "4:nan",
        "1:1e39",
    ]
)


@given(st.lists(st.lists(WORDS, min_size=1, max_size=4), min_size=1, max_size=4))
@settings(max_examples=250, deadline=None)
def test_the_fast_reader_takes_nothing_that_the_slow_one_reads_otherwise(lines):
    text = "\n".join(" ".join(words) for words in lines).encode()
    fast = LibsvmReader(Declared(parse("text/libsvm")))._regular(text)
    if fast is not None:
        slow = LibsvmReader(Declared(parse("text/libsvm")))._general(text)
        for name in ("labels", "lengths", "indices", "values", "numbers"):
            np.testing.assert_array_equal(getattr(fast, name), getattr(slow, name))


def test_a_row_of_zeros_is_written_as_a_row():
    data = table.decode(b"0,0\n1,2\n", "text/csv")
    file = io.BytesIO()
    table.writer("text/libsvm;index_base=0", file).write(data)
    assert file.getvalue() == b"0:0\n0:1.0 1:2.0\n"


def test_libsvm_has_one_label_a_row():
    data = table.decode(b"1,2,3\n", "text/csv;label_size=2")
    with pytest.raises(BadPayload) as raised:
        table.writer("text/libsvm", io.BytesIO()).write(data)
    assert str(raised.value) == "libsvm has one label a row; the rows have 2"
