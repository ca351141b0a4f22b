"""The data of the training benchmarks, as files that every measured process loads for itself: data.py FOLDER."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

MNIST = Path(__file__).parents[2] / ".." / "shared" / "data" / "mnist" / "mnist.npz"


def images() -> np.ndarray:
    """MNIST's 60,000 training images, pixel / 256; or scikit-learn's digits, repeated and enlarged, without it."""
    if MNIST.exists():
        return np.load(MNIST)["x_train"].reshape(-1, 784).astype(np.float32) / 256
    from sklearn.datasets import load_digits

    large = load_digits().images.repeat(4, axis=1).repeat(4, axis=2)[:, 2:30, 2:30].reshape(-1, 784) / 17
    return np.tile(large, (34, 1))[:60_000].astype(np.float32)


def ratings() -> np.ndarray:
    """5,000 x 2,348 of 0 and 1, a tenth of them 1: invented users with 40 tastes, of films more or less known."""
    random = np.random.default_rng(0)
    tastes = random.standard_normal((5000, 40)) * np.linspace(1.5, 0.3, 40)
    appeal = tastes @ random.standard_normal((40, 2348)) / 2.5 + random.standard_normal(2348) * 1.2 - 4.2
    return (random.random(appeal.shape) < 1 / (1 + np.exp(-appeal))).astype(np.float32)


def projections(images: np.ndarray) -> np.ndarray:
    """The first 20,000 images on their 100 best components."""
    from algorithms.pca import PCA

    return PCA(num_components=100).fit(images[:20_000]).predict(images[:20_000])["projection"]


def main(folder: Path) -> None:
    """Makes every file that a contender reads."""
    rows = images()
    np.save(folder / "images_60k.npy", rows)
    np.save(folder / "images_50k.npy", rows[:50_000])
    np.save(folder / "images_5k.npy", rows[:5_000])
    np.save(folder / "ratings.npy", ratings())
    np.save(folder / "projections.npy", projections(rows))
    np.savetxt(folder / "images_5k.csv", rows[:5_000], fmt="%g", delimiter=",")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
