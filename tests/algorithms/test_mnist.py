"""Known figures of MNIST's 60,000 training images, where they are at hand."""

from pathlib import Path

import numpy as np
import pytest

from algorithms.kmeans import KMeans
from algorithms.pca import PCA

MNIST = Path(__file__).parents[3] / "shared" / "data" / "mnist" / "mnist.npz"
FIRST_FIVE = [0.09704664, 0.07095924, 0.06169089, 0.05389419, 0.04868797]  # of the variance, by scikit-learn

BEST_OF_THREE = 2_334_867  # the sum of squared distances of scikit-learn's KMeans(10, n_init=3, random_state=0)


@pytest.fixture(scope="module")
def images():
    """(60000, 784), pixel / 256."""
    if not MNIST.exists():
        pytest.skip("no MNIST in ../shared/data")
    return np.load(MNIST)["x_train"].reshape(-1, 784).astype(np.float32) / 256


@pytest.mark.parametrize("mode", ["regular", "randomized"])
def test_the_first_five_components_explain_the_known_shares(images, mode):
    pca = PCA(num_components=10, algorithm_mode=mode).fit(images)
    variance = np.square(images - images.mean(axis=0, dtype=float)).sum()
    assert np.square(pca.s_[:-6:-1], dtype=float) / variance == pytest.approx(FIRST_FIVE, abs=1e-6)


def test_ten_clusters_are_within_a_hundredth_of_scikit_learns_best_of_three(images):
    assert KMeans(k=10, eval_metrics=["ssd"]).fit(images).metrics_["ssd"] < 1.01 * BEST_OF_THREE
