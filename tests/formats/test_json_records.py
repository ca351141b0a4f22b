"""JSON on the left, rows or the exact error on the right; the quick way and the general way agree."""

import io

import numpy as np
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from toolkit.dataset import Sparse
from toolkit.errors import BadPayload
from toolkit.formats import table
from toolkit.formats.json_records import JsonReader
from toolkit.formats.media_types import parse
from toolkit.formats.readers import Declared

ROWS = {
    "features": (b'{"instances":[{"features":[1.5,16.0]}]}', [[1.5, 16]]),
    "features within data": (b'{"instances":[{"data":{"features":{"values":[1.5,16.0]}}}]}', [[1.5, 16]]),
    "features with values": (b'{"features":{"values":[1.5,16.0]}}', [[1.5, 16]]),
    "several instances": (b'{"instances": [{"features": [1, 2]}, {"features": [3, 4]}]}', [[1, 2], [3, 4]]),
    "forms mixed": (b'{"instances":[{"features":[1,2]},{"data":{"features":{"values":[3,4]}}}]}', [[1, 2], [3, 4]]),
    "one instance alone": (b'{"features":[1,2]}', [[1, 2]]),
    "PCA's answer": (b'{"projections":[{"projection":[1.0,2.0]},{"projection":[6.0,7.0]}]}', [[1, 2], [6, 7]]),
    "PCA's answers behind each other": (
        b'{"projections":[{"projection":[1.0]},{"projection":[2.0]}]}\n{"projections":[{"projection":[3.0]}]}',
        [[1], [2], [3]],
    ),
    "no newline between documents": (b'{"features":[1]}{"features":[2]}{"features":[3]}', [[1], [2], [3]]),
    "k-means' answer": (
        b'{"predictions":[{"closest_cluster":1.0,"distance_to_cluster":3.0}]}',
        [[1, 3]],
    ),
    "a configuration": (b'{"configuration":{"a":[1]},"instances":[{"features":[1],"configuration":{}}]}', [[1]]),
    "whole numbers of more than 64 bits": (b'{"features":[123456789012345678901234567890]}', [[1.2345679e29]]),
    "printed prettily": (
        b'{\n "instances": [\n  {"features": [\n   1,\n   2]},\n  {"features": [\n   3,\n   4]}\n ]\n}\n',
        [[1, 2], [3, 4]],
    ),
    "brackets in a text": (b'{"features":[1],"uid":"]}{\\"["}{"features":[2]}', [[1], [2]]),
}

ERRORS = {
    "no JSON": (b"{1", "JSON document 1 cannot be read: "),
    "cut short": (b'{"features":[1]}{"features":[2', "JSON document 2 cannot be read: "),
    "an unequal width": (
        b'{"instances":[{"features":[1,2]},{"features":[3]}]}',
        "JSON instance 2 has 1 value, instance 1 has 2",
    ),
    "null": (b'{"features":[1,null]}', "JSON instance 1 value 2 must be a finite number; got null"),
    "text": (b'{"features":["1"]}', 'JSON instance 1 value 1 must be a finite number; got "1"'),
    "true": (b'{"features":[true]}', "JSON instance 1 value 1 must be a finite number; got true"),
    "more than float32": (b'{"features":[1,1e39]}', "JSON instance 1 value 2 must be a finite number; got 1e+39"),
    "a nested list": (b'{"features":[[1]]}', "JSON instance 1 value 1 must be a finite number; got [1]"),
    "an empty list": (b'{"features":[]}', "JSON instance 1 must have a list of numbers; got []"),
    "no list": (b'{"features":1}', "JSON instance 1 must have a list of numbers; got 1"),
    "a bare list": (b"[1,2]", "JSON instance 1 must be an object with 'features', 'data' or 'projection'; got [1,2]"),
    "another object": (
        b'{"a":1}',
        "JSON instance 1 must be an object with 'features', 'data' or 'projection'; got {\"a\":1}",
    ),
    "no instances": (b'{"instances":[]}', "the payload is empty"),
    "nothing": (b" \n", "the payload is empty"),
    "keys without values": (
        b'{"features":{"keys":[1],"values":[1,2],"shape":[3]}}',
        "JSON instance 1 must have lists 'keys' and 'values' of one length",
    ),
    "no shape": (
        b'{"features":{"keys":[1],"values":[1]}}',
        "JSON instance 1 must have a 'shape' of a positive number of columns; got [null]",
    ),
    "a negative key": (
        b'{"features":{"keys":[-1],"values":[1],"shape":[3]}}',
        "JSON instance 1 must have 'keys' of at least 0; got [-1]",
    ),
    "a key beyond the shape": (
        b'{"features":{"keys":[3],"values":[1],"shape":[3]}}',
        "JSON instance 1 has key 3; it must be below 3",
    ),
    "a key beyond all columns": (
        b'{"features":{"keys":[18446744073709551615],"shape":[3],"values":[1]}}',
        "JSON instance 1 has key 18446744073709551615; it must be below 3",
    ),
    "a key twice": (
        b'{"features":{"keys":[1,0,1],"values":[1,2,3],"shape":[3]}}',
        "JSON instance 1 names column 1 twice",
    ),
}


@pytest.mark.parametrize(("body", "rows"), ROWS.values(), ids=ROWS)
def test_rows(body, rows):
    np.testing.assert_array_equal(table.decode(body, "application/json").X, np.array(rows, np.float32))


@pytest.mark.parametrize(("body", "message"), ERRORS.values(), ids=ERRORS)
def test_errors(body, message):
    with pytest.raises(BadPayload) as raised:
        table.decode(body, "application/json")
    if message.endswith(": "):  # what follows is orjson's
        assert str(raised.value).startswith(message)
    else:
        assert str(raised.value) == message


def test_json_lines_have_an_instance_a_line_in_any_form():
    body = b'{"features":[1,2]}\n\n{"data":{"features":{"values":[3,4]}}}\r\n{"projection":[5,6]}'
    assert table.decode(body, "application/jsonlines").X.tolist() == [[1, 2], [3, 4], [5, 6]]


def test_a_line_that_is_no_json_is_told_by_its_number():
    for body in (b'{"features":[1]}\n\n{"features":[2}\n', b'{"features":[1]}\n' * 2 + b'{"features":[2}'):
        with pytest.raises(BadPayload) as raised:
            table.decode(body, "application/jsonlines")
        assert str(raised.value).startswith("JSON line 3 cannot be read: ")


def test_a_document_may_not_go_on_in_the_next_line_of_json_lines():
    with pytest.raises(BadPayload) as raised:
        table.decode(b'{"features":\n[1]}', "application/jsonlines")
    assert str(raised.value).startswith("JSON line 1 cannot be read: ")


def test_sparse_vectors_stay_sparse_and_dense_ones_join_them():
    sparse = b'{"features":{"keys":[2,0],"shape":[3],"values":[1,4]}}\n'
    body = sparse + b'{"features":[0,5,0]}\n{"features":{"keys":[],"values":[]}}\n'
    data = table.decode(body, "application/jsonlines", n_features=3)
    assert isinstance(data.X, Sparse)
    assert data.dense().X.tolist() == [[4, 0, 1], [0, 5, 0], [0, 0, 0]]


def test_documents_are_cut_from_blocks_wherever_they_end():
    documents = [
        {"projections": [{"projection": [i, i + 0.5]}, {"projection": [i, 0]}], "uid": '}]"{'} for i in range(20)
    ]
    body = b"\n".join(orjson.dumps(document, option=orjson.OPT_INDENT_2) for document in documents)
    reader = table.reader("application/json")
    parts = [data.X for data in reader.stream(io.BytesIO(body), 100)]
    assert len(parts) == 20
    np.testing.assert_array_equal(np.concatenate(parts)[::2, 1], np.arange(20) + 0.5)


def test_documents_are_counted_from_block_to_block():
    several = b'{"instances":[{"features":[1]},{"features":[2]}]}\n'
    for before, number in ((b'{"features":[1]}' * 40, 41), (several, 2), (several * 5 + b'{"features":[1]}', 7)):
        with pytest.raises(BadPayload) as raised:
            list(table.reader("application/json").stream(io.BytesIO(before + b'{"features":[1}'), 50))
        assert str(raised.value).startswith(f"JSON document {number} cannot be read: ")


def test_instances_are_counted_from_block_to_block():
    body = b'{"features":[1]}\n' * 30 + b'{"features":[1,2]}\n'
    for content_type in ("application/json", "application/jsonlines", "text/csv"):
        with pytest.raises(BadPayload) as raised:
            list(table.reader(content_type).stream(io.BytesIO(body), 50))
        assert str(raised.value) == "JSON instance 31 has 2 values, instance 1 has 1"


@pytest.mark.parametrize(
    "body",
    [
        b'{"instances":[{"features":[1,2]},{"features":[3,4]}]}',
        b'{"projections": [{"projection": [1]}, {"projection": [2]}, {"projection": [3]}]}',
        b'{"features":[1,2]}\n{"features":[3,4]}\n',
        b'{"instances":[{"data":{"features":{"values":[ 1 , 2 ]}}},{"data":{"features":{"values":[3,4]}}}]}',
    ],
)
def test_regular_documents_are_read_the_quick_way(body):
    assert JsonReader(Declared(parse("application/json")))._regular(body) is not None


@pytest.mark.parametrize(
    "body",
    [
        b'{"features":[1],"features":[2],"features":[3]}',  # the last of equal names counts: one row
        b'{"instances":[{"features":[1],"projection":[2]},{"features":[3],"projection":[4]}]}',
        b'{"instances":[{"features":[1]}],"instances":[{"features":[2]}]}',
        b'{"features":[1,\n2]}\n{"features":[3]}\n',
        b'{"features":[1\n,2]}\n{"features":[3,4]}\n',
        b'{"features":[\n1]}\n{"features":[2\n]}\n',
        b'{"features":[1]}\n{"features":[2]}\nx',
        b'{"features":[1]},{"features":[2]}',
        b'{"other":[1]}\n{"other":[2]}',
        b'{"features":[[1],[2]]}',
        b'{"features":{"keys":[1],"shape":[2],"values":[3]}}',
        b'{"instances":[{"features":[1]},{"features":[2]}',
    ],
)
def test_what_only_looks_regular_is_not(body):
    assert JsonReader(Declared(parse("application/json")))._regular(body) is None


TOKENS = st.sampled_from(
    [
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        '"features"',
        '"projection"',
        '"instances"',
        '"values"',
        "1",
        "2.5",
        "-3",
        "\n",
        " ",
        '"a"',
        "null",
    ]
)
OPENINGS = ('{"instances":[{"features":[', '{"features":[', '{"projections":[{"projection":[')
BETWEEN = (']},{"features":[', ']}\n{"features":[', '],"features":[', "],[", ']}]}{"projections":[{"projection":[')
ENDS = ("]}]}", "]}", "]", "]}]}\n", "")


@given(
    st.sampled_from(OPENINGS),
    st.lists(st.tuples(st.sampled_from(["1", "1,2", "", "1\n,2", "null"]), st.sampled_from(BETWEEN)), max_size=4),
    st.sampled_from(ENDS),
    st.lists(st.tuples(st.integers(0, 99), TOKENS), max_size=1),
    st.sampled_from(["application/json", "application/jsonlines"]),
)
@settings(max_examples=400, deadline=None)
def test_the_quick_and_the_general_way_agree(opening, rows, end, tokens, content_type):
    text = opening + "".join(numbers + between for numbers, between in rows) + "7" + end
    for place, token in tokens:
        text = text[:place] + token + text[place:]
    quick = table.READERS[content_type](Declared(parse(content_type)))._regular(text.encode())
    if quick is not None:
        general = table.READERS[content_type](Declared(parse(content_type)))._general(text.encode())
        np.testing.assert_array_equal(quick, general.X)


def test_answers():
    columns = {"closest_cluster": np.array([1, 0], np.float32), "distance_to_cluster": np.array([3, 0.1], np.float32)}
    pair = b'{"closest_cluster":1.0,"distance_to_cluster":3.0}', b'{"closest_cluster":0.0,"distance_to_cluster":0.1}'
    assert table.encode(columns, None)[0] == b'{"predictions":[%b,%b]}' % pair
    assert table.encode(columns, "application/jsonlines")[0] == b"%b\n%b\n" % pair
    projection = {"projection": np.array([[1, 2], [6, 7]], np.float32)}
    expected = b'{"projections":[{"projection":[1.0,2.0]},{"projection":[6.0,7.0]}]}'
    assert table.encode(projection, "application/json", answers="projections")[0] == expected
    assert table.encode({"cluster": np.array([1, 0, 3])}, None, answers=None)[0] == b'["1,0,3"]'


@given(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1))
@settings(max_examples=100, deadline=None)
def test_an_answer_reads_back_as_the_same_float32(values):
    column = np.array(values, np.float32)
    answer = orjson.loads(table.encode({"score": column}, "application/json")[0])
    np.testing.assert_array_equal(np.array([row["score"] for row in answer["predictions"]], np.float32), column)
