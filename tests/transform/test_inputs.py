import json

import pytest

from toolkit.errors import BadOption
from toolkit.transform.inputs import find


def names(files):
    return [(file.name, file.output_name) for file in files]


def test_a_folder_is_read_to_its_depth_in_the_order_of_names(tmp_path):
    for name in ["b.csv", "a/z.csv", "a/b/c.csv", ".hidden", ".git/config"]:
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "in" / name).touch()
    found = names(find(tmp_path / "in", tmp_path / "out"))
    assert found == [("a/b/c.csv", "a/b/c.csv.out"), ("a/z.csv", "a/z.csv.out"), ("b.csv", "b.csv.out")]


def test_a_file_stands_for_itself(tmp_path):
    (tmp_path / "test.csv.out").touch()
    assert names(find(tmp_path / "test.csv.out", tmp_path / "out")) == [("test.csv.out", "test.csv.out.out")]


def test_a_manifest_names_files_below_its_prefix(tmp_path):
    (tmp_path / "data" / "sub").mkdir(parents=True)
    for name in ["a.csv", "sub/b.csv", "c.csv"]:
        (tmp_path / "data" / name).touch()
    manifest = tmp_path / "manifest.json"
    manifest.write_text(json.dumps([{"prefix": "data/"}, "sub/b.csv", "a.csv"]))
    found = find(manifest, tmp_path / "out", "ManifestFile")
    assert names(found) == [("sub/b.csv", "sub/b.csv.out"), ("a.csv", "a.csv.out")]
    assert [file.path for file in found] == [tmp_path / "data" / "sub" / "b.csv", tmp_path / "data" / "a.csv"]


def test_a_file_named_twice_is_read_once(tmp_path):
    (tmp_path / "a.csv").touch()
    (tmp_path / "m").write_text(json.dumps([{"prefix": "."}, "a.csv", "a.csv"]))
    assert names(find(tmp_path / "m", tmp_path / "out", "ManifestFile")) == [("a.csv", "a.csv.out")]


def message(*arguments):
    with pytest.raises(BadOption) as error:
        find(*arguments)
    return str(error.value)


def test_the_input_must_be_there(tmp_path):
    assert message(tmp_path / "none", tmp_path / "out") == f"no file or folder {tmp_path / 'none'}"


def test_an_empty_folder_is_an_error(tmp_path):
    (tmp_path / "in").mkdir()
    assert message(tmp_path / "in", tmp_path / "out") == f"no files in {tmp_path / 'in'}"


def test_the_output_must_not_become_the_next_input(tmp_path):
    expected = f"the output folder {tmp_path / 'out'} must not lie inside of the input folder {tmp_path}"
    assert message(tmp_path, tmp_path / "out") == expected


def test_the_output_must_be_a_folder(tmp_path):
    (tmp_path / "out").touch()
    assert message(tmp_path, tmp_path / "out") == f"the output {tmp_path / 'out'} must be a folder; it is a file"


def test_each_output_must_have_a_place(tmp_path):
    (tmp_path / "in" / "x.out").mkdir(parents=True)
    for name in ["x", "x.out/y"]:
        (tmp_path / "in" / name).touch()
    out = tmp_path / "out"
    assert message(tmp_path / "in", out) == f"the output {out / 'x.out'} must be a file; it is a folder"


def test_no_output_takes_the_place_of_a_folder_or_lies_below_a_file(tmp_path):
    (tmp_path / "in" / "sub").mkdir(parents=True)
    (tmp_path / "in" / "sub" / "x").touch()
    out = tmp_path / "out"
    (out / "sub" / "x.out").mkdir(parents=True)
    assert message(tmp_path / "in", out) == f"the output {out / 'sub' / 'x.out'} must be a file; it is a folder"
    (out / "sub" / "x.out").rmdir()
    (out / "sub").rmdir()
    (out / "sub").touch()
    assert message(tmp_path / "in", out) == f"the output {out / 'sub'} must be a folder; it is a file"


def test_a_link_to_a_folder_is_passed_over(tmp_path):
    (tmp_path / "in" / "sub").mkdir(parents=True)
    (tmp_path / "in" / "sub" / "x").touch()
    (tmp_path / "in" / "link").symlink_to("sub")
    assert names(find(tmp_path / "in", tmp_path / "out")) == [("sub/x", "sub/x.out")]


def test_the_data_type_is_one_of_two(tmp_path):
    expected = "S3DataType must be S3Prefix or ManifestFile; got 'AugmentedManifestFile'"
    assert message(tmp_path, tmp_path / "out", "AugmentedManifestFile") == expected


@pytest.mark.parametrize("text", ["", "{}", "[]", '["a.csv"]', '[{"path": "x"}, "a.csv"]', '[{"prefix": "x"}, 1]'])
def test_a_manifest_must_be_one(tmp_path, text):
    manifest = tmp_path / "m"
    manifest.write_text(text)
    expected = f'the manifest {manifest} must be a JSON array such as [{{"prefix": "folder/"}}, "a.csv", "b.csv"]'
    assert message(manifest, tmp_path / "out", "ManifestFile") == expected


@pytest.mark.parametrize("name", ["../secret", "/etc/passwd", "a/../../b"])
def test_a_manifest_cannot_leave_its_prefix(tmp_path, name):
    manifest = tmp_path / "m"
    manifest.write_text(json.dumps([{"prefix": "."}, name]))
    expected = f"a name in the manifest {manifest} must lie below its prefix; got {name!r}"
    assert message(manifest, tmp_path / "out", "ManifestFile") == expected


def test_what_a_manifest_names_must_be_there(tmp_path):
    manifest = tmp_path / "m"
    manifest.write_text(json.dumps([{"prefix": "."}, "a.csv"]))
    expected = f"the manifest {manifest} names 'a.csv'; there is no file {tmp_path / 'a.csv'}"
    assert message(manifest, tmp_path / "out", "ManifestFile") == expected


def test_a_manifest_names_at_least_one_file(tmp_path):
    manifest = tmp_path / "manifest.json"
    manifest.write_text('[{"prefix": "in/"}]')
    assert message(manifest, tmp_path / "out", "ManifestFile") == f"no files in {manifest}"


def test_a_name_spelled_in_two_ways_is_read_once(tmp_path):
    (tmp_path / "x").touch()
    manifest = tmp_path / "manifest.json"
    manifest.write_text('[{"prefix": ""}, "x", "./x"]')
    assert names(find(manifest, tmp_path / "out", "ManifestFile")) == [("x", "x.out")]
