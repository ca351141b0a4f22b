import pytest

from toolkit.errors import BadOption, BadPayload
from toolkit.transform.jsonpath import parse

RECORD = {"id": 7, "x": [1, 2, 3, 4], "a": {"b": {"c": 1}, "d": 2}, "l": [{"y": 1}, {"y": 2}], "ä b": None}
ROW = ["a", "b", "c", "d", "e"]

OF_OBJECTS = {
    "$": RECORD,
    "$.id": 7,
    "$['id']": 7,
    "$['ä b']": None,
    "$.x": [1, 2, 3, 4],
    "$.x[0]": 1,
    "$.x[-1]": 4,
    "$.x[0,2]": [1, 3],
    "$.x[1:3]": [2, 3],
    "$.x[*]": [1, 2, 3, 4],
    "$['id','x']": {"id": 7, "x": [1, 2, 3, 4]},
    "$[ 'id' , 'x' ]": {"id": 7, "x": [1, 2, 3, 4]},
    "$.a.['b','d']": {"b": {"c": 1}, "d": 2},
    "$.a.b.c": 1,
    "$.a.*": [{"c": 1}, 2],
    "$.l[*].y": [1, 2],
    "$.l[0,1].y": [1, 2],
    "$.l[1:].y": [2],
}
OF_ROWS = {
    "$[0]": "a",
    "$[-2]": "d",
    "$[0,-1]": ["a", "e"],
    "$[1:]": ["b", "c", "d", "e"],
    "$[:2]": ["a", "b"],
    "$[1:3]": ["b", "c"],
    "$[-2:]": ["d", "e"],
    "$[:-1]": ["a", "b", "c", "d"],
    "$[3:9]": ["d", "e"],
    "$[*]": ROW,
}
INCLUSIVE = {
    "$[:2]": ["a", "b", "c"],
    "$[1:3]": ["b", "c", "d"],
    "$[:-1]": ROW,
    "$[1:-2]": ["b", "c", "d"],
    "$[2:]": ["c", "d", "e"],
}


@pytest.mark.parametrize(("path", "found"), OF_OBJECTS.items(), ids=OF_OBJECTS)
def test_a_path_selects_from_an_object(path, found):
    assert parse(path, "InputFilter").select(RECORD) == found


@pytest.mark.parametrize(("path", "found"), OF_ROWS.items(), ids=OF_ROWS)
def test_a_path_selects_from_a_row(path, found):
    assert parse(path, "InputFilter").select(ROW) == found
    assert parse(path, "InputFilter").fits_columns


@pytest.mark.parametrize(("path", "found"), INCLUSIVE.items(), ids=INCLUSIVE)
def test_a_slice_can_include_its_end(path, found):
    assert parse(path, "InputFilter", inclusive=True).select(ROW) == found


@pytest.mark.parametrize("path", ["$.id", "$['id']", "$[0][0]", "$[0].id"])
def test_columns_have_no_names_and_nothing_below(path):
    assert not parse(path, "InputFilter").fits_columns


UNSUPPORTED = [
    "$..id",
    "$[?(@.x>1)]",
    "$[::2]",
    "$[(@.length-1)]",
    '$["id"]',
    "$id",
    "$.",
    "$.x[a]",
    "$['a','b.c']",
    "$.length()",
]


@pytest.mark.parametrize("path", UNSUPPORTED)
def test_any_other_path_is_an_error(path):
    with pytest.raises(BadOption) as error:
        parse(path, "OutputFilter")
    supported = "supported are $, .name, *, ['a','b'], [i,j] and [start:end]"
    assert str(error.value).startswith(f"OutputFilter {path!r} is not supported from ")
    assert str(error.value).endswith(f" on; {supported}")


@pytest.mark.parametrize("path", ["", "id", "$" + ".x" * 32])
def test_a_path_begins_with_the_root_and_is_short(path):
    with pytest.raises(BadOption) as error:
        parse(path, "InputFilter")
    assert str(error.value) == f"InputFilter must begin with $ and have at most 63 characters; got {path!r}"


MISSING = {
    "$.x[9]": "place 9 is outside of its 4 items",
    "$.x[0,-5]": "place -5 is outside of its 4 items",
    "$.y": "there is no 'y'",
    "$['id','y']": "there is no 'y'",
    "$.id.x": "a step wants an object, there is a number",
    "$.a[0]": "a step wants an array, there is an object",
    "$.id[*]": "a step wants an array, there is a number",
    "$['ä b'][1:]": "a step wants an array, there is null",
}


@pytest.mark.parametrize(("path", "why"), MISSING.items(), ids=MISSING)
def test_what_is_not_there_is_an_error(path, why):
    with pytest.raises(BadPayload) as error:
        parse(path, "InputFilter").select(RECORD)
    assert str(error.value) == f"the path {path} finds nothing in the record: {why}"
