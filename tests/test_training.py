"""The `train` program as a process, on trees like those that SageMaker lays out."""

import json
import re
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from toolkit import ndarrays

ROWS = np.array([[0, 0], [0, 1], [1, 0], [9, 9], [9, 8], [8, 9]], dtype="float32")


@pytest.fixture
def opt_ml(tmp_path):
    """An empty tree with the three configuration files of a job without channels."""
    for folder in ("input/config", "input/data", "model", "output/data"):
        (tmp_path / folder).mkdir(parents=True)
    configure(tmp_path, "hyperparameters", {})
    configure(tmp_path, "inputdataconfig", {})
    configure(
        tmp_path, "resourceconfig", {"current_host": "algo-1", "hosts": ["algo-1"], "network_interface_name": "eth0"}
    )
    return tmp_path


def configure(opt_ml, name, value):
    (opt_ml / "input" / "config" / f"{name}.json").write_text(json.dumps(value))


def add_channel(opt_ml, name, files, content_type="text/csv;label_size=0"):
    """Adds a channel with the given files to the job."""
    for path, text in files.items():
        place = opt_ml / "input" / "data" / name / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(text if isinstance(text, bytes) else text.encode())
    path = opt_ml / "input" / "config" / "inputdataconfig.json"
    common = {"TrainingInputMode": "File", "S3DistributionType": "FullyReplicated", "RecordWrapperType": "None"}
    channel = common | ({"ContentType": content_type} if content_type else {})
    path.write_text(json.dumps(json.loads(path.read_text()) | {name: channel}))


def csv(rows):
    return "".join(",".join(f"{value:g}" for value in row) + "\n" for row in rows)


def start(opt_ml, algorithm):
    command = [sys.executable, "-m", "toolkit.training", "--algorithm", algorithm, "--opt-ml", str(opt_ml)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def run(opt_ml, algorithm):
    """The exit status and the output of a job."""
    process = start(opt_ml, algorithm)
    output, _ = process.communicate(timeout=60)
    return process.returncode, output


def failure(opt_ml):
    """The sentence of a failed job, of which nothing else is left behind."""
    assert list((opt_ml / "model").iterdir()) == []
    assert not (opt_ml / "output" / "success").exists()
    text = (opt_ml / "output" / "failure").read_text()
    assert "Traceback (most recent call last)" in text
    return text.partition("\n\n")[0]


def test_a_job_leaves_its_model_and_success(opt_ml):
    configure(opt_ml, "hyperparameters", {"k": "2", "feature_dim": "2", "_kvstore": "dist_sync"})
    add_channel(opt_ml, "train", {"a.csv": csv(ROWS)})
    status, output = run(opt_ml, "kmeans")
    assert status == 0, output
    assert [path.name for path in (opt_ml / "model").iterdir()] == ["model_algo-1"]
    (centroids,) = ndarrays.read(opt_ml / "model" / "model_algo-1")
    assert sorted(centroids[:, 0].astype(float).round(4).tolist()) == [0.3333, 8.6667]
    assert (opt_ml / "output" / "success").read_text() == ""
    assert not (opt_ml / "output" / "failure").exists()


def test_metrics_are_printed_as_sagemaker_does(opt_ml):
    configure(opt_ml, "hyperparameters", {"k": "2"})
    add_channel(opt_ml, "train", {"a.csv": csv(ROWS)})
    add_channel(opt_ml, "test", {"a.csv": csv([[0, 3], [9, 9]])})
    _, output = run(opt_ml, "kmeans")
    assert "#quality_metric: host=algo-1, train msd <loss>=0.4444" in output
    assert re.search(r"#throughput_metric: host=algo-1, train throughput=(\S+) records/second", output)
    assert "#quality_metric: host=algo-1, test msd <loss>=3.7222" in output  # (1/9 + 64/9 + 2/9) / 2


def test_files_are_read_in_the_order_of_names_and_others_passed_over(opt_ml):
    configure(opt_ml, "hyperparameters", {"num_components": "1"})
    files = {"b.csv": csv(ROWS[3:]), "a/1.csv": csv(ROWS[:3]), ".hidden": "x", "train-manifest": "[]", "_SUCCESS": ""}
    add_channel(opt_ml, "train", files)
    (opt_ml / "input" / "data" / "train-manifest").write_text("[]")
    status, output = run(opt_ml, "pca")
    assert status == 0, output
    assert ndarrays.read(opt_ml / "model" / "model_algo-1")["mean"].tolist() == [[4.5, 4.5]]


def test_a_content_type_without_label_size_has_one_label_in_front(opt_ml):
    configure(opt_ml, "hyperparameters", {"num_components": "1"})
    add_channel(opt_ml, "train", {"a.csv": "7,1,2\n8,3,6\n"}, content_type="text/csv")
    run(opt_ml, "pca")
    assert ndarrays.read(opt_ml / "model" / "model_algo-1")["mean"].tolist() == [[2, 4]]


def test_pcas_batch_output_is_a_channel_for_dbscan(opt_ml):
    """Without a content type and with one document for each mini-batch, as seed 000 hands it on."""
    lines = [{"projections": [{"projection": row} for row in rows.tolist()]} for rows in (ROWS[:2], ROWS[2:])]
    configure(opt_ml, "hyperparameters", {"minPts": "3", "eps": "1.5"})
    add_channel(opt_ml, "train", {"train.csv.out": "\n".join(json.dumps(line) for line in lines)}, content_type=None)
    status, output = run(opt_ml, "dbscan")
    assert status == 0, output
    assert "channel train has no content type; it is read as application/json\n" in output
    model = ndarrays.read(opt_ml / "model" / "model_algo-1")
    assert model["core_rows"].tolist() == ROWS.tolist()
    assert model["core_labels"].tolist() == [1, 1, 1, 2, 2, 2]


@pytest.mark.parametrize(
    ("files", "hyperparameters", "sentence"),
    [
        ({"a.csv": "1,2\n3,4\n5,6,7\n"}, {}, "{train}/a.csv: CSV line 3 has 3 fields, line 1 has 2"),
        (
            {"a.csv": "height,weight\n1,2\n"},
            {},
            "{train}/a.csv: CSV line 1 field 1 must be a finite number; got 'height'; the format has no header line",
        ),
        ({"a.csv": "1,2\n3,\n"}, {}, "{train}/a.csv: CSV line 2 field 2 is empty"),
        ({"a.csv": "1,nan\n"}, {}, "{train}/a.csv: CSV line 1 field 2 must be a finite number; got 'nan'"),
        ({"a.csv": ""}, {}, "channel 'train' is empty: {train}; the S3 prefix in the job is usually wrong"),
        ({}, {}, "channel 'train' is empty: {train}; the S3 prefix in the job is usually wrong"),
        ({"a.csv": "1,2\n", "b.csv": "1,2,3\n"}, {}, "{train}/b.csv: the rows have 3 features; those before have 2"),
        ({"a.csv": csv(ROWS)}, {"k": "7"}, "hyperparameter 'k' is 7, the data has 6 rows"),
        ({"a.csv": csv(ROWS)}, {"feature_dim": "3"}, "hyperparameter 'feature_dim' is 3, the data has 2 features"),
        ({"a.csv": csv(ROWS)}, {"kk": "2"}, "unknown hyperparameter 'kk'; did you mean 'k'?"),
        ({"a.csv": csv(ROWS)}, {"k": "two"}, "hyperparameter 'k' must be an integer of at least 1; got 'two'"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_a_job_that_cannot_be_done_says_why(opt_ml, files, hyperparameters, sentence):
    configure(opt_ml, "hyperparameters", {"k": "1"} | hyperparameters)
    (opt_ml / "input" / "data" / "train").mkdir()
    add_channel(opt_ml, "train", files)
    status, output = run(opt_ml, "kmeans")
    wanted = sentence.format(train=opt_ml / "input" / "data" / "train")
    assert status == 1
    assert failure(opt_ml) == wanted
    assert wanted in output


def test_the_test_channel_has_the_features_of_the_model(opt_ml):
    configure(opt_ml, "hyperparameters", {"k": "2"})
    add_channel(opt_ml, "train", {"a.csv": csv(ROWS)})
    add_channel(opt_ml, "test", {"a.csv": "1\n2\n"})
    assert run(opt_ml, "kmeans")[0] == 1
    assert failure(opt_ml) == "channel 'test' has 1 features, channel 'train' has 2"


def test_a_sparse_test_channel_is_as_wide_as_the_model(opt_ml):
    configure(opt_ml, "hyperparameters", {"k": "1"})
    add_channel(opt_ml, "train", {"a": "1 1:3 2:4\n1 1:0\n"}, "text/libsvm")
    add_channel(opt_ml, "test", {"a": "1 1:1.5\n"}, "text/libsvm")
    status, output = run(opt_ml, "kmeans")
    assert status == 0, output
    assert "#quality_metric: host=algo-1, test msd <loss>=4.0\n" in output


def test_a_missing_channel_is_named(opt_ml):
    configure(opt_ml, "hyperparameters", {"k": "1"})
    run(opt_ml, "kmeans")
    assert failure(opt_ml) == "channel 'train' is required; the job has none"


def test_an_unknown_channel_is_named(opt_ml):
    configure(opt_ml, "hyperparameters", {"k": "1"})
    add_channel(opt_ml, "training", {"a.csv": csv(ROWS)})
    run(opt_ml, "kmeans")
    assert failure(opt_ml) == "unknown channel 'training'; algorithm 'kmeans' reads test, train"


def test_an_unknown_content_type_is_named_with_the_channel(opt_ml):
    configure(opt_ml, "hyperparameters", {"k": "1"})
    add_channel(opt_ml, "train", {"a.csv": csv(ROWS)}, content_type="image/png")
    run(opt_ml, "kmeans")
    assert failure(opt_ml).startswith(
        "channel 'train': content type 'image/png' is not supported; supported are text/csv, "
    )


def test_several_hosts_are_refused_rather_than_trained_on_a_part(opt_ml):
    configure(opt_ml, "resourceconfig", {"current_host": "algo-1", "hosts": ["algo-1", "algo-2"]})
    run(opt_ml, "kmeans")
    assert failure(opt_ml) == "the job has 2 hosts, this version trains on one; set InstanceCount to 1"


def test_a_job_that_is_stopped_saves_the_model_so_far(opt_ml):
    configure(
        opt_ml, "hyperparameters", {"k": "50", "local_lloyd_tol": "0", "local_lloyd_max_iter": "1000000", "seed": "1"}
    )
    rows = np.random.default_rng(0).random((40_000, 20))
    add_channel(opt_ml, "train", {"a.csv": csv(rows)})
    process = start(opt_ml, "kmeans")
    for line in process.stdout:
        if "pass 4" in line:
            break
    process.send_signal(signal.SIGTERM)
    stopped = time.monotonic()
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    assert time.monotonic() - stopped < 10
    assert "the model so far was saved to" in output
    assert ndarrays.read(opt_ml / "model" / "model_algo-1")[0].shape == (50, 20)


def test_a_job_that_is_stopped_in_its_first_passes_saves_a_model_too(opt_ml):
    configure(opt_ml, "hyperparameters", {"k": "5", "epochs": "1000000"})
    add_channel(opt_ml, "train", {"a.csv": csv(np.random.default_rng(0).random((20_000, 20)))})
    process = start(opt_ml, "kmeans")
    for line in process.stdout:
        if "pass 3" in line:
            break
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert process.returncode == 0
    assert ndarrays.read(opt_ml / "model" / "model_algo-1")[0].shape == (5, 20)


def test_a_job_that_is_stopped_before_its_first_model_saves_nothing(opt_ml):
    rows = np.random.default_rng(0).random((6_000, 50))
    add_channel(opt_ml, "train", {"a.csv": csv(rows)})
    process = start(opt_ml, "dbscan")
    for line in process.stdout:
        if "rows read" in line:
            break
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "stopped before there was a first model; nothing is saved" in output
    assert list((opt_ml / "model").iterdir()) == []


@pytest.mark.parametrize(
    ("learns", "sentence"),
    [
        ("return 1 / 0", "ZeroDivisionError: division by zero"),
        ("self.a_ = X", "algorithm 'faulty' must learn a_, b_; not all are set"),
    ],
)
def test_a_defect_in_a_plugin_is_told_with_its_trace(opt_ml, tmp_path_factory, monkeypatch, learns, sentence):
    package = tmp_path_factory.mktemp("plugin")
    (package / "faulty.py").write_text(
        "from toolkit.algorithm import Algorithm\n"
        "class Faulty(Algorithm):\n"
        "    name = 'faulty'\n    arrays = ('a_', 'b_')\n"
        f"    def fit(self, X, y=None):\n        {learns}\n"
    )
    information = package / "faulty-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: faulty\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text("[byoa.algorithms]\nfaulty = faulty:Faulty\n")
    monkeypatch.setenv("PYTHONPATH", str(package))
    add_channel(opt_ml, "train", {"a.csv": csv(ROWS)})
    status, output = run(opt_ml, "faulty")
    assert status == 1
    assert failure(opt_ml) == sentence
    assert sentence in output


def test_an_algorithm_that_nobody_named_is_asked_for(opt_ml, monkeypatch):
    monkeypatch.delenv("ALGORITHM", raising=False)
    command = [sys.executable, "-m", "toolkit.training", "--opt-ml", str(opt_ml)]
    assert subprocess.run(command, capture_output=True).returncode == 1
    assert failure(opt_ml).startswith("which algorithm? name it with --algorithm or the variable ALGORITHM")
