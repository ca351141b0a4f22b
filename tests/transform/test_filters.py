"""What filters and joins want of a job's other settings; what they do stands in test_specification.py."""

import pytest

from toolkit.errors import BadOption
from toolkit.transform.filters import Processing
from toolkit.transform.settings import Settings

CSV = {"content_type": "text/csv", "accept": "text/csv", "split_type": "Line", "assemble_with": "Line"}
TYPES = "text/csv, application/jsonlines, application/json"
REFUSED = {
    "a filter without a content type": (
        {"input_filter": "$[1:]"},
        f"with filters or a join, ContentType must be one of {TYPES}; got None",
    ),
    "a content type that is none": (
        {"input_filter": "$[1:]", "content_type": ";"},
        f"with filters or a join, ContentType must be one of {TYPES}; got ';'",
    ),
    "a filter of records that are not text": (
        CSV | {"content_type": "application/x-recordio-protobuf", "input_filter": "$[1:]"},
        f"with filters or a join, ContentType must be one of {TYPES}; got 'application/x-recordio-protobuf'",
    ),
    "an output filter without Accept": (
        CSV | {"accept": None, "output_filter": "$[1:]"},
        f"with filters or a join, Accept must be one of {TYPES}; got None",
    ),
    "a name in CSV": (
        CSV | {"input_filter": "$.id"},
        "a filter of text/csv must select columns by their places, such as $[1:]; got '$.id'",
    ),
    "a name in CSV's output": (
        CSV | {"output_filter": "$['id']"},
        "a filter of text/csv must select columns by their places, such as $[1:]; got \"$['id']\"",
    ),
    "a join of two content types": (
        CSV | {"accept": "application/jsonlines", "join_source": "Input"},
        "with a join, Accept must be the ContentType 'text/csv'; got 'application/jsonlines'",
    ),
    "a join of CSV that is not split": (
        CSV | {"split_type": "None", "join_source": "Input"},
        "with a join of text/csv, SplitType and AssembleWith must be Line; got 'None' and 'Line'",
    ),
    "a join of CSV that is not assembled": (
        CSV | {"assemble_with": "None", "join_source": "Input"},
        "with a join of text/csv, SplitType and AssembleWith must be Line; got 'Line' and 'None'",
    ),
    "a join of JSON that is split only": (
        {
            "content_type": "application/json",
            "accept": "application/json",
            "split_type": "Line",
            "join_source": "Input",
        },
        "with a join of application/json, SplitType and AssembleWith must be equal, None or Line; "
        "got 'Line' and 'None'",
    ),
}


@pytest.mark.parametrize(("given", "message"), REFUSED.values(), ids=REFUSED)
def test_a_filter_that_does_not_fit_is_refused(given, message):
    with pytest.raises(BadOption) as error:
        Processing(Settings(**given))
    assert str(error.value) == message


def test_content_types_are_read_as_media_types():
    given = CSV | {"content_type": "text/CSV; charset=utf-8", "accept": "text/csv;label_size=0", "join_source": "Input"}
    assert Processing(Settings(**given)).joins


def test_without_filters_any_content_type_goes():
    assert not Processing(Settings(content_type="application/x-npy")).needs_records
