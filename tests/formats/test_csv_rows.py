"""CSV on the left, rows or the exact error on the right; the fast and the line-by-line reader agree."""

import io

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from toolkit.errors import BadContentType, BadPayload
from toolkit.formats import csv_rows, decimals, table
from toolkit.formats.media_types import parse
from toolkit.formats.readers import Declared

ROWS = {
    "a lone row stays two-dimensional": (b"1,2,3", [[1, 2, 3]]),
    "a newline at the end or none": (b"1,2\n3,4\n", [[1, 2], [3, 4]]),
    "CRLF": (b"1,2\r\n3,4\r\n", [[1, 2], [3, 4]]),
    "empty lines at the end": (b"1,2\n3,4\n\n\r\n", [[1, 2], [3, 4]]),
    "blanks and tabs around numbers": (b" 1 ,\t2\n3,4 ", [[1, 2], [3, 4]]),
    "what JSON does not call a number": (b"+1,.5\n1.,01\n", [[1, 0.5], [1, 1]]),
    "exponents and signs": (b"-1e-3,2E+2", [[-0.001, 200]]),
    "quoted fields": (b'"1","2"\n"3", 4\n', [[1, 2], [3, 4]]),
    "whole numbers of more than 64 bits": (b"123456789012345678901234567890,1", [[1.2345679e29, 1]]),
    "one column": (b"1\n2\n", [[1], [2]]),
    "a byte order mark": (b"\xef\xbb\xbf1,2\n", [[1, 2]]),
    "the largest float32": (b"3.4028235e38,-3.4028235e38", [[3.4028235e38, -3.4028235e38]]),
    "PCA's JSON under the name of CSV": (
        b'{"projections":[{"projection":[1,2]},{"projection":[3,4]}]}\n',
        [[1, 2], [3, 4]],
    ),
}

ERRORS = {
    "a ragged row": (b"1,2,3,4\n5,6,7\n", "CSV line 2 has 3 fields, line 1 has 4"),
    "a ragged row with the right number of all fields": (
        b"1,2,3\n4,5\n6,7,8,9\n",
        "CSV line 2 has 2 fields, line 1 has 3",
    ),
    "one field": (b"1,2\n3", "CSV line 2 has 1 field, line 1 has 2"),
    "a header line": (
        b"width,height\n1,2\n",
        "CSV line 1 field 1 must be a finite number; got 'width'; the format has no header line",
    ),
    "an empty cell": (b"1,2\n3,\n", "CSV line 2 field 2 is empty"),
    "an empty quoted cell": (b'1,2\n"",4\n', "CSV line 2 field 1 is empty"),
    "an empty line": (b"1,2\n\n3,4\n", "CSV line 2 is empty"),
    "NaN": (b"1,2\n3,nan\n", "CSV line 2 field 2 must be a finite number; got 'nan'"),
    "NaN in the first line": (b"nan,2\n", "CSV line 1 field 1 must be a finite number; got 'nan'"),
    "infinity": (b"1,-Infinity", "CSV line 1 field 2 must be a finite number; got '-Infinity'"),
    "more than float32": (b"1,2\n3,1e39", "CSV line 2 field 2 must be a finite number; got '1e39'"),
    "more than float64": (b"1e400", "CSV line 1 field 1 must be a finite number; got '1e400'"),
    "underscores": (b"1_000", "CSV line 1 field 1 must be a finite number; got '1_000'"),
    "another delimiter": (b"1;2\n", "CSV line 1 field 1 must be a finite number; got '1;2'"),
    "a JSON list": (b"[1,2]\n", "CSV line 1 field 1 must be a finite number; got '[1'"),
    "a nested list": (b"1,[2]\n", "CSV line 1 field 2 must be a finite number; got '[2]'"),
    "an open quote": (b'1,"2\n', "CSV line 1 cannot be read: unexpected end of data"),
    "a quote out of place": (b'1,2\n"3" ,4\n', "CSV line 2 cannot be read: ',' expected after '\"'"),
    "a long text": (b"1,2\n1," + b"x" * 50, f"CSV line 2 field 2 must be a finite number; got '{'x' * 37}...'"),
    "nothing": (b"", "the payload is empty"),
    "nothing but newlines": (b"\n\r\n", "the payload is empty"),
}


@pytest.mark.parametrize(("body", "rows"), ROWS.values(), ids=ROWS)
def test_rows(body, rows):
    data = table.decode(body, "text/csv")
    np.testing.assert_array_equal(data.X, np.array(rows, np.float32))
    assert data.X.dtype == np.float32
    assert data.X.flags.c_contiguous
    assert data.y is None


@pytest.mark.parametrize(("body", "message"), ERRORS.values(), ids=ERRORS)
def test_errors(body, message):
    with pytest.raises(BadPayload) as raised:
        table.decode(body, "text/csv")
    assert str(raised.value) == message


@pytest.mark.parametrize(
    "content_type", [None, "", "text/csv; charset=utf-8", 'TEXT/CSV;charset="latin-1"', "text/csv;x=1"]
)
def test_spellings_of_the_content_type(content_type):
    assert table.decode(b"1,2", content_type).X.tolist() == [[1, 2]]


def test_a_charset_that_does_not_contain_ascii_is_refused():
    for charset in ("utf-16", "nothing", "cp500"):
        with pytest.raises(BadContentType) as raised:
            table.decode(b"1,2", f"text/csv; charset={charset}")
        wanted = "it must be UTF-8 or another that contains ASCII"
        assert str(raised.value) == f"charset {charset!r} is not supported; {wanted}"


def test_text_in_an_error_is_read_in_its_charset():
    with pytest.raises(BadPayload) as raised:
        table.decode("1,2\n1,größe".encode("latin-1"), "text/csv; charset=latin-1")
    assert str(raised.value) == "CSV line 2 field 2 must be a finite number; got 'größe'"


def test_label_columns_lead():
    body = b"1,2,3,4\n5,6,7,8\n"
    one = table.decode(body, "text/csv; label_size=1")
    assert (one.X.tolist(), one.y.tolist()) == ([[2, 3, 4], [6, 7, 8]], [1, 5])
    two = table.decode(body, "text/csv", label_size=2)
    assert (two.X.tolist(), two.y.tolist()) == ([[3, 4], [7, 8]], [[1, 2], [5, 6]])
    none = table.decode(body, "text/csv;label_size=0", label_size=1)
    assert (none.X.shape, none.y) == ((2, 4), None)


def test_a_feature_must_be_left():
    with pytest.raises(BadPayload) as raised:
        table.decode(b"1\n2\n", "text/csv;label_size=1")
    assert (
        str(raised.value)
        == "CSV line 1 has 1 column, of which the first 1 is the label (label_size=1): no feature is left"
    )
    with pytest.raises(BadPayload) as raised:
        table.decode(b"1,2\n", "text/csv;label_size=3")
    assert (
        str(raised.value)
        == "CSV line 1 has 2 columns, of which the first 3 are labels (label_size=3): no feature is left"
    )


@pytest.mark.parametrize("given", ["-1", "one", "1.5", "99999999999"])
def test_label_size_must_be_a_whole_number(given):
    with pytest.raises(BadContentType) as raised:
        table.decode(b"1,2", f"text/csv;label_size={given}")
    assert str(raised.value) == f"content type parameter 'label_size' must be an integer of at least 0; got {given!r}"


def test_line_numbers_and_width_go_on_from_block_to_block():
    def stream(body, block_bytes=4):
        reader = table.reader("text/csv")
        return [data.X.tolist() for data in reader.stream(io.BytesIO(body), block_bytes)]

    assert stream(b"1,2\n3,4\n5,6\n") == [[[1, 2]], [[3, 4]], [[5, 6]]]
    for body, message in {
        b"1,2\n3,4\n5\n": "CSV line 3 has 1 field, line 1 has 2",
        b"1,2\n3,4\n5,x\n": "CSV line 3 field 2 must be a finite number; got 'x'",
        b"1,2\n3,4\n\n\n5,6\n": "CSV line 3 is empty",
        b"\n\n1,2\n": "CSV line 1 is empty",
    }.items():
        for block_bytes in (4, 9, 10):
            with pytest.raises(BadPayload) as raised:
                stream(body, block_bytes)
            assert str(raised.value) == message
    assert stream(b"1,2\n3,4\n\n\n\n\n\n\n") == [[[1, 2]], [[3, 4]]]


def by_lines(body: bytes):
    """What the line-by-line reader alone makes of a body: rows, or a message."""
    reader = csv_rows.CsvReader(Declared(parse("text/csv")))
    try:
        text = body.rstrip()
        return np.stack([reader._row(number, line) for number, line in enumerate(text.split(b"\n"), 1)])
    except BadPayload as error:
        return str(error)


def decoded(body: bytes):
    try:
        return table.decode(body, "text/csv").X
    except BadPayload as error:
        return str(error)


NUMBERS = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False, min_value=-3e38, max_value=3e38).map(repr),
    st.integers(-(10**30), 10**30).map(str),
    st.from_regex(r"\A[+-]?[0-9]{0,25}\.?[0-9]{0,25}(e[+-]?[0-9]{1,2})?\Z"),
    st.sampled_from(
        [
            "0",
            "-0",
            "+1",
            ".5",
            "1.",
            "nan",
            "inf",
            '"2"',
            "",
            " 3 ",
            "1e39",
            "0x1",
            "[1",
            "-.5",
            "1.e2",
            "+.5",
            "+-1",
            '"+1."',
            '1"2"3',
            "1.5.5",
            ".",
            "1_0",
            "\r",
            "true",
            "null",
        ]
    ),
)


@given(rows=st.lists(st.lists(NUMBERS, min_size=1, max_size=4), min_size=1, max_size=4), square=st.booleans())
@settings(max_examples=200, deadline=None)
@example(rows=[["9007199254740993", "1.00000017881393432617187499"]], square=True)
@example(rows=[["1", "2", "3"], ["4"], ["5", "6", "7", "8", "9"]], square=False)
def test_the_fast_and_the_slow_reader_agree(rows, square):
    width = len(rows[0])
    lines = [(row * width)[:width] if square else row for row in rows]
    body = "\n".join(",".join(line) for line in lines).encode()
    if not body.strip() or not body.split(b"\n")[0].strip():
        return
    slow, fast = by_lines(body), decoded(body)
    if isinstance(slow, str):
        assert fast == slow
    else:
        np.testing.assert_array_equal(fast, slow)


@given(st.floats(width=64, allow_nan=False, allow_infinity=False, min_value=-3e38, max_value=3e38))
@settings(max_examples=300, deadline=None)
def test_a_number_is_python_s_float_rounded_to_float32(value):
    for text in (repr(value), f"{value:.9g}", f"{value:.25g}"):
        assert table.decode(text.encode(), "text/csv").X[0, 0] == np.float32(float(text))


def test_other_spellings_of_numbers_are_read_by_the_fast_reader_too():
    respelled = decimals.respelled(b'+1,.5,-.5\n1.,1.e2,"-3."\r\n"4" , 5 ,+.5')
    assert respelled == b'1,0.5,-0.5\n1.0,1.0e2,-3.0\r\n"4" , 5 ,0.5'
    assert decimals.table(b"1,0.5,-0.5\n1.0,1.0e2,-3.0\r").tolist() == [[1, 0.5, -0.5], [1, 100, -3]]


def test_a_table_of_several_pieces_is_as_one(monkeypatch):
    X = np.random.default_rng(1).random((500, 20), np.float32)
    body = b"".join(b",".join(b"%.9g" % value for value in row) + b"\n" for row in X)
    monkeypatch.setattr(decimals, "PIECE_BYTES", 1000)
    np.testing.assert_array_equal(table.decode(body, "text/csv").X, X)


def test_a_bad_line_is_found_in_a_later_piece(monkeypatch):
    monkeypatch.setattr(decimals, "PIECE_BYTES", 10)
    body = b"1,2\n" * 50 + b"1,2,3\n" + b"1,2\n" * 50
    with pytest.raises(BadPayload) as raised:
        table.decode(body, "text/csv")
    assert str(raised.value) == "CSV line 51 has 3 fields, line 1 has 2"


def test_an_answer_has_a_line_for_each_row():
    columns = {"closest_cluster": np.array([1, 0], np.float32), "distance_to_cluster": np.array([3, 0.1], np.float32)}
    assert table.encode(columns, "text/csv") == (b"1.0,3.0\n0.0,0.1\n", "text/csv")
    assert table.encode({"cluster": np.array([1, 0, 3])}, "text/csv")[0] == b"1\n0\n3\n"
    assert table.encode({"projection": np.eye(2, dtype=np.float32)}, "text/csv")[0] == b"1.0,0.0\n0.0,1.0\n"
    assert table.encode({"score": np.array([np.nan, 1])}, "text/csv")[0] == b"nan\n1.0\n"
