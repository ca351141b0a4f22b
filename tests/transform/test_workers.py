import os
import signal

import pytest

from toolkit.errors import BadArtifact, BadOption, ContainerFault, ToolkitError
from toolkit.transform import records
from toolkit.transform.exchanges import Refused
from toolkit.transform.settings import Settings, resolved
from toolkit.transform.workers import ModelProcess, launch
from transform.rows import ROWS, csv

SETTINGS = resolved(Settings(content_type="text/csv", accept="text/csv", split_type="Line"), {})


@pytest.fixture
def process(model_dirs):
    made = ModelProcess("kmeans", model_dirs["kmeans"], SETTINGS)
    yield made
    made.close()


@pytest.fixture
def block(tmp_path):
    (tmp_path / "data.csv").write_bytes(csv())
    return next(records.blocks(tmp_path / "data.csv", SETTINGS))


def test_a_block_is_answered_by_its_place_in_the_file(process, block):
    piece = process.piece(block)
    assert (piece.n_records, piece.n_requests, piece.body.count(b"\n")) == (len(ROWS), 1, len(ROWS))


def test_a_block_may_carry_its_bytes(process, block):
    carried = records.Block(block.path.with_name("gone"), 0, block.length, csv())
    assert process.piece(carried) == process.piece(block)


def test_the_default_answer_is_that_of_serve(model_dirs, block, monkeypatch):
    monkeypatch.setenv("SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT", "text/csv")
    process = ModelProcess("kmeans", model_dirs["kmeans"], resolved(Settings(split_type="Line"), {}))
    assert process.piece(block).body.count(b"\n") == len(ROWS)
    process.close()


CHATTY = """
from algorithms.kmeans import KMeans

class Chatty(KMeans):
    name = "chatty"

    def predict(self, X):
        print("predicting")
        return super().predict(X)
"""


def test_what_a_plugin_prints_does_not_disturb(model_dirs, block, tmp_path, monkeypatch, capfd):
    (tmp_path / "chatty.py").write_text(CHATTY)
    described = tmp_path / "chatty-1.dist-info"
    described.mkdir()
    (described / "METADATA").write_text("Metadata-Version: 2.1\nName: chatty\nVersion: 1\n")
    (described / "entry_points.txt").write_text("[byoa.algorithms]\nchatty = chatty:Chatty\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    process = ModelProcess("chatty", model_dirs["kmeans"], SETTINGS)
    assert process.piece(block).n_records == len(ROWS)
    process.close()
    assert capfd.readouterr() == ("", "predicting\n")


def test_a_refused_request_says_which_records(process, tmp_path):
    (tmp_path / "bad.csv").write_bytes(b"1,2,3,4\n1,2\n")
    block = next(records.blocks(tmp_path / "bad.csv", SETTINGS))
    with pytest.raises(Refused) as error:
        process.piece(block)
    assert (str(error.value), error.value.status) == ("CSV line 2 has 2 fields, line 1 has 4", 400)
    assert (error.value.record, error.value.n_records) == (0, 2)


def test_a_worker_goes_on_after_a_refusal(process, tmp_path, block):
    (tmp_path / "bad.csv").write_bytes(b"nonsense\n")
    with pytest.raises(Refused):
        process.piece(next(records.blocks(tmp_path / "bad.csv", SETTINGS)))
    assert process.piece(block).n_records == len(ROWS)


def test_a_worker_that_dies_is_started_again(process, block):
    process.piece(block)
    os.kill(process.process.pid, signal.SIGKILL)
    with pytest.raises(ContainerFault) as error:
        process.piece(block)
    assert str(error.value) == "the worker process ended before it answered; its exit status is -9"
    assert process.piece(block).n_records == len(ROWS)


def test_a_model_that_cannot_be_loaded_is_said_at_once(tmp_path):
    with pytest.raises(ToolkitError, match="model_algo-1") as error:
        launch([ModelProcess("kmeans", tmp_path, SETTINGS)])
    assert error.value.status == BadArtifact.status


def test_an_unknown_algorithm_is_said_at_once(model_dirs):
    with pytest.raises(ToolkitError, match="unknown algorithm 'kmean'; did you mean 'kmeans'") as error:
        launch([ModelProcess("kmean", model_dirs["kmeans"], SETTINGS)])
    assert error.value.status == BadOption.status


def test_all_processes_end_where_one_cannot_load(model_dirs, tmp_path):
    good = ModelProcess("kmeans", model_dirs["kmeans"], SETTINGS)
    with pytest.raises(ToolkitError):
        launch([good, ModelProcess("kmeans", tmp_path, SETTINGS)])
    assert good.process is None
