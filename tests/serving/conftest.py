"""Small fitted models, a server that the tests of one file share, and a plugin that misbehaves."""

import numpy as np
import pytest
from running import serving

from algorithms.kmeans import KMeans
from algorithms.pca import PCA

MISBEHAVING = """
import time
import numpy as np
from toolkit.algorithm import Algorithm

class Misbehaving(Algorithm):
    name = "misbehaving"
    arrays = ("mean_",)

    def fit(self, X, y=None):
        self.mean_ = X.mean(axis=0)
        return self

    def predict(self, X):
        what = X[0, 0]
        if what == 1:
            time.sleep(float(X[0, 1]))
        if what == 2:
            raise ZeroDivisionError("a secret")
        if what == 3:
            return {"score": X[:1, 0]}
        return {"score": X.sum(axis=1)}
"""


@pytest.fixture(scope="session")
def rows():
    return np.random.default_rng(7).random((300, 4), dtype=np.float32)


@pytest.fixture(scope="session")
def kmeans_dir(tmp_path_factory, rows):
    """Five centroids of four features."""
    folder = tmp_path_factory.mktemp("kmeans")
    KMeans(k=5).fit(rows).save(folder)
    return folder


@pytest.fixture(scope="session")
def pca_dir(tmp_path_factory, rows):
    """Two components of four features."""
    folder = tmp_path_factory.mktemp("pca")
    PCA(num_components=2).fit(rows).save(folder)
    return folder


@pytest.fixture(scope="session")
def misbehaving(tmp_path_factory):
    """A folder that is, on PYTHONPATH, an installed plugin; and its model of two features lies in it too."""
    folder = tmp_path_factory.mktemp("misbehaving")
    (folder / "misbehaving.py").write_text(MISBEHAVING)
    described = folder / "misbehaving-1.dist-info"
    described.mkdir()
    (described / "METADATA").write_text("Metadata-Version: 2.1\nName: misbehaving\nVersion: 1\n")
    (described / "entry_points.txt").write_text("[byoa.algorithms]\nmisbehaving = misbehaving:Misbehaving\n")
    names: dict = {}
    exec(MISBEHAVING, names)
    names["Misbehaving"]().fit(np.ones((3, 2), np.float32)).save(folder)
    return folder


@pytest.fixture(scope="module")
def server(tmp_path_factory, kmeans_dir):
    """k-means behind two workers, one server for all tests of a file."""
    with serving(tmp_path_factory.mktemp("server"), "kmeans", kmeans_dir, "--workers", "2") as running:
        yield running


@pytest.fixture(scope="session")
def nearest(kmeans_dir):
    """The right answer for rows, computed apart."""
    from toolkit import ndarrays

    (centroids,) = ndarrays.read(kmeans_dir / "model_algo-1")

    def labels(X):
        return ((X[:, None] - centroids) ** 2).sum(axis=2).argmin(axis=1).tolist()

    return labels
