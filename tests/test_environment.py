"""What SageMaker tells a container, read from the tree and the variables."""

import json
import os

import pytest

from toolkit import environment
from toolkit.environment import Input, read_training_job
from toolkit.errors import BadOption


def write_config(root, name, value):
    folder = root / "input" / "config"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.json").write_text(value if isinstance(value, str) else json.dumps(value))


def test_the_three_files_of_a_real_job_are_read(tmp_path):
    write_config(tmp_path, "hyperparameters", {"k": "10"})
    channel = {"TrainingInputMode": "File", "S3DistributionType": "FullyReplicated", "RecordWrapperType": "None"}
    write_config(tmp_path, "inputdataconfig", {"train": channel | {"ContentType": "text/csv"}})
    hosts = ["algo-1"]
    group = {"instance_group_name": "homogeneousCluster", "instance_type": "ml.m5.large", "hosts": hosts}
    resources = {"current_host": "algo-1", "hosts": hosts, "instance_groups": [group], "network_interface_name": "eth0"}
    write_config(tmp_path, "resourceconfig", resources | {"topology": None})
    job = read_training_job(tmp_path)
    assert job.hyperparameters == {"k": "10"}
    assert job.inputs == {"train": Input("train", tmp_path / "input/data/train", "text/csv")}
    assert (job.hosts, job.current_host) == (("algo-1",), "algo-1")


def test_files_that_are_not_there_count_as_empty(tmp_path):
    job = read_training_job(tmp_path)
    assert (job.hyperparameters, job.inputs, job.hosts) == ({}, {}, ("algo-1",))


def test_a_broken_file_is_named(tmp_path):
    write_config(tmp_path, "hyperparameters", "{")
    with pytest.raises(BadOption) as caught:
        read_training_job(tmp_path)
    path = tmp_path / "input/config/hyperparameters.json"
    assert str(caught.value) == (
        f"{path} must be a JSON object; Expecting property name enclosed in double quotes: line 1 column 2 (char 1)"
    )


def test_a_file_of_another_shape_is_named(tmp_path):
    write_config(tmp_path, "hyperparameters", ["k"])
    with pytest.raises(BadOption) as caught:
        read_training_job(tmp_path)
    assert str(caught.value) == f"{tmp_path}/input/config/hyperparameters.json must be a JSON object; got list"


def test_the_failure_file_has_the_message_first(tmp_path):
    read_training_job(tmp_path).fail("'k' is wrong", "Traceback ...")
    assert (tmp_path / "output" / "failure").read_text() == "'k' is wrong\n\nTraceback ...\n"
    assert [path.name for path in (tmp_path / "output").iterdir()] == ["failure"]


def test_user_code_finds_the_variables_of_awss_training_toolkit(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "environ", dict(os.environ))
    write_config(tmp_path, "hyperparameters", {"k": "10"})
    write_config(tmp_path, "inputdataconfig", {"train": {}, "test": {}})
    environment.export(read_training_job(tmp_path), 2)
    assert os.environ["SM_MODEL_DIR"] == str(tmp_path / "model")
    assert os.environ["SM_CHANNEL_TRAIN"] == str(tmp_path / "input/data/train")
    assert os.environ["SM_CHANNELS"] == '["test", "train"]'
    assert os.environ["SM_HP_K"] == "10"
    assert os.environ["SM_NUM_CPUS"] == "2"
    assert json.loads(os.environ["SM_HPS"]) == {"k": "10"}
    assert json.loads(os.environ["SM_HOSTS"]) == ["algo-1"]
    assert json.loads(os.environ["SM_TRAINING_ENV"])["SM_CHANNELS"] == ["test", "train"]


def test_what_no_variable_can_hold_is_not_exported(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "environ", os.environ.copy())
    write_config(tmp_path, "hyperparameters", {"a=b": "1", "c": "\0", "d": "2"})
    environment.export(read_training_job(tmp_path), 1)
    assert {name for name in os.environ if name.startswith("SM_HP_")} == {"SM_HP_D"}


def test_the_algorithm_is_named_by_its_option_or_by_the_image(monkeypatch):
    monkeypatch.setenv("ALGORITHM", "pca")
    assert environment.algorithm_name(None) == "pca"
    assert environment.algorithm_name("kmeans") == "kmeans"
    monkeypatch.delenv("ALGORITHM")
    with pytest.raises(BadOption) as caught:
        environment.algorithm_name(None)
    assert str(caught.value) == (
        "which algorithm? name it with --algorithm or the variable ALGORITHM; 'byoa algorithms' lists them"
    )
