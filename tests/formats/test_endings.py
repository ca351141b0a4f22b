"""The content type that the ending of a file's name tells."""

from pathlib import Path

import pytest

from toolkit.errors import BadOption
from toolkit.formats.endings import content_type_of


@pytest.mark.parametrize(
    ("name", "content_type"),
    [
        ("a.csv", "text/csv"),
        ("a.CSV", "text/csv"),
        ("a.csv.gz", "text/csv"),
        ("a.b.jsonl", "application/jsonlines"),
        ("a.pbr", "application/x-recordio-protobuf"),
        ("a.csv.out", None),
        ("a", None),
        (".gz", None),
    ],
)
def test_the_ending_tells(name, content_type):
    assert content_type_of(Path(name)) == content_type


def test_a_folder_is_of_its_files_content_type(tmp_path):
    (tmp_path / "sub").mkdir()
    for name in ("a.csv", "sub/b.csv", ".hidden.json", "README"):
        (tmp_path / name).write_text("1\n")
    assert content_type_of(tmp_path) == "text/csv"
    (tmp_path / "c.json").write_text("{}")
    with pytest.raises(BadOption) as caught:
        content_type_of(tmp_path)
    assert str(caught.value) == (
        f"the files in {tmp_path} must be of one content type; their endings say application/json and text/csv"
    )
