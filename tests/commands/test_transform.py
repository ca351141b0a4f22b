import numpy as np
import pytest
from click.testing import CliRunner
from transform.test_container import serving

from algorithms.kmeans import KMeans
from toolkit import archive
from toolkit.commands.transform import command
from toolkit.errors import BadOption, UserError


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A model.tar.gz of two centroids, at (0, 0) and (1, 1)."""
    folder = tmp_path_factory.mktemp("model")
    algorithm = KMeans(k="2")
    algorithm.fit(np.array([[0, 0], [1, 1]] * 8, np.float32))
    algorithm.save(folder)
    archive.pack(folder, folder.parent / "model.tar.gz")
    return folder.parent / "model.tar.gz"


@pytest.fixture
def data(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.csv").write_text("7,0,0\n8,1,1\n9,0,0.5\n")
    return tmp_path / "in"


JOINED = ["--split-type", "Line", "--assemble-with", "Line", "--accept", "text/csv", "--input-filter", "$[1:]"]
JOINED += ["--join-source", "Input", "--output-filter", "$[0,-1]"]


def run(*arguments):
    return CliRunner().invoke(command, [str(argument) for argument in arguments], catch_exceptions=False)


def test_rows_are_joined_with_their_distances(model, data, tmp_path):
    outcome = run(model, data, tmp_path / "out", "--algorithm", "kmeans", "--workers", 1, *JOINED)
    assert (tmp_path / "out" / "a.csv.out").read_text() == "7,0.0\n8,0.0\n9,0.5\n"
    assert outcome.stdout.startswith("1 of 1 files, 3 records in 1 requests, 0.0 MB in ")
    assert outcome.stdout.endswith(f" s: {tmp_path / 'out'}\n")


def test_a_failed_file_is_told_and_the_job_fails(model, data, tmp_path):
    (data / "b.csv").write_text("7,0,x\n")
    with pytest.raises(UserError) as error:
        run(model, data, tmp_path / "out", "--algorithm", "kmeans", *JOINED)
    assert str(error.value) == "the job has failed: 1 of 2 files have no output"
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["a.csv.out"]


def test_a_container_answers_in_the_models_place(data, tmp_path):
    script = {
        "/ping": [(200, b"")],
        "/execution-parameters": [(200, b'{"BatchStrategy": "SINGLE_RECORD"}')],
        "/invocations": [lambda body: (200, b"<" + body.strip() + b">")],
    }
    options = ["--split-type", "Line", "--assemble-with", "Line", "--strip-newline", "--accept", "text/plain"]
    with serving(script) as (url, seen):
        outcome = run(data, tmp_path / "out", "--url", url, *options)
        explained = run(data, tmp_path / "out", "--url", url, "--explain", *options)
    assert (tmp_path / "out" / "a.csv.out").read_text() == "<7,0,0>\n<8,1,1>\n<9,0,0.5>\n"
    assert outcome.stderr.endswith(f"asking {url}/ping until it answers 200\n")
    assert outcome.stdout.startswith("1 of 1 files, 3 records in 3 requests, ")
    assert "  answered  b'<7,0,0>' (7 bytes), to Accept text/plain" in explained.stdout
    sent = {(path, headers.get("Content-Type"), headers.get("Accept")) for path, headers, body in seen if body}
    assert sent == {("/invocations", "text/csv", "text/plain")}


def test_explain_stores_nothing(model, data, tmp_path):
    outcome = run(model, data, tmp_path / "out", "--algorithm", "kmeans", "--explain", *JOINED)
    assert "  sent      b'0,0\\n1,1\\n0,0.5\\n' (14 bytes) by InputFilter $[1:], as text/csv" in outcome.stdout
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["m", "in", "out"], "who shall answer? either --algorithm NAME with a MODEL, or --url of a running container"),
        (
            ["in", "out", "--algorithm", "pca", "--url", "http://127.0.0.1"],
            "who shall answer? either --algorithm NAME with a MODEL, or --url of a running container",
        ),
        (["in", "out", "--algorithm", "pca"], "the arguments must be MODEL INPUT OUTPUT; got in out"),
        (["m", "in", "out", "--url", "http://127.0.0.1"], "the arguments must be INPUT OUTPUT; got m in out"),
    ],
)
def test_who_answers_must_be_said_once(arguments, message):
    with pytest.raises(BadOption) as error:
        run(*arguments)
    assert str(error.value) == message
