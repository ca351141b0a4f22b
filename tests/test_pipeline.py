import dataclasses
import json
import os
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from toolkit import pipeline
from toolkit.commands.pipeline import command
from toolkit.errors import BadOption, UserError
from toolkit.transform.settings import Settings

GROUPS = [1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3]


def run(file):
    return [
        (outcome.stage.name, outcome.has_run)
        for outcome in pipeline.run(pipeline.read(file), file.parent, file.with_suffix(""))
    ]


def example(folder, name):
    file = folder / f"{name}.yaml"
    file.write_text(CliRunner().invoke(command, ["--example", name], catch_exceptions=False).stdout)
    return file


@pytest.fixture(scope="module")
def kmeans(tmp_path_factory):
    """The k-means example, run once, and what ran."""
    file = example(tmp_path_factory.mktemp("pipeline"), "kmeans")
    return file, run(file)


def test_the_kmeans_example_runs_as_it_is_and_finds_the_groups(kmeans):
    file, done = kmeans
    assert done == [(name, True) for name in ["points", "pca", "projections", "kmeans", "clusters"]]
    lines = (file.with_suffix("") / "clusters" / "points.csv.out.out").read_text().splitlines()
    clusters = [json.loads(line)["closest_cluster"] for line in lines]
    assert len(set(zip(clusters, GROUPS, strict=True))) == len(set(clusters)) == 3


def test_the_dbscan_example_runs_as_it_is_and_finds_the_groups(tmp_path):
    file = example(tmp_path, "dbscan")
    outcome = CliRunner().invoke(command, [str(file)], catch_exceptions=False)
    output = tmp_path / "dbscan"
    assert (output / "clusters" / "points.csv.out.out").read_text() == '["1,1,1,1,2,2,2,2,3,3,3,3"]\n'
    assert outcome.stdout.splitlines()[-1].startswith("clusters: done in ")
    assert outcome.stdout.endswith(f" s: {output / 'clusters'}\n")


def test_a_second_run_repeats_nothing(kmeans):
    file, done = kmeans
    assert run(file) == [(name, False) for name, _ in done]


def test_only_what_depends_on_a_change_runs_again(kmeans, tmp_path):
    file, _ = kmeans
    changed = file.with_name("changed.yaml")
    os.symlink(file.with_suffix(""), file.with_name("changed"))
    changed.write_text(file.read_text().replace("k: 3", "k: 2"))
    assert run(changed) == [
        ("points", False),
        ("pca", False),
        ("projections", False),
        ("kmeans", True),
        ("clusters", True),
    ]
    assert run(file) == [(name, False) for name in ["points", "pca", "projections", "kmeans", "clusters"]]


def test_a_change_of_a_comment_runs_nothing(kmeans):
    file, done = kmeans
    file.write_text(f"# another word\n{file.read_text()}")
    assert not any(has_run for _, has_run in run(file))


COPYING = """
stages:
  - name: rows
    files: {{a.csv: "{rows}"}}
  - name: scores
    transform: {{algorithm: kmeans, model: {model}, input: stage:rows/a.csv, content_type: text/csv, split_type: Line}}
"""


def test_a_failed_stage_is_named_and_the_next_run_goes_on_there(kmeans, tmp_path):
    model = kmeans[0].with_suffix("") / "kmeans"
    file = tmp_path / "p.yaml"
    file.write_text(COPYING.format(rows="1,2,3", model=tmp_path / "model"))
    with pytest.raises(UserError) as error:
        run(file)
    assert str(error.value) == f"stage 'scores' failed: no file or folder {tmp_path / 'model'}"
    os.symlink(model, tmp_path / "model")
    with pytest.raises(UserError) as error:
        run(file)
    reason = "ClientError: record 1: the payload has 3 features, the model was trained on 2"
    assert str(error.value) == f"stage 'scores' failed: 1 of 1 files failed; a.csv: {reason}"
    assert sorted(os.listdir(tmp_path / "p")) == [".stages", "rows"]
    assert len(os.listdir(tmp_path / "p" / ".stages")) == 1
    file.write_text(COPYING.format(rows="1,2", model=tmp_path / "model"))
    assert run(file) == [("rows", True), ("scores", True)]
    file.write_text(COPYING.format(rows="1,2,3", model=tmp_path / "model"))
    with pytest.raises(UserError):
        run(file)
    assert sorted(os.listdir(tmp_path / "p")) == [".stages", "rows"]  # not what another run made of other rows


def test_a_changed_input_file_runs_its_stages_again(kmeans, tmp_path):
    model = kmeans[0].with_suffix("") / "kmeans"
    file = tmp_path / "p.yaml"
    transform = f"{{algorithm: kmeans, model: {model}, input: in, content_type: text/csv}}"
    file.write_text(f"stages: [{{name: scores, transform: {transform}}}]")
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.csv").write_text("1,2\n")
    assert [run(file), run(file)] == [[("scores", True)], [("scores", False)]]
    (tmp_path / "in" / "a.csv").write_text("1,3\n")
    assert run(file) == [("scores", True)]


SETTINGS = [field.name for field in dataclasses.fields(Settings)]
WRONG = {
    "- a": "{file} must have a list 'stages', each with a 'name'",
    "stages: [{train: {}}]": "{file} must have a list 'stages', each with a 'name'",
    "stages: [{name: a, files: {}}, {name: a, files: {}}]": (
        "{file}: each stage must have a name of its own, usable for a folder; got 'a'"
    ),
    "stages: [{name: '', files: {}}]": ("{file}: each stage must have a name of its own, usable for a folder; got ''"),
    "stages: [{name: ../a, files: {}}]": (
        "{file}: each stage must have a name of its own, usable for a folder; got '../a'"
    ),
    "stages: [{name: a}]": "stage 'a' must have one of files, train, transform; got none",
    "stages: [{name: a, deploy: {}}]": "stage 'a' must have one of files, train, transform; got deploy",
    "stages: [{name: a, train: {algorithm: pca}}]": "stage 'a', channels: field required",
    "stages: [{name: a, train: {algorithm: pca, channels: {}, epochs: 1}}]": (
        "stage 'a', epochs: extra inputs are not permitted"
    ),
    "stages: [{name: a, transform: {algorithm: pca, model: m, input: i, split: Line}}]": (
        "stage 'a': a transform job has no setting 'split'; it has " + ", ".join(SETTINGS)
    ),
    "stages: [{name: a, transform: {algorithm: pca, model: m, input: i, split_type: Lines}}]": (
        "stage 'a': SplitType must be one of None, Line, RecordIO, TFRecord; got 'Lines'"
    ),
    "stages: [{name: a, train: {algorithm: pca, channels: {train: 'stage:b'}}}]": (
        "stage 'a' reads 'stage:b'; no earlier stage has that name"
    ),
}


@pytest.mark.parametrize(("text", "message"), WRONG.items(), ids=WRONG)
def test_a_file_that_cannot_be_is_refused(tmp_path, text, message):
    (tmp_path / "p.yaml").write_text(text)
    with pytest.raises(BadOption) as error:
        pipeline.read(tmp_path / "p.yaml")
    assert str(error.value) == message.format(file=tmp_path / "p.yaml")


@pytest.mark.parametrize("text", ["stages: [", "!!python/object/apply:os.system [ls]"])
def test_a_file_must_be_plain_yaml(tmp_path, text):
    (tmp_path / "p.yaml").write_text(text)
    with pytest.raises(BadOption) as error:
        pipeline.read(tmp_path / "p.yaml")
    assert str(error.value).startswith(f"{tmp_path / 'p.yaml'} must be a YAML file; ")


def test_a_stage_cannot_write_outside_of_its_folder(tmp_path):
    (tmp_path / "p.yaml").write_text("stages: [{name: a, files: {sub/b: text, ../../c: text}}]")
    with pytest.raises(UserError) as error:
        run(tmp_path / "p.yaml")
    assert str(error.value) == "stage 'a' failed: a file must lie in the stage's own folder; got '../../c'"
    assert sorted(tmp_path.rglob("*")) == [tmp_path / "p", tmp_path / "p" / ".stages", tmp_path / "p.yaml"]


def test_a_stage_cannot_write_its_own_folder_as_a_file(tmp_path):
    (tmp_path / "p.yaml").write_text("stages: [{name: a, files: {.: text}}]")
    with pytest.raises(UserError) as error:
        run(tmp_path / "p.yaml")
    assert str(error.value) == "stage 'a' failed: a file must lie in the stage's own folder; got '.'"


@pytest.mark.parametrize("kind", ["folder", "file"])
def test_an_output_takes_the_place_of_nothing_else(tmp_path, kind):
    (tmp_path / "p.yaml").write_text("stages: [{name: a, files: {b: text}}]")
    place = tmp_path / "p" / "a"
    place.mkdir(parents=True) if kind == "folder" else (place.parent.mkdir(), place.touch())
    with pytest.raises(BadOption) as error:
        run(tmp_path / "p.yaml")
    assert str(error.value) == f"{place} must be free for the output of the stage; it is a {kind}"


def test_a_missing_yaml_library_is_said(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "yaml", None)
    with pytest.raises(BadOption) as error:
        pipeline.read(tmp_path / "p.yaml")
    assert str(error.value) == "a pipeline needs PyYAML: pip install PyYAML"


def test_a_pipeline_must_be_named():
    with pytest.raises(BadOption) as error:
        CliRunner().invoke(command, [], catch_exceptions=False)
    assert str(error.value) == "which pipeline? name its FILE, or print one with --example kmeans"


def test_a_checksum_is_of_names_and_contents(tmp_path):
    digests = set()
    for name, text in [("a", "1"), ("a", "2"), ("b", "1")]:
        folder = Path(tmp_path / f"{name}{text}")
        folder.mkdir()
        (folder / name).write_text(text)
        digests.add(pipeline.digest(folder))
    assert len(digests) == 3
