"""A model trained elsewhere and brought along: seed 003, with scikit-learn, the real MXNet, tar and `serve`."""

import subprocess
from pathlib import Path

import numpy as np
import pytest
from running import serving

from toolkit import archive

ROOT = Path(__file__).parents[2]
MNIST = ROOT / ".." / "shared" / "data" / "mnist" / "mnist.npz"
PYTHON = ROOT / ".envs" / "mxnet" / "bin" / "python"
SAVE = "import mxnet, numpy; mxnet.nd.save('model_algo-1', [mxnet.nd.array(numpy.load('centroids.npy'))])"


def digits() -> np.ndarray:
    """MNIST's first 50,000 images as the seed scales them, or scikit-learn's bundled ones; float32."""
    if MNIST.exists():
        with np.load(MNIST) as arrays:
            return arrays["x_train"][:50_000].reshape(-1, 784) / np.float32(256)
    from sklearn.datasets import load_digits

    return (load_digits().data / 16).astype("float32")


@pytest.mark.environments
@pytest.mark.skipif(not PYTHON.exists(), reason="no .envs/mxnet; scripts/environment mxnet makes it")
def test_a_hundred_rows_get_the_labels_that_scikit_learn_gave_them(tmp_path):
    from sklearn.cluster import KMeans

    images = digits()
    fitted = KMeans(10, n_init=1, random_state=0).fit(images)
    np.save(tmp_path / "centroids.npy", fitted.cluster_centers_)
    subprocess.run([PYTHON, "-c", SAVE], cwd=tmp_path, check=True)
    subprocess.run(["tar", "czf", "model.tar.gz", "model_algo-1"], cwd=tmp_path, check=True)
    rows = [",".join(f"{value:g}" for value in row) for row in images[:100].tolist()]
    with (
        archive.unpacked(tmp_path / "model.tar.gz") as model_dir,
        serving(tmp_path, "kmeans", model_dir, "--workers", "1") as server,
    ):
        answer = server.post("\n".join(rows)).json
    assert [row["closest_cluster"] for row in answer["predictions"]] == fitted.labels_[:100].tolist()
