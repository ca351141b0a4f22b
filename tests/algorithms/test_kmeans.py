"""k-means by hand, each hyperparameter by its effect, and against scikit-learn."""

import numpy as np
import pytest
from sklearn.cluster import KMeans as SklearnKMeans

from algorithms.kmeans import KMeans, assign, decayed, draw, drawn, nearest, start, tally
from toolkit import ndarrays, rounds
from toolkit.dataset import Dataset
from toolkit.errors import BadArtifact, BadHyperparameter


def in_batches(kmeans, X, n_rows):
    rounds.run(kmeans.rounds(X.shape[1]), rounds.in_memory(Dataset(X), n_rows))
    return kmeans


def n_passes(kmeans, X):
    """How often fitting reads all rows."""
    batches, plan, totals = rounds.in_memory(Dataset(X), 500), kmeans.rounds(X.shape[1]), None
    for n in range(1000):
        try:
            totals = rounds.fold(plan.send(totals), batches)
        except StopIteration:
            return n
    raise AssertionError("it does not end")


def groups(*sizes):
    """Groups of rows, each around a corner of its own."""
    random, corners = np.random.default_rng(0), 20 * np.eye(len(sizes))
    rows = [corners[i] + random.standard_normal((size, len(sizes))) for i, size in enumerate(sizes)]
    return np.concatenate(rows).astype(np.float32)


def test_two_groups_by_hand():
    X = np.array([[0, 0], [0, 2], [10, 0], [10, 2], [10, 1]], np.float32)
    kmeans = KMeans(k=2, eval_metrics='["msd", "ssd"]').fit(X)
    assert kmeans.centroids_.tolist() == [[10, 1], [0, 1]]  # the larger one first
    assert kmeans.metrics_ == {"msd": pytest.approx(0.8), "ssd": pytest.approx(4)}
    answer = kmeans.predict(np.array([[3, 5], [10, 1]], np.float32))
    assert answer["closest_cluster"].tolist() == [1, 0]
    assert answer["distance_to_cluster"].tolist() == [5, 0]
    assert kmeans.score([Dataset(X[:1]), Dataset(X[1:])]) == {"msd": pytest.approx(0.8), "ssd": pytest.approx(4)}


def test_each_group_gets_a_centre_however_unlike_their_sizes():
    X = groups(2000, 300, 60, 30)
    kmeans = KMeans(k=4).fit(X)
    assert np.bincount(kmeans.predict(X)["closest_cluster"].astype(int)).tolist() == [2000, 300, 60, 30]


def test_the_distance_is_at_most_that_of_scikit_learn_by_a_hundredth(digits):
    theirs = SklearnKMeans(10, n_init=3, random_state=0).fit(digits).inertia_
    assert KMeans(k=10, eval_metrics=["ssd"]).fit(digits).metrics_["ssd"] < 1.01 * theirs


def test_the_metric_is_the_distance_of_the_centres_that_are_kept(digits):
    kmeans = KMeans(k=10).fit(digits)
    squared = ((digits[:, None].astype(float) - kmeans.centroids_) ** 2).sum(axis=2)
    assert kmeans.metrics_["msd"] == pytest.approx(squared.min(axis=1).mean(), rel=1e-6)
    assert np.array_equal(kmeans.predict(digits)["closest_cluster"], squared.argmin(axis=1))
    assert kmeans.predict(digits)["distance_to_cluster"] == pytest.approx(squared.min(axis=1) ** 0.5, rel=1e-6)


def test_a_row_gets_the_same_bits_in_whatever_batch_it_comes(digits):
    kmeans = KMeans(k=10).fit(digits)
    together = kmeans.predict(digits)
    for n_rows in (1, 3, 100):
        parts = [kmeans.predict(digits[at : at + n_rows]) for at in range(0, len(digits), n_rows)]
        for name, column in together.items():
            assert np.array_equal(np.concatenate([part[name] for part in parts]), column)


def test_of_equally_near_centres_the_first_is_chosen_by_exact_distances():
    centroids = np.array([[0, 1], [0, -1], [0, 1]], np.float32)
    X = np.array([[5, 0], [5, 1e-6], [5, -1e-6]], np.float32)
    assert nearest(X, centroids).tolist() == [0, 0, 1]


def test_centres_too_close_for_float32_are_told_apart():
    random = np.random.default_rng(0)
    X, centroids = random.random((300, 50)), random.random(50) + 1e-5 * random.standard_normal((8, 50))
    X, centroids = X.astype(np.float32), np.vstack([centroids, -centroids]).astype(np.float32)
    squared = ((X[:, None].astype(float) - centroids) ** 2).sum(axis=2)
    assert np.array_equal(nearest(X, centroids), squared.argmin(axis=1))


def test_rows_far_from_zero_keep_their_distances():
    X = groups(50, 40, 30)
    near, far = KMeans(k=3).fit(X), KMeans(k=3).fit(X + np.float32(4096))
    assert far.centroids_ - 4096 == pytest.approx(near.centroids_, abs=1e-3)
    assert far.metrics_["msd"] == pytest.approx(near.metrics_["msd"], rel=1e-3)
    assert np.array_equal(far.predict(X + np.float32(4096))["closest_cluster"], near.predict(X)["closest_cluster"])


def test_mini_batches_and_seeds_of_any_kind_find_the_same_groups():
    X = np.random.default_rng(0).permutation(groups(300, 200, 100))
    whole = KMeans(k=3).fit(X)
    for pieces in (in_batches(KMeans(k=3), X, 70), KMeans(k=3, seed=9).fit(X)):
        assert pieces.centroids_ == pytest.approx(whole.centroids_, abs=1e-4)


def test_the_same_seed_gives_the_same_bits(digits):
    one, same, other = (KMeans(k=12, seed=seed).fit(digits).centroids_ for seed in (3, 3, 4))
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)


@pytest.mark.parametrize("hyperparameters", [{}, {"init_method": "kmeans++"}, {"extra_center_factor": 1}])
def test_identical_rows_give_identical_centres(hyperparameters):
    X = np.full((20, 3), 2, np.float32)
    kmeans = KMeans(k=4, **hyperparameters).fit(X)
    assert kmeans.centroids_.tolist() == [[2, 2, 2]] * 4
    assert kmeans.metrics_ == {"msd": 0}


def test_a_centre_without_rows_stays_where_it_was():
    X = np.array([[-3], [3]] * 10, np.float32)
    assert set(KMeans(k=4).fit(X).centroids_.ravel().tolist()) == {-3, 3}


def test_as_many_clusters_as_rows_puts_a_centre_on_each():
    X = groups(3, 2)
    kmeans = KMeans(k=5).fit(X)
    assert sorted(kmeans.centroids_.tolist()) == sorted(X.tolist())


def test_one_cluster_has_its_centre_at_the_mean(digits):
    assert KMeans(k=1).fit(digits).centroids_[0] == pytest.approx(digits.mean(axis=0), abs=1e-6)


def test_more_clusters_than_rows_are_refused():
    with pytest.raises(BadHyperparameter) as error:
        KMeans(k=3).fit(np.ones((2, 4), np.float32))
    assert str(error.value) == "hyperparameter 'k' is 3, the data has 2 rows"


def test_numbers_that_are_none_end_the_learning():
    X = np.array([[0, np.nan], [1, 2], [3, 4], [np.inf, 0]], np.float32)
    with np.errstate(all="ignore"):
        assert n_passes(KMeans(k=2), X) < 10


def test_epochs_are_passes_over_the_data():
    X = groups(200, 100)
    once = n_passes(KMeans(k=2), X)
    assert n_passes(KMeans(k=2, epochs=4), X) == once + 3


def test_a_short_max_iter_ends_early_and_a_large_tol_too(digits):
    def passes(**hyperparameters):
        return n_passes(KMeans(k=10, mini_batch_size=200, **hyperparameters), digits)

    assert passes(local_lloyd_tol=0, local_lloyd_max_iter=1) == 3  # for the sample, an epoch, one of Lloyd's
    assert 4 == passes(local_lloyd_tol=1) < passes() < passes(local_lloyd_tol=0)


@pytest.mark.parametrize(("half_life", "centre"), [(0, 4), (1000, 16 / 3), (100, 8)])
def test_a_half_life_lets_later_rows_count_for_more(half_life, centre):
    X = np.repeat(np.array([[0], [8]], np.float32), 1000, axis=0)
    kmeans = KMeans(k=1, mini_batch_size=100, half_life_time_size=half_life).fit(X)
    assert kmeans.centroids_[0, 0] == pytest.approx(centre, rel=0.01)


def test_decay_is_associative():
    state = np.zeros(2, np.float32), np.zeros((1, 2), np.float32)
    parts = [assign(state, groups(n, 1), None, (0, n)) for n in (3, 8, 5)]
    copies = [{name: array.copy() for name, array in part.items()} for part in parts]
    one = decayed(7, decayed(7, parts[0], parts[1]), parts[2])
    other = decayed(7, copies[0], decayed(7, copies[1], copies[2]))
    for name in one:
        assert one[name] == pytest.approx(other[name])


def test_more_trials_and_more_extra_centres_find_smaller_distances(digits):
    def mean_distance(**hyperparameters):
        found = [KMeans(k=10, eval_metrics=["ssd"], seed=seed, **hyperparameters).fit(digits) for seed in range(6)]
        return np.mean([kmeans.metrics_["ssd"] for kmeans in found])

    assert mean_distance() < mean_distance(local_lloyd_num_trials=1)
    assert mean_distance() < mean_distance(extra_center_factor=1)


def test_a_sample_is_uniform_over_mini_batches_of_any_size():
    X = np.arange(3000, dtype=np.float32)[:, None]
    counts = np.zeros(3)
    for seed in range(40):
        batches = [X[:100], X[100:1100], X[1100:]]
        totals = draw((60, seed), batches[0], None, (0, 0))
        for i in (1, 2):
            totals = drawn(60, totals, draw((60, seed), batches[i], None, (0, i)))
        assert len(totals["rows"]) == 60
        counts += np.histogram(totals["rows"], [0, 100, 1100, 3000])[0]
    assert counts / 40 == pytest.approx([2, 20, 38], rel=0.2)


def test_every_mini_batch_draws_tickets_of_its_own():
    origins = [(0, (0, 0)), (0, (0, 1)), (0, (1, 0)), (1, (0, 0))]
    drawn = [draw((9, seed), np.zeros((9, 1), np.float32), None, key)["tickets"] for seed, key in origins]
    assert len({tuple(tickets) for tickets in drawn}) == 4


def test_a_sample_is_the_same_whichever_mini_batches_meet_first():
    X = np.random.default_rng(0).standard_normal((90, 2)).astype(np.float32)
    parts = [draw((20, 5), X[at : at + 30], None, (0, at)) for at in (0, 30, 60)]
    one = drawn(20, drawn(20, parts[0], parts[1]), parts[2])
    other = drawn(20, parts[2], drawn(20, parts[1], parts[0]))
    assert sorted(one["tickets"]) == sorted(other["tickets"])
    assert one["count"] == other["count"] == 90


def test_kmeans_plus_plus_starts_far_apart():
    X = groups(1000, 30, 30)

    def found(method):
        starts = [start(X, np.ones(len(X)), 3, method, np.random.default_rng(seed)) for seed in range(20)]
        return sum(len(set(each.argmax(axis=1))) for each in starts)

    assert found("kmeans++") > 50  # of 60 groups
    assert found("random") < 35


def test_a_tally_counts_weights_sums_and_squares():
    points, centres = np.array([[1, 0], [3, 0], [0, 9]], np.float32), np.array([[0, 0], [0, 8]], np.float32)
    totals = tally(points, centres, np.array([1, 2, 4], np.float32))
    assert totals["weights"].tolist() == [3, 4]
    assert totals["sums"].tolist() == [[7, 0], [0, 36]]
    assert totals["loss"].tolist() == [1 + 2 * 9 + 4 * 1]


@pytest.mark.parametrize(("k", "factor"), [(8, 10), (100, 10), (300, 3), (5000, 1)])
def test_auto_makes_ten_centres_for_each_cluster_and_fewer_where_these_are_many(k, factor):
    assert KMeans(k=k)._extra_center_factor() == factor


@pytest.mark.parametrize(
    ("array", "held"),
    [
        (np.ones(6), "float64 (6,)"),
        (np.ones((2, 3, 4), np.float32), "float32 (2, 3, 4)"),
        (np.ones((0, 6), np.float32), "float32 (0, 6)"),
        (np.ones((2, 6), np.int64), "int64 (2, 6)"),
        (np.full((2, 6), np.nan, np.float32), "float32 (2, 6)"),
    ],
)
def test_an_array_that_cannot_be_centres_is_not_loaded(tmp_path, array, held):
    ndarrays.write(tmp_path / "model_algo-1", [array])
    with pytest.raises(BadArtifact) as raised:
        KMeans.loaded(tmp_path)
    must = "must hold finite centres of floating point (k, feature_dim)"
    assert str(raised.value) == f"{tmp_path}/model_algo-1 {must}; it holds {held}"
