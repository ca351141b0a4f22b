"""Films in clusters, by two batch transform jobs one after the other, without an account.

Who liked which film is a wide matrix of zeros and ones. PCA learns to say each film in a hundred numbers; a batch
transform job says them for the films that it learned from, and another for one film in ten that it has never seen.
DBSCAN learns from the first job's output folder as it is; a last job asks it about the second one's.

    .venv/bin/python examples/batch_transform.py                   MovieLens in ../shared/data, or invented ratings
    .venv/bin/python examples/batch_transform.py --data FOLDER     MovieLens elsewhere: ratings.csv and movies.csv
"""

from __future__ import annotations

import argparse
import csv
import json
import shlex
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np

BYOA = Path(sys.executable).with_name("byoa")
MOVIELENS = Path(__file__).parents[1] / ".." / "shared" / "data" / "movielens-latest-small"
SHOWN = 5  # titles of each cluster
BUSY_USER, POPULAR_FILM, LIKED = 35, 20, 4  # ratings given, ratings received, stars
LINES = ["--content-type", "text/csv", "--split-type", "Line", "--assemble-with", "Line"]

Rating = tuple[str, str, float]  # user, film, stars


def main() -> None:
    """Runs the whole example and prints the films of each cluster."""
    options = parse_options()
    ratings, titles = movielens(options.data) if options.data.exists() else invented()
    likes, films = liked(popular(ratings))
    print(f"{len(likes)} films x {likes.shape[1]} users, {likes.mean():.1%} of the pairs are likes\n")

    is_test = np.zeros(len(films), bool)
    is_test[np.random.default_rng(options.seed).permutation(len(films))[: len(films) // 10]] = True
    folder = options.output
    folder.mkdir(parents=True, exist_ok=True)
    np.savetxt(folder / "train.csv", likes[~is_test], delimiter=",", fmt="%i")
    np.savetxt(folder / "test.csv", likes[is_test], delimiter=",", fmt="%i")

    components = min(options.components, min(likes[~is_test].shape) - 1)
    pca = {"num_components": components, "subtract_mean": True, "algorithm_mode": "randomized", "mini_batch_size": 500}
    train("pca", folder / "train.csv", folder / "pca", feature_dim=likes.shape[1], **pca)
    transform("pca", folder, "train.csv", folder / "projections" / "train", "MultiRecord")
    transform("pca", folder, "test.csv", folder / "projections" / "test", "MultiRecord")

    # Each line of PCA's output is the answer to a whole mini-batch, so one line is one request to DBSCAN. Its body is
    # JSON and is sent as text/csv, as the published notebook does.
    reach = {"eps": options.eps} if options.eps else {}
    train("dbscan", folder / "projections" / "train", folder / "dbscan", minPts=5, **reach)
    transform("dbscan", folder, "projections/test", folder / "clusters", "SingleRecord")

    clusters: list[str] = []
    with (folder / "clusters" / "test.csv.out.out").open() as lines:
        for line in lines:
            clusters += json.loads(line)[0].split(",")
    describe(clusters, [titles[film] for film, held_out in zip(films, is_test, strict=True) if held_out])


def parse_options() -> argparse.Namespace:
    """The options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, default=MOVIELENS, help="folder with ratings.csv and movies.csv")
    parser.add_argument("--output", type=Path, default=Path("films-output"), help="folder for models and clusters")
    parser.add_argument("--components", type=int, default=100, help="numbers that PCA leaves of each film")
    parser.add_argument("--eps", type=float, help="how far a cluster's films are apart; else DBSCAN's own choice")
    parser.add_argument("--seed", type=int, default=0, help="chooses the films that PCA does not see")
    return parser.parse_args()


def movielens(folder: Path) -> tuple[list[Rating], dict[str, str]]:
    """All ratings, and the title of each film."""
    with (folder / "ratings.csv").open(newline="") as file:
        ratings = [(row["userId"], row["movieId"], float(row["rating"])) for row in csv.DictReader(file)]
    with (folder / "movies.csv").open(newline="", encoding="utf-8") as file:
        titles = {row["movieId"]: row["title"] for row in csv.DictReader(file)}
    return ratings, titles


def invented() -> tuple[list[Rating], dict[str, str]]:
    """Ratings by sixty people of three tastes for forty films to each taste."""
    print("no MovieLens in ../shared/data: ratings are invented")
    random = np.random.default_rng(0)
    kinds = ["comedy", "western", "thriller"]
    titles = {str(film): f"A {kinds[film % 3]}, number {film // 3 + 1}" for film in range(120)}
    pairs = [(user, film) for user in range(60) for film in range(120)]
    stars = [4.5 if (film % 3 == user % 3) != (random.random() < 0.02) else 2.0 for user, film in pairs]
    return [(str(user), str(film), given) for (user, film), given in zip(pairs, stars, strict=True)], titles


def popular(ratings: list[Rating]) -> list[Rating]:
    """The ratings by people who gave many, of films that received many; both are counted in all the ratings."""
    given = Counter(user for user, _, _ in ratings)
    received = Counter(film for _, film, _ in ratings)
    return [row for row in ratings if given[row[0]] >= BUSY_USER and received[row[1]] >= POPULAR_FILM]


def liked(ratings: list[Rating]) -> tuple[np.ndarray, list[str]]:
    """A row for each film with a 1 for each user who liked it, (n_films, n_users), and the films in that order."""
    films = {film: place for place, film in enumerate(sorted({film for _, film, _ in ratings}, key=int))}
    users = {user: place for place, user in enumerate(sorted({user for user, _, _ in ratings}, key=int))}
    likes = np.zeros((len(films), len(users)), np.uint8)
    for user, film, stars in ratings:
        likes[films[film], users[user]] = stars >= LIKED
    return likes, list(films)


def train(algorithm: str, data: Path, output: Path, **hyperparameters) -> None:
    """A training job."""
    named = [word for name, value in hyperparameters.items() for word in ("-p", f"{name}={value}")]
    content_type = ["--content-type", "text/csv;label_size=0"] if data.suffix == ".csv" else []
    run("train", algorithm, "--train", data, *content_type, *named, "--output", output)


def transform(algorithm: str, folder: Path, name: str, output: Path, strategy: str) -> None:
    """A batch transform job."""
    model = folder / algorithm / "model.tar.gz"
    run("transform", model, folder / name, output, "--algorithm", algorithm, *LINES, "--strategy", strategy)


def run(*words) -> None:
    """Runs a byoa command, which one could type as it is printed."""
    command = [str(word) for word in words]
    print(f"$ byoa {shlex.join(command)}", flush=True)
    done = subprocess.run([BYOA, *command], capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stderr.strip())
    print(f"  {done.stdout.splitlines()[-1]}\n", flush=True)


def describe(clusters: list[str], titles: list[str]) -> None:
    """Prints a few titles of each cluster; 0 is what lies in none."""
    members: dict[int, list[str]] = {}
    for cluster, title in zip(clusters, titles, strict=True):
        members.setdefault(int(cluster), []).append(title)
    for cluster in sorted(members):
        print(f"{f'cluster {cluster}' if cluster else 'in no cluster'}: {len(members[cluster])} films")
        for title in members[cluster][:SHOWN]:
            print(f"  {title}")


if __name__ == "__main__":
    main()
