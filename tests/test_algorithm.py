"""The contract of an algorithm, on two small plugins: one that fits in memory, one that learns in rounds."""

import numpy as np
import pytest

from toolkit import ndarrays
from toolkit.algorithm import Algorithm, check_feature_dim, find, has_rounds
from toolkit.errors import AlgorithmFault, BadArtifact, BadHyperparameter, BadOption
from toolkit.hyperparameters import Hyperparameters
from toolkit.rounds import Round


class Means(Algorithm):
    name = "means"
    arrays = ("mean_",)

    def rounds(self, n_features):
        totals = yield Round(lambda state, X, y, key: {"sum": X.sum(axis=0), "n": np.array(len(X))})
        self.mean_ = totals["sum"] / totals["n"]

    def predict(self, X):
        return {"score": X - self.mean_}


class Sizes(Algorithm):
    class Hyperparameters(Hyperparameters):
        feature_dim: int | None = None
        mini_batch_size: int | None = None

    name = "sizes"
    arrays = ("low_", "high_")
    named = False

    def fit(self, X, y=None):
        self.low_, self.high_ = X.min(axis=0), X.max(axis=0)
        return self


X = np.array([[1, 2], [3, 6]], dtype="float32")


def test_fit_follows_from_rounds():
    assert Means().fit(X).mean_.tolist() == [2, 4]
    assert has_rounds(Means)
    assert not has_rounds(Sizes())


def test_the_number_of_features_is_that_of_the_first_array():
    assert Means().fit(X).n_features_in_ == 2


def test_arrays_are_saved_under_their_names(tmp_path):
    Means().fit(X).save(tmp_path)
    assert list(ndarrays.read(tmp_path / "model_algo-1")) == ["mean"]
    loaded = Means()
    assert not loaded.is_fitted
    loaded.load(tmp_path)
    assert loaded.is_fitted
    assert loaded.predict(X)["score"].tolist() == [[-1, -2], [1, 2]]


def test_arrays_without_names_are_saved_in_their_order(tmp_path):
    Sizes().fit(X).save(tmp_path)
    assert [array.tolist() for array in ndarrays.read(tmp_path / "model_algo-1")] == [[1, 2], [3, 6]]


def test_the_file_of_another_algorithm_is_refused(tmp_path):
    Sizes().fit(X).save(tmp_path)
    with pytest.raises(BadArtifact) as caught:
        Means().load(tmp_path)
    assert str(caught.value) == f"{tmp_path}/model_algo-1 must hold the arrays mean; it holds 2 without names"
    Means().fit(X).save(tmp_path)
    with pytest.raises(BadArtifact) as caught:
        Sizes().load(tmp_path)
    assert str(caught.value) == f"{tmp_path}/model_algo-1 must hold 2 arrays without names; it holds mean (2,)"


def test_the_data_may_not_contradict_feature_dim():
    check_feature_dim(Sizes(), 3)
    check_feature_dim(Sizes(feature_dim=3), 3)
    with pytest.raises(BadHyperparameter) as caught:
        check_feature_dim(Sizes(feature_dim="4"), 3)
    assert str(caught.value) == "hyperparameter 'feature_dim' is 4, the data has 3 features"


def test_a_mini_batch_is_as_large_as_the_job_says_or_as_fills_its_bytes():
    assert Sizes(mini_batch_size=500).rows_per_batch(784) == 500
    assert Sizes().rows_per_batch(784) == 5102
    assert Means().rows_per_batch(10**9) == 1


@pytest.mark.parametrize("method", ["fit", "predict"])
def test_a_plugin_that_lacks_a_part_is_named(method):
    class Empty(Algorithm):
        name = "empty"

    told = {"fit": "fit or rounds; it has neither", "predict": "predict; it has none"}[method]
    with pytest.raises(AlgorithmFault) as caught:
        getattr(Empty(), method)(X)
    assert str(caught.value) == f"algorithm 'empty' must have {told}"


def test_the_installed_algorithms_are_found_by_name():
    assert find("kmeans").name == "kmeans"
    with pytest.raises(BadOption) as caught:
        find("kmean")
    assert str(caught.value) == "unknown algorithm 'kmean'; did you mean 'kmeans'?"
    with pytest.raises(BadOption) as caught:
        find("xyzzy")
    assert str(caught.value).startswith("unknown algorithm 'xyzzy'; installed are ")


def test_two_plugins_of_one_name_are_an_error(tmp_path, monkeypatch):
    folder = tmp_path / "other-1.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: other\nVersion: 1.0\n")
    (folder / "entry_points.txt").write_text("[byoa.algorithms]\npca = other:PCA\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(AlgorithmFault) as caught:
        find("pca")
    assert str(caught.value) == (
        "algorithm 'pca' must be one plugin; it is algorithms.pca:PCA and other:PCA; uninstall one of the packages"
    )
