"""The commands on real files and real servers, typed as a person would."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import numpy as np
import pytest

from toolkit import archive, ndarrays

BYOA = Path(sys.executable).with_name("byoa")
ROWS = np.array([[0, 0], [0, 1], [1, 0], [9, 9], [9, 8], [8, 9]])


def byoa(*arguments, folder, status=0):
    """What a command prints; its errors go to the standard error and are printed with it."""
    done = subprocess.run([BYOA, *map(str, arguments)], cwd=folder, capture_output=True, text=True, timeout=120)
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout + done.stderr


@contextlib.contextmanager
def serving(*arguments):
    """The address of `byoa serve`, which gets SIGTERM at the end and must end by itself."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = subprocess.Popen([BYOA, "serve", *map(str, arguments), "--port", str(port)])
    url = f"http://127.0.0.1:{port}"
    try:
        for _ in range(600):
            with contextlib.suppress(OSError):
                if urllib.request.urlopen(f"{url}/ping", timeout=2).status == 200:
                    break
            time.sleep(0.05)
        yield url
    finally:
        server.send_signal(signal.SIGTERM)
        assert server.wait(30) == 0


@pytest.fixture
def folder(tmp_path):
    np.savetxt(tmp_path / "data.csv", ROWS, delimiter=",", fmt="%g")
    return tmp_path


def test_train_leaves_nothing_but_the_model(folder):
    output = byoa("train", "kmeans", "--train", "data.csv", "-p", "k=2", "--output", "run", folder=folder)
    assert output.startswith("channel train: data.csv as text/csv;label_size=0\n")
    assert "next: byoa serve run/model.tar.gz --algorithm kmeans" in output
    assert [path.name for path in (folder / "run").iterdir()] == ["model.tar.gz"]


def test_train_tells_why_a_job_failed_and_leaves_nothing(folder):
    output = byoa("train", "kmeans", "--train", "data.csv", "-p", "k=9", "--output", "run", folder=folder, status=1)
    assert output.endswith("byoa: hyperparameter 'k' is 9, the data has 6 rows\n")
    assert list((folder / "run").iterdir()) == []


def test_train_keeps_the_model_that_was_there_where_a_new_job_fails(folder):
    byoa("train", "kmeans", "--train", "data.csv", "-p", "k=2", "--output", "run", folder=folder)
    before = (folder / "run" / "model.tar.gz").read_bytes()
    byoa("train", "kmeans", "--train", "data.csv", "-p", "k=9", "--output", "run", folder=folder, status=1)
    assert (folder / "run" / "model.tar.gz").read_bytes() == before


def test_train_that_is_stopped_keeps_the_model_so_far(folder):
    np.savetxt(folder / "large.csv", np.random.default_rng(0).random((40_000, 20)), delimiter=",", fmt="%.4f")
    endless = ("-p", "k=50", "-p", "local_lloyd_tol=0", "-p", "local_lloyd_max_iter=1000000")
    command = [BYOA, "train", "kmeans", "--train", "large.csv", *endless, "--output", "run"]
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    for line in process.stdout:
        if "pass 4" in line:
            break
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=60)
    assert output.endswith("byoa: the job was stopped; the model so far is run/model.tar.gz\n")
    assert process.returncode == 1
    assert [path.name for path in (folder / "run").iterdir()] == ["model.tar.gz"]


def test_train_reads_folders_other_channels_and_any_content_type(folder):
    (folder / "many").mkdir()
    for name, rows in (("a.jsonl", ROWS[:3]), ("b.jsonl", ROWS[3:])):
        lines = [json.dumps({"features": row}) for row in rows.tolist()]
        (folder / "many" / name).write_text("\n".join(lines))
    options = ("--train", "many", "--test", "many", "-p", "k=2", "--output", "run")
    output = byoa("train", "kmeans", *options, folder=folder)
    assert "channel train: many as application/jsonlines\n" in output
    assert "test msd <loss>=" in output
    assert "channel test" in byoa("train", "kmeans", *options, "--channel", "test=data.csv", folder=folder)


def test_train_takes_every_column_for_a_feature_where_nothing_is_said(folder):
    """Of formats whose rows may begin with labels, for an algorithm that learns without."""
    np.save(folder / "data.npy", ROWS)
    for data in ("data.csv", "data.npy"):
        byoa("train", "kmeans", "--train", data, "-p", "k=2", "--output", "run", folder=folder)
        with archive.unpacked(folder / "run") as model:
            assert ndarrays.read(model / "model_algo-1")[0].shape == (2, 2)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            ("train", "kmeens", "--train", "data.csv", "--output", "run"),
            "unknown algorithm 'kmeens'; did you mean 'kmeans'?",
        ),
        (
            ("train", "kmeans", "--train", "nothing.csv", "-p", "k=2", "--output", "run"),
            "no file or folder nothing.csv",
        ),
        (
            ("train", "kmeans", "--train", "data.csv", "-p", "k", "--output", "run"),
            "option -p must be NAME=VALUE; got 'k'",
        ),
        (("serve", "nothing", "--algorithm", "kmeans"), "no model nothing; it must be a model.tar.gz or a folder"),
        (
            ("invoke", "nothing"),
            "no file nothing",
        ),
        (
            ("invoke", "data.csv", "--url", "http://127.0.0.1:9"),
            "no server answers at http://127.0.0.1:9/invocations: "
            "[Errno 111] Connection refused; start one with byoa serve",
        ),
        (
            ("invoke", "data.csv", "--url", "127.0.0.1:9"),
            "option --url must be an address such as http://127.0.0.1:8080; got '127.0.0.1:9'",
        ),
        (("init", "class"), "'class' is a word of Python or a module that is there already; choose another name"),
        (("init", "numpy"), "'numpy' is a word of Python or a module that is there already; choose another name"),
        (("init", "kmeans"), "an algorithm 'kmeans' is installed already; choose another name"),
        (
            ("convert", "data.csv", "data.csv"),
            "data.csv must be another file than those that are read; it is one of them",
        ),
        (
            ("init", "My Algorithm"),
            "the name must be lower-case words joined by dashes, such as my-algorithm; got 'My Algorithm'",
        ),
    ],
)
def test_a_command_that_cannot_be_done_says_why(folder, arguments, sentence):
    assert byoa(*arguments, folder=folder, status=1).splitlines()[-1] == f"byoa: {sentence}"


def test_train_names_files_as_they_were_given(folder):
    (folder / "header.csv").write_text("a,b\n1,2\n")
    options = ("-p", "k=1", "--output", "run")
    told = "CSV line 1 field 1 must be a finite number; got 'a'; the format has no header line"
    (folder / "many").mkdir()
    (folder / "many" / "header.csv").write_text("a,b\n1,2\n")
    for given, named in (("header.csv", "header.csv"), ("many", "many/header.csv")):
        output = byoa("train", "kmeans", "--train", given, *options, folder=folder, status=1)
        assert output.endswith(f"byoa: {named}: {told}\n")


def test_train_says_what_is_read_where_no_ending_tells(folder):
    (folder / "data.txt").write_text("1,2\n")
    output = byoa("train", "kmeans", "--train", "data.txt", "-p", "k=1", "--output", "run", folder=folder, status=1)
    assert output.startswith(
        "channel train: data.txt as application/x-recordio-protobuf, "
        "which kmeans reads where nothing is said (--content-type says)\n"
    )
    assert output.splitlines()[-1].startswith("byoa: data.txt: RecordIO record 1 ")


def test_a_hung_up_terminal_ends_a_server_and_leaves_nothing(folder):
    byoa("train", "kmeans", "--train", "data.csv", "-p", "k=2", "--output", "run", folder=folder)
    variables = os.environ | {"TMPDIR": str(folder / "tmp")}
    (folder / "tmp").mkdir()
    command = [BYOA, "serve", "run/model.tar.gz", "--algorithm", "kmeans", "--port", "18341"]
    server = subprocess.Popen(command, cwd=folder, env=variables)
    for _ in range(200):
        with contextlib.suppress(OSError):
            if urllib.request.urlopen("http://127.0.0.1:18341/ping", timeout=2).status == 200:
                break
        time.sleep(0.05)
    server.send_signal(signal.SIGHUP)
    assert server.wait(30) == 0
    assert list((folder / "tmp").iterdir()) == []


def test_a_compressed_file_is_sent_as_what_it_holds(folder):
    ndarrays.write(folder / "model_algo-1", [np.array([[0, 0], [9, 9]], dtype="float32")])
    (folder / "model").mkdir()
    (folder / "model_algo-1").rename(folder / "model" / "model_algo-1")
    subprocess.run(["gzip", "data.csv"], cwd=folder, check=True)
    with serving(folder / "model", "--algorithm", "kmeans") as url:
        answer = json.loads(byoa("invoke", "data.csv.gz", "--url", url, folder=folder))
    assert len(answer["predictions"]) == len(ROWS)


def test_a_model_is_served_and_invoked(folder):
    byoa("train", "kmeans", "--train", "data.csv", "-p", "k=2", "--output", "run", folder=folder)
    for model in (folder / "run", folder / "run" / "model.tar.gz"):
        with serving(model, "--algorithm", "kmeans") as url:
            answer = json.loads(byoa("invoke", "data.csv", "--url", url, folder=folder))
            clusters = [row["closest_cluster"] for row in answer["predictions"]]
            assert clusters in ([0, 0, 0, 1, 1, 1], [1, 1, 1, 0, 0, 0])
            lines = byoa("invoke", "data.csv", "--url", url, "--accept", "text/csv", folder=folder).splitlines()
            assert [float(line.split(",")[0]) for line in lines] == clusters
            (folder / "wide.csv").write_text("1,2,3\n")
            refused = byoa("invoke", "wide.csv", "--url", url, folder=folder, status=1)
            assert refused.startswith("byoa: the server answered 400: ")
            assert "the payload has 3 features, the model was trained on 2" in refused


def test_centroids_brought_along_are_served_as_they_are(folder):
    """Seed 003: a plain list of one array in model_algo-1, packed by tar."""
    ndarrays.write(folder / "model_algo-1", [np.array([[0, 0], [9, 9]], dtype="float32")])
    subprocess.run(["tar", "czf", "model.tar.gz", "model_algo-1"], cwd=folder, check=True)
    with serving(folder / "model.tar.gz", "--algorithm", "kmeans") as url:
        answer = json.loads(byoa("invoke", "data.csv", "--url", url, folder=folder))
    assert [row["closest_cluster"] for row in answer["predictions"]] == [0, 0, 0, 1, 1, 1]


def test_a_hundred_rows_get_the_nearest_centroid(tmp_path):
    """Computed here by the definition, in float64, from the centroids in the model's archive."""
    rows = np.random.default_rng(3).random((100, 8)).astype("float32")
    np.savetxt(tmp_path / "rows.csv", rows, delimiter=",", fmt="%.9g")
    byoa("train", "kmeans", "--train", "rows.csv", "-p", "k=7", "--output", "run", folder=tmp_path)
    archive.extract(tmp_path / "run" / "model.tar.gz", tmp_path / "model")
    (centroids,) = ndarrays.read(tmp_path / "model" / "model_algo-1")
    distances = np.linalg.norm(rows[:, None].astype(float) - centroids[None].astype(float), axis=2)
    with serving(tmp_path / "run", "--algorithm", "kmeans") as url:
        answer = json.loads(byoa("invoke", "rows.csv", "--url", url, folder=tmp_path))["predictions"]
    assert [row["closest_cluster"] for row in answer] == distances.argmin(axis=1).tolist()
    np.testing.assert_allclose([row["distance_to_cluster"] for row in answer], distances.min(axis=1), rtol=1e-6)


def test_algorithms_are_listed_and_explained(folder):
    assert byoa("algorithms", folder=folder).split("\n")[0].startswith("dbscan")
    shown = byoa("algorithms", "pca", folder=folder)
    assert "  num_components: an integer of at least 1; required\n" in shown
    assert "  algorithm_mode: one of 'regular', 'randomized'; default 'regular'\n" in shown
    assert "Learns: mean_, v_, s_" in shown


def test_a_package_made_by_init_keeps_the_contract(folder):
    output = byoa("init", "nearest-mean", folder=folder)
    assert output.endswith("next: pip install -e nearest-mean && pytest nearest-mean\n")
    package = folder / "nearest-mean"
    assert sorted(path.name for path in package.iterdir()) == [
        ".dockerignore",
        "Dockerfile",
        "README.md",
        "nearest_mean.py",
        "pyproject.toml",
        "test_nearest_mean.py",
    ]
    tests = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "--doctest-modules",
        "--confcutdir",
        ".",
        "-p",
        "no:cacheprovider",
        ".",
    ]
    done = subprocess.run(
        tests, cwd=package, capture_output=True, text=True, env=os.environ | {"PYTHONPATH": str(package)}
    )
    assert done.returncode == 0, done.stdout
    assert "passed" in done.stdout
    assert byoa("init", "nearest-mean", folder=folder, status=1) == (
        "byoa: nearest-mean exists already; choose another name or remove it\n"
    )
