"""Which format reads a content type, and which answers an Accept header."""

import subprocess
import sys

import numpy as np
import pytest

from toolkit.dataset import Dataset
from toolkit.errors import BadAccept, BadContentType, BadOption, BadPayload
from toolkit.formats import table

READ = (
    "text/csv, application/json, application/jsonlines, application/x-recordio-protobuf, "
    "text/libsvm, text/x-libsvm, application/x-npy"
)
WRITTEN = "application/json, application/jsonlines, text/csv, application/x-recordio-protobuf, application/x-npy"

ACCEPTED = {
    None: "application/json",
    "": "application/json",
    "*/*": "application/json",
    "application/*": "application/json",
    "text/*": "text/csv",
    "text/csv": "text/csv",
    "TEXT/CSV; charset=utf-8": "text/csv",
    "application/jsonlines; verbose=true": "application/jsonlines",
    "application/x-recordio-protobuf": "application/x-recordio-protobuf",
    "image/png, text/csv;q=0.1": "text/csv",
    "text/csv;q=0.5, application/jsonlines;q=0.9": "application/jsonlines",
    "text/csv, application/jsonlines": "text/csv",
    "*/*;q=0.1, text/csv": "text/csv",
    "application/json;q=0, */*": "application/jsonlines",
    "text/html, */*;q=0.5": "application/json",
}


@pytest.mark.parametrize(("accept", "content_type"), ACCEPTED.items())
def test_what_answers_an_accept_header(accept, content_type):
    assert table.negotiate(accept, "application/json") == content_type


def test_anything_means_the_default():
    assert table.negotiate("*/*", "text/csv") == "text/csv"
    assert table.negotiate(None, "application/jsonlines; verbose=true") == "application/jsonlines"
    assert table.negotiate("application/*", "text/csv") == "application/json"


@pytest.mark.parametrize("accept", ["image/png", "text/csv;q=0", "text/csv;q=2", "text/csv;q=x", "/", "a b", "image/*"])
def test_what_nothing_answers(accept):
    with pytest.raises(BadAccept) as raised:
        table.encode({"score": np.ones(1)}, accept)
    assert str(raised.value) == f"accept {accept!r} is not supported; supported are {WRITTEN}"
    assert raised.value.status == 406


def test_a_default_that_nothing_writes_is_told():
    with pytest.raises(BadAccept) as raised:
        table.negotiate(None, "text/html")
    assert str(raised.value) == f"accept 'text/html' is not supported; supported are {WRITTEN}"


@pytest.mark.parametrize("content_type", ["image/png", "text", "csv", "text/csv, text/csv", "application/x-parquet"])
def test_what_nothing_reads(content_type):
    with pytest.raises(BadContentType) as raised:
        table.decode(b"1", content_type)
    assert str(raised.value) == f"content type {content_type!r} is not supported; supported are {READ}"
    assert raised.value.status == 415


def test_a_body_without_rows_is_refused():
    with pytest.raises(BadPayload) as raised:
        table.decode(b"", None)
    assert str(raised.value) == "the payload is empty"
    assert raised.value.status == 400


@pytest.mark.parametrize("accept", table.ANSWERS)
@pytest.mark.parametrize("n_rows", [1, 3])
def test_every_format_answers_one_row_and_several(accept, n_rows):
    columns = {
        "projection": np.ones((n_rows, 2), np.float32),
        "score": np.zeros(n_rows, np.float64),
        "cluster": np.arange(n_rows),
    }
    body, content_type = table.encode(columns, accept)
    assert content_type == accept
    assert body


def test_a_file_that_cannot_be_written_whole_is_not_there(tmp_path):
    def parts():
        yield Dataset(np.ones((1, 2), np.float32))
        raise BadPayload("the second part is damaged")

    with pytest.raises(BadPayload):
        table.write(parts(), tmp_path / "rows.csv", "text/csv")
    assert list(tmp_path.iterdir()) == []


def test_labels_are_not_lost_in_silence(tmp_path):
    with pytest.raises(BadOption) as raised:
        table.write(
            [Dataset(np.ones((1, 2), np.float32), np.ones(1, np.float32))], tmp_path / "a.json", "application/json"
        )
    assert (
        str(raised.value)
        == "application/json has no place for labels; byoa convert leaves them out with --without-labels"
    )


def test_the_table_imports_nothing_heavy():
    heavy = {"google.protobuf", "pyarrow", "scipy", "sklearn", "flask"}
    program = f"import sys, toolkit.formats.table; print(*{heavy} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "\n"
