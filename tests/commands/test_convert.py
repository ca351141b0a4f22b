"""`byoa convert`, typed as a person would."""

import gzip

import numpy as np
import pytest
from click.testing import CliRunner

from toolkit.cli import byoa
from toolkit.errors import UserError
from toolkit.formats import table

ROWS = "7,1,0.5\n8,0,2\n"
ENDINGS = ("csv", "json", "jsonl", "recordio", "libsvm", "npy")


@pytest.fixture
def convert(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rows.csv").write_text(ROWS)

    def run(*arguments):
        return CliRunner().invoke(byoa, ["convert", *arguments], catch_exceptions=False)

    return run


@pytest.mark.parametrize("ending", ENDINGS)
def test_there_and_back(convert, tmp_path, ending):
    assert convert("rows.csv", f"out.{ending}").output.endswith(
        f"{(tmp_path / f'out.{ending}').stat().st_size:,} bytes\n"
    )
    convert(f"out.{ending}", "back.csv")
    assert (tmp_path / "back.csv").read_text() == "7.0,1.0,0.5\n8.0,0.0,2.0\n"


def test_recordio_with_labels_from_csv(convert, tmp_path):
    output = convert("rows.csv", "out.recordio", "--from", "text/csv;label_size=1").output
    assert "out.recordio: 2 rows as application/x-recordio-protobuf, 104 bytes\n" in output
    data = table.decode((tmp_path / "out.recordio").read_bytes(), "application/x-recordio-protobuf")
    assert (data.X.tolist(), data.y.tolist()) == ([[1, 0.5], [0, 2]], [7, 8])


def test_libsvm_from_npy(convert, tmp_path):
    np.save(tmp_path / "rows.npy", np.array([[1, 0, 2], [0, 0, 0]]))
    convert("rows.npy", "out.libsvm", "--to", "text/libsvm;index_base=0")
    assert (tmp_path / "out.libsvm").read_text() == "0:1.0 2:2.0\n0:0\n"


def test_a_folder_of_compressed_files(convert, tmp_path):
    (tmp_path / "parts").mkdir()
    for name in "ab":
        (tmp_path / "parts" / f"{name}.csv.gz").write_bytes(gzip.compress(ROWS.encode()))
    convert("parts", "out.jsonl", "--from", "text/csv;label_size=1", "--without-labels")
    assert (tmp_path / "out.jsonl").read_text() == '{"features":[1.0,0.5]}\n{"features":[0.0,2.0]}\n' * 2


def test_libsvm_is_as_wide_as_is_said(convert, tmp_path):
    (tmp_path / "rows.libsvm").write_text("1 1:5\n")
    convert("rows.libsvm", "out.csv", "--feature-dim", "3")
    assert (tmp_path / "out.csv").read_text() == "1.0,5.0,0.0,0.0\n"


ERRORS = {
    "labels": (
        ("rows.csv", "out.json", "--from", "text/csv;label_size=1"),
        "application/json has no place for labels; byoa convert leaves them out with --without-labels",
    ),
    "an unknown ending": (("rows.csv", "out.xyz"), "the ending of out.xyz tells no content type; name it with --to"),
    "a bad row": (("bad.csv", "out.json"), "bad.csv: CSV line 2 has 1 field, line 1 has 2"),
    "no folder": (("rows.csv", "none/out.npy"), "none/out.npy cannot be written: No such file or directory"),
    "no row": (("none.csv", "out.json"), "none.csv has no rows"),
    "a type that is only read": (
        ("rows.csv", "out.parquet"),
        f"content type 'application/x-parquet' is not supported; supported are {', '.join(table.WRITERS)}",
    ),
}


@pytest.mark.parametrize(("arguments", "message"), ERRORS.values(), ids=ERRORS)
def test_errors_leave_no_file(convert, tmp_path, arguments, message):
    (tmp_path / "bad.csv").write_text("1,2\n3\n")
    (tmp_path / "none.csv").touch()
    before = set(tmp_path.iterdir())
    with pytest.raises(UserError) as raised:
        convert(*arguments)
    assert str(raised.value) == message
    assert set(tmp_path.iterdir()) == before


def test_an_input_that_is_not_there(convert):
    assert "Path 'nothing.csv' does not exist" in convert("nothing.csv", "out.csv").output
