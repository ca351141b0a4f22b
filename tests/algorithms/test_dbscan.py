"""DBSCAN by hand, its two ways of remembering pairs, and against scikit-learn."""

import numpy as np
import pytest
from sklearn.cluster import DBSCAN as SklearnDBSCAN
from sklearn.neighbors import NearestNeighbors

from algorithms import dbscan as module
from algorithms.dbscan import DBSCAN, exact_squares, mean_distance, squared_distances
from algorithms.pca import PCA
from toolkit.errors import BadHyperparameter


def scikit_learns(X, eps, min_samples):
    """scikit-learn's labels, numbered as ours: noise 0, clusters from 1 in the order of their first rows."""
    labels = SklearnDBSCAN(eps=eps, min_samples=min_samples).fit(X.astype(float)).labels_
    numbers = {-1: 0}
    for label in labels:
        numbers.setdefault(label, len(numbers))
    return [numbers[label] for label in labels]


def moons(n_rows=600):
    random, angle = np.random.default_rng(0), np.linspace(0, np.pi, n_rows // 2)
    one, other = np.c_[np.cos(angle), np.sin(angle)], np.c_[1 - np.cos(angle), 0.5 - np.sin(angle)]
    return random.permutation(np.concatenate([one, other]) + random.normal(0, 0.05, (n_rows, 2))).astype(np.float32)


def test_a_line_of_points_by_hand():
    X = np.array([[0], [1], [2], [10], [20], [21], [3]], np.float32)
    dbscan = DBSCAN(eps=1, minPts=3).fit(X)
    assert dbscan.labels_.tolist() == [1, 1, 1, 0, 0, 0, 1]  # 0 and 3 are on the border, 20 and 21 are too few
    assert dbscan.core_rows_.tolist() == [[1], [2]]
    assert dbscan.core_labels_.tolist() == [1, 1]
    assert dbscan.eps_.tolist() == [1]


def test_a_row_is_its_own_neighbour():
    X = np.array([[0], [1], [10]], np.float32)
    assert DBSCAN(eps=1, minPts=2).fit(X).labels_.tolist() == [1, 1, 0]
    assert DBSCAN(eps=1, minPts=1).fit(X).labels_.tolist() == [1, 1, 2]
    assert DBSCAN(eps=1, minPts=3).fit(X).labels_.tolist() == [0, 0, 0]


def test_clusters_count_from_one_in_the_order_in_which_rows_show_them():
    """Row 0 is only on the border of the second cluster whose core comes in sight."""
    X = np.array([[5.9], [0], [0.5], [1], [5], [4.5], [4]], np.float32)
    assert DBSCAN(eps=1, minPts=3).fit(X).labels_.tolist() == [1, 2, 2, 2, 1, 1, 1]


def test_a_row_between_two_clusters_goes_where_scikit_learn_puts_it():
    X = np.array([[3], [2], [1], [0.9], [1.1], [4], [5], [5.1], [4.9]], np.float32)
    for rows in (X, X[::-1]):
        assert DBSCAN(eps=1, minPts=4).fit(rows).labels_.tolist() == scikit_learns(rows, 1, 4)


@pytest.mark.parametrize("eps", [0.05, 0.1, 0.15, 0.3])
def test_labels_equal_scikit_learns_on_two_moons(eps):
    X = moons()
    assert DBSCAN(eps=eps, minPts=5).fit(X).labels_.tolist() == scikit_learns(X, eps, 5)


@pytest.mark.parametrize("eps", [1, 2**0.5, 2, 3])
def test_labels_equal_scikit_learns_where_many_distances_are_just_eps(eps):
    X = np.random.default_rng(0).integers(0, 9, (400, 3)).astype(np.float32)
    assert DBSCAN(eps=eps, minPts=6).fit(X).labels_.tolist() == scikit_learns(X, eps, 6)


def test_labels_equal_scikit_learns_over_several_tiles(digits):
    assert len(digits) > module.TILE_ROWS
    assert DBSCAN(eps=1.15, minPts=5).fit(digits).labels_.tolist() == scikit_learns(digits, 1.15, 5)


def test_rows_far_from_zero_and_close_to_each_other_are_told_apart():
    """Distances of 0.001 among coordinates of thousands: hopeless in float32 products alone."""
    X = np.array([[4096], [4096.001], [4096.002], [4096.01], [-4096], [-4096.001], [-4096.002]], np.float32)
    assert DBSCAN(eps=0.003, minPts=3).fit(X).labels_.tolist() == [1, 1, 1, 0, 2, 2, 2]


def test_a_new_row_among_core_rows_close_to_each_other_finds_the_nearest():
    X = (512 + np.random.default_rng(0).random((41, 3))).astype(np.float32)
    X[0] = -512  # far from the others, which float32 products then cannot tell apart
    dbscan = DBSCAN(eps=0.01, minPts=1).fit(X)
    assert dbscan.core_labels_.max() == 41  # each a cluster of its own
    assert dbscan.predict(X + np.float32(0.001))["cluster"].tolist() == list(range(1, 42))


def test_pca_then_dbscan_gives_scikit_learns_labels_on_the_same_projections(films):
    projection = PCA(num_components=50, algorithm_mode="randomized").fit(films).predict(films)["projection"]
    dbscan = DBSCAN().fit(projection)
    assert dbscan.labels_.tolist() == scikit_learns(projection, dbscan.eps_[0], 5)
    assert dbscan.labels_.max() >= 1
    assert (dbscan.labels_ == 0).any()


def test_eps_is_by_default_the_mean_distance_to_the_nth_other_row(digits):
    distances = NearestNeighbors(n_neighbors=8).fit(digits.astype(float)).kneighbors()[0]
    for n in (1, 5, 8):
        assert DBSCAN(minPts=n).fit(digits).eps_[0] == pytest.approx(distances[:, n - 1].mean(), rel=1e-6)


def test_eps_of_rows_far_from_zero_and_close_to_each_other():
    X = np.random.default_rng(0).random((1000, 2)).astype(np.float32)
    X[500:] += 5000
    distances = NearestNeighbors(n_neighbors=4).fit(X.astype(float)).kneighbors()[0]
    assert mean_distance(X, 4) == pytest.approx(distances[:, 3].mean(), rel=1e-4)


def test_fewer_rows_than_neighbours_are_all_noise():
    dbscan = DBSCAN().fit(np.array([[0], [4]], np.float32))
    assert dbscan.eps_ == pytest.approx([4])
    assert dbscan.labels_.tolist() == [0, 0]
    assert dbscan.core_rows_.shape == (0, 1)
    assert dbscan.predict(np.array([[0], [4]], np.float32))["cluster"].tolist() == [0, 0]


def test_identical_rows_are_one_cluster():
    X = np.full((9, 4), 0.1, np.float32)
    dbscan = DBSCAN().fit(X)
    assert dbscan.eps_.tolist() == [0]
    assert dbscan.predict(X)["cluster"].tolist() == [1] * 9


def test_a_new_row_gets_the_cluster_of_its_nearest_core_row_within_eps(digits):
    dbscan = DBSCAN(eps=1.15).fit(digits[:1500])
    new = digits[1500:]
    distances = np.sqrt(((new[:, None].astype(float) - dbscan.core_rows_) ** 2).sum(axis=2))
    expected = np.where(distances.min(axis=1) <= 1.15, dbscan.core_labels_[distances.argmin(axis=1)], 0)
    answer = dbscan.predict(new)["cluster"]
    assert answer.dtype == np.int32
    assert np.array_equal(answer, expected)
    assert 0 < (answer == 0).sum() < len(new)


@pytest.mark.parametrize("tile_rows", [1, 1024])
def test_of_equally_near_core_rows_the_first_one_decides(tile_rows, monkeypatch):
    monkeypatch.setattr(module, "TILE_ROWS", tile_rows)
    dbscan = DBSCAN(eps=1, minPts=1).fit(np.array([[-1], [1], [3]], np.float32))
    assert dbscan.predict(np.array([[0], [2], [1.9], [2.1]], np.float32))["cluster"].tolist() == [1, 2, 2, 3]


def test_a_core_row_is_put_into_its_own_cluster(digits):
    dbscan = DBSCAN(eps=1.15).fit(digits)
    assert np.array_equal(dbscan.predict(dbscan.core_rows_)["cluster"], dbscan.core_labels_)


def test_a_model_without_core_rows_is_saved_and_loaded(tmp_path):
    dbscan = DBSCAN(eps=1, minPts=3).fit(np.array([[0, 0], [9, 9]], np.float32))
    dbscan.save(tmp_path)
    loaded = DBSCAN.loaded(tmp_path)
    assert loaded.n_features_in_ == 2
    assert loaded.predict(np.zeros((2, 2), np.float32))["cluster"].tolist() == [0, 0]


def test_pairs_too_many_to_keep_are_computed_again_and_give_the_same(digits, monkeypatch):
    kept = DBSCAN(eps=1.15).fit(digits).labels_
    monkeypatch.setattr(module, "MOST_PAIRS", 100)
    monkeypatch.setattr(module, "PIECE_PAIRS", 50)
    pairs = module.Pairs(digits, 1.15)
    pairs.counts()
    assert pairs.kept is None
    assert np.array_equal(DBSCAN(eps=1.15).fit(digits).labels_, kept)


def test_float32_squares_are_never_wronger_than_they_say():
    for n_features in (1, 2, 30, 784):
        random = np.random.default_rng(n_features)
        X = (random.standard_normal((300, n_features)) * 10.0 ** random.integers(-3, 4, (300, 1))).astype(np.float32)
        squared, error = squared_distances(X, X)
        i, j = np.divmod(np.arange(300 * 300), 300)
        exact = exact_squares(X, X, i, j).reshape(300, 300)
        assert (np.abs(squared - exact) <= error[:, None]).all()


def test_numbers_that_are_none_are_noise():
    X = np.array([[0], [0.1], [0.2], [np.nan]], np.float32)
    with np.errstate(all="ignore"):
        assert DBSCAN(eps=1, minPts=2).fit(X).labels_[3] == 0


def test_another_feature_dim_than_the_datas_is_refused():
    with pytest.raises(BadHyperparameter) as error:
        DBSCAN(feature_dim=3).fit(np.ones((4, 2), np.float32))
    assert str(error.value) == "hyperparameter 'feature_dim' is 3, the data has 2 features"
