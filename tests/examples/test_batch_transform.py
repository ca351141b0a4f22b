import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

EXAMPLE = Path(__file__).parents[2] / "examples" / "batch_transform.py"
MOVIELENS = Path(__file__).parents[3] / "shared" / "data" / "movielens-latest-small"


def run(output, *options):
    command = [sys.executable, EXAMPLE, "--output", output, *options]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout


def clusters(folder):
    lines = (folder / "clusters" / "test.csv.out.out").read_text().splitlines()
    return [int(cluster) for line in lines for cluster in json.loads(line)[0].split(",")]


def projections(path):
    answers = [json.loads(line) for line in path.read_text().splitlines()]
    return np.array([row["projection"] for answer in answers for row in answer["projections"]], np.float32)


def expected(train, test, eps):
    """The cluster of the nearest core row within eps, by scikit-learn's clusters of the training rows; 0 is none."""
    from sklearn.cluster import DBSCAN

    fitted = DBSCAN(eps=eps, min_samples=5).fit(train)
    distances = np.linalg.norm(test[:, None].astype(float) - fitted.components_[None], axis=2)
    labels = fitted.labels_[fitted.core_sample_indices_][distances.argmin(axis=1)]
    return np.where(distances.min(axis=1) <= eps, labels + 1, 0).tolist()


def same_up_to_names(found, wanted):
    """Whether two lists of clusters differ by the clusters' numbers at most, 0 being none in both."""
    pairs = set(zip(found, wanted, strict=True)) | {(0, 0)}
    return len(pairs) == len({a for a, _ in pairs}) == len({b for _, b in pairs})


def test_films_of_one_taste_share_a_cluster_and_no_other_taste_is_in_it(tmp_path):
    told = run(tmp_path, "--data", tmp_path / "none", "--eps", "2.5")
    assert told.startswith("no MovieLens in ../shared/data: ratings are invented\n120 films x 60 users, ")
    train, test = (projections(tmp_path / "projections" / name / f"{name}.csv.out") for name in ("train", "test"))
    assert (len(train), len(test)) == (108, 12)
    assert same_up_to_names(clusters(tmp_path), expected(train, test, 2.5))
    kinds = [
        {line.split()[1] for line in part.splitlines()[1:]} for part in told.split("cluster ")[1:] if part[0].isdigit()
    ]
    assert sorted(map(list, kinds)) == [["comedy,"], ["thriller,"], ["western,"]]


@pytest.mark.skipif(not MOVIELENS.exists(), reason="MovieLens is not in ../shared/data")
def test_films_of_movielens_get_the_cluster_of_their_nearest_core_film(tmp_path):
    told = run(tmp_path, "--data", MOVIELENS, "--components", "3", "--eps", "0.19")
    assert told.startswith("1297 films x 465 users, ")
    train, test = (projections(tmp_path / "projections" / name / f"{name}.csv.out") for name in ("train", "test"))
    assert (train.shape, test.shape) == ((1168, 3), (129, 3))
    assert same_up_to_names(clusters(tmp_path), expected(train, test, 0.19))
    assert "cluster 1: " in told


def test_a_command_that_fails_ends_the_example_with_its_sentence(tmp_path):
    command = [sys.executable, EXAMPLE, "--output", tmp_path, "--data", tmp_path / "none", "--eps", "-1"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 1
    assert done.stderr.startswith("byoa: hyperparameter 'eps' must be a number above 0")
