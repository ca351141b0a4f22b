"""Inference without HTTP: bytes in, the exact bytes out."""

import json

import numpy as np
import pytest

from toolkit.algorithm import Algorithm
from toolkit.errors import AlgorithmFault, BadAccept, BadContentType, BadOption, BadPayload
from toolkit.serving.inference import Inference, load


class Sums(Algorithm):
    name = "sums"
    arrays = ("weights_",)

    def __init__(self):
        self.weights_ = np.ones(2, np.float32)

    def predict(self, X):
        return {"score": X @ self.weights_}


class Forgets(Sums):
    def predict(self, X):
        return {"score": X[1:, 0]}


def test_rows_are_answered_in_order():
    answer = Inference(Sums()).answer(b"1,2\n3,4\n", "text/csv", None)
    assert json.loads(answer.body) == {"predictions": [{"score": 3.0}, {"score": 7.0}]}
    assert (answer.content_type, answer.n_rows) == ("application/json", 2)
    assert min(answer.decode_ms, answer.predict_ms, answer.encode_ms) > 0


def test_many_batches_make_one_answer(monkeypatch):
    whole = Inference(Sums()).answer(b"1,2\n3,4\n5,6\n", "text/csv", None)
    monkeypatch.setattr("toolkit.serving.inference.CHUNK_BYTES", 8)
    assert Inference(Sums()).answer(b"1,2\n3,4\n5,6\n", "text/csv", None).body == whole.body


def test_what_is_answered_where_anything_is_accepted_can_be_chosen():
    answer = Inference(Sums(), "text/csv").answer(b"1,2\n", "text/csv", "*/*")
    assert (answer.content_type, answer.body.strip()) == ("text/csv", b"3.0")


def test_the_width_must_be_the_models():
    with pytest.raises(BadPayload, match="^the payload has 3 features, the model was trained on 2$"):
        Inference(Sums()).answer(b"1,2,3\n", "text/csv", None)


def test_a_plugin_must_answer_every_row():
    with pytest.raises(AlgorithmFault, match="^algorithm 'sums' must answer 2 rows; column 'score' has 1$"):
        Inference(Forgets()).answer(b"1,2\n3,4\n", "text/csv", None)


@pytest.mark.parametrize(("content_type", "accept", "error"), [("a/b", None, BadContentType), (None, "a/b", BadAccept)])
def test_types_that_nothing_reads_or_writes_are_refused(content_type, accept, error):
    with pytest.raises(error):
        Inference(Sums()).answer(b"1,2\n", content_type, accept)


def test_a_saved_model_is_loaded_by_its_algorithms_name(kmeans_dir, rows, nearest):
    body = "".join(",".join(map(repr, row)) + "\n" for row in rows[:9].tolist())
    answer = load("kmeans", kmeans_dir).answer(body.encode(), "text/csv", None)
    assert [row["closest_cluster"] for row in json.loads(answer.body)["predictions"]] == nearest(rows[:9])


def test_an_unknown_algorithm_is_told(kmeans_dir):
    with pytest.raises(BadOption, match="^unknown algorithm 'kmean'; did you mean 'kmeans'\\?$"):
        load("kmean", kmeans_dir)


def test_a_default_accept_that_nothing_writes_is_told(kmeans_dir):
    with pytest.raises(BadOption) as caught:
        load("kmeans", kmeans_dir, "image/png")
    assert str(caught.value) == (
        "variable SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT: accept 'image/png' is not supported; supported are "
        "application/json, application/jsonlines, text/csv, application/x-recordio-protobuf, application/x-npy"
    )
