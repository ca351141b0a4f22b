"""PCA by hand, against numpy's SVD, and against scikit-learn."""

import numpy as np
import pytest
from sklearn.decomposition import PCA as SklearnPCA

from algorithms.pca import PCA, moments, pooled
from toolkit import ndarrays, rounds
from toolkit.dataset import Dataset
from toolkit.errors import BadArtifact, BadHyperparameter

MODES = ["regular", "randomized"]


def in_batches(pca, X, n_rows):
    rounds.run(pca.rounds(X.shape[1]), rounds.in_memory(Dataset(X), n_rows))
    return pca


def stretched(n_rows=200, n_features=12):
    """Rows whose variance falls from feature to feature of a turned space."""
    random = np.random.default_rng(0)
    turn = np.linalg.qr(random.standard_normal((n_features, n_features)))[0]
    return ((random.standard_normal((n_rows, n_features)) * 2.0 ** -np.arange(n_features)) @ turn).astype(np.float32)


@pytest.mark.parametrize("mode", MODES)
def test_four_points_on_a_line_have_one_component_along_it(mode):
    X = np.array([[1, 1], [2, 3], [3, 5], [4, 7]], np.float32)
    pca = PCA(num_components=1, algorithm_mode=mode).fit(X)
    assert pca.mean_.tolist() == [[2.5, 4]]
    assert pca.v_ == pytest.approx(np.array([[1], [2]]) / 5**0.5, abs=1e-6)
    assert pca.s_ == pytest.approx([5.0], abs=1e-5)  # (-1.5, -0.5, 0.5, 1.5) times the root of 5, squared and added up
    assert pca.metrics_ == {"explained_variance_ratio": pytest.approx(1)}


@pytest.mark.parametrize("mode", MODES)
def test_components_ascend_and_equal_numpys_svd(mode):
    X = stretched()
    pca = PCA(num_components=4, algorithm_mode=mode).fit(X)
    _, s, vt = np.linalg.svd(X.astype(float) - X.mean(axis=0, dtype=float), full_matrices=False)
    assert pca.s_ == pytest.approx(s[3::-1], rel=1e-5)
    assert np.abs(np.diag(pca.v_.T @ vt[3::-1].T)) == pytest.approx([1, 1, 1, 1], abs=1e-5)
    assert pca.v_.T @ pca.v_ == pytest.approx(np.eye(4), abs=1e-6)


@pytest.mark.parametrize("mode", MODES)
def test_the_largest_entry_of_each_component_is_positive(mode):
    v = PCA(num_components=5, algorithm_mode=mode).fit(stretched()).v_
    assert (v[np.abs(v).argmax(axis=0), range(5)] > 0).all()


def test_a_projection_is_the_row_less_the_mean_times_the_components(digits):
    pca = PCA(num_components=7).fit(digits)
    projection = pca.predict(digits[:20])["projection"]
    assert projection.dtype == np.float32
    assert projection == pytest.approx((digits[:20].astype(float) - pca.mean_) @ pca.v_.astype(float), abs=1e-5)


@pytest.mark.parametrize("mode", MODES)
def test_explained_variance_equals_scikit_learns(mode, digits):
    pca = PCA(num_components=20, algorithm_mode=mode).fit(digits)
    theirs = SklearnPCA(20, svd_solver="full").fit(digits.astype(float))
    assert pca.s_[::-1] == pytest.approx(theirs.singular_values_, rel=1e-4)
    assert pca.metrics_["explained_variance_ratio"] == pytest.approx(theirs.explained_variance_ratio_.sum(), abs=1e-5)
    assert pca.score([Dataset(digits)])["explained_variance_ratio"] == pytest.approx(
        theirs.explained_variance_ratio_.sum(), abs=1e-5
    )


@pytest.mark.parametrize("mode", MODES)
def test_without_the_mean_the_components_are_those_of_the_raw_rows(mode, digits):
    pca = PCA(num_components=3, algorithm_mode=mode, subtract_mean="False").fit(digits)
    _, s, vt = np.linalg.svd(digits.astype(float), full_matrices=False)
    assert not pca.mean_.any()
    assert pca.s_[::-1] == pytest.approx(s[:3], rel=1e-5)
    assert np.abs(pca.predict(digits[:9])["projection"][:, ::-1]) == pytest.approx(
        np.abs(digits[:9] @ vt[:3].T), abs=1e-4
    )


@pytest.mark.parametrize("mode", MODES)
def test_a_mean_far_from_zero_costs_no_precision(mode):
    X = stretched() + np.float32(1024)
    _, s, _ = np.linalg.svd(X.astype(float) - X.mean(axis=0, dtype=float), full_matrices=False)
    assert in_batches(PCA(num_components=4, algorithm_mode=mode), X, 30).s_[::-1] == pytest.approx(s[:4], rel=1e-4)


@pytest.mark.parametrize("mode", MODES)
def test_mini_batches_of_any_size_give_the_same_model(mode, digits):
    whole = PCA(num_components=6, algorithm_mode=mode).fit(digits)
    for n_rows in (100, 777):
        pieces = in_batches(PCA(num_components=6, algorithm_mode=mode), digits, n_rows)
        assert pieces.v_ == pytest.approx(whole.v_, abs=1e-4)
        assert pieces.s_ == pytest.approx(whole.s_, rel=1e-5)


def test_moments_of_two_halves_pool_to_those_of_the_whole():
    X = stretched(50, 5) + np.array([0, 3, 0, -8, 0], np.float32)
    halves = moments((None, None), X[:20], None, (0, 0)), moments((None, None), X[20:], None, (0, 1))
    together = pooled(*halves)
    assert together["mean"] == pytest.approx(X.mean(axis=0, dtype=float))
    assert together["scatter"] == pytest.approx(np.cov(X.T.astype(float)) * 49, abs=1e-3)
    assert together["spread"] == pytest.approx(np.trace(together["scatter"]), rel=1e-6)


def test_more_extra_components_find_more_variance():
    X = np.random.default_rng(0).standard_normal((400, 300)).astype(np.float32)  # nothing stands out: the hard case
    tried = [PCA(num_components=10, algorithm_mode="randomized", extra_components=extra) for extra in (0, -1, 200)]
    found = [pca.fit(X).metrics_["explained_variance_ratio"] for pca in tried]
    assert found[0] < found[1] < found[2]


def test_the_seed_moves_the_randomized_model_a_little_and_the_same_seed_not_at_all():
    X = np.random.default_rng(0).standard_normal((400, 300)).astype(np.float32)
    one, same, other = (PCA(num_components=10, algorithm_mode="randomized", seed=seed).fit(X) for seed in (1, 1, 2))
    assert np.array_equal(one.v_, same.v_)
    assert not np.array_equal(one.v_, other.v_)


@pytest.mark.parametrize("mode", MODES)
def test_directions_without_variance_are_orthonormal_all_the_same(mode):
    X = np.outer(np.arange(8), np.ones(5)).astype(np.float32)
    pca = PCA(num_components=3, algorithm_mode=mode).fit(X)
    assert pca.v_.T @ pca.v_ == pytest.approx(np.eye(3), abs=1e-5)
    assert pca.s_[:2] == pytest.approx([0, 0], abs=0.05)
    assert pca.s_[2] == pytest.approx((5 * 42) ** 0.5, rel=1e-5)


@pytest.mark.parametrize("mode", MODES)
def test_constant_rows_have_no_variance(mode):
    pca = PCA(num_components=2, algorithm_mode=mode).fit(np.full((4, 3), 7, np.float32))
    assert pca.predict(np.full((1, 3), 7, np.float32))["projection"].tolist() == [[0, 0]]
    assert pca.metrics_ == {"explained_variance_ratio": 1.0}


def test_more_components_than_features_are_refused():
    with pytest.raises(BadHyperparameter) as error:
        PCA(num_components=4).fit(np.ones((9, 3), np.float32))
    assert str(error.value) == "hyperparameter 'num_components' is 4, the data has 3 features"


@pytest.mark.parametrize("mode", MODES)
def test_more_components_than_rows_are_refused(mode):
    with pytest.raises(BadHyperparameter) as error:
        PCA(num_components=3, algorithm_mode=mode).fit(np.ones((2, 5), np.float32))
    assert str(error.value) == "hyperparameter 'num_components' is 3, the data has 2 rows"


def test_another_feature_dim_than_the_datas_is_refused():
    with pytest.raises(BadHyperparameter) as error:
        PCA(num_components=1, feature_dim=4).fit(np.ones((2, 5), np.float32))
    assert str(error.value) == "hyperparameter 'feature_dim' is 4, the data has 5 features"


def test_what_sagemakers_clients_send_beyond_its_own_is_passed_over():
    pca = PCA(num_components="2", mini_batch_size="500", epochs="1", force_dense="True", _num_gpus="auto")
    assert pca.rows_per_batch(784) == 784
    assert PCA(num_components=2, mini_batch_size=5000).rows_per_batch(784) == 5000


@pytest.mark.parametrize(
    "shapes", [((6,), (6, 2), (2,)), ((1, 6), (5, 2), (2,)), ((1, 6), (6, 2), (3,)), ((), (6, 2), (2,)), ((1,), (), ())]
)
def test_arrays_that_do_not_fit_together_are_not_loaded(tmp_path, shapes):
    arrays = {name: np.zeros(shape, np.float32) for name, shape in zip(("mean", "v", "s"), shapes, strict=True)}
    ndarrays.write(tmp_path / "model_algo-1", arrays)
    with pytest.raises(BadArtifact) as raised:
        PCA.loaded(tmp_path)
    must = "must hold mean (1, d), v (d, k) and s (k,)"
    assert str(raised.value) == f"{tmp_path}/model_algo-1 {must}; it holds {', '.join(map(str, shapes))}"
