"""Data that several algorithms are tried on: scikit-learn's digits, and film ratings where they are at hand."""

import csv
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_digits
from threadpoolctl import threadpool_limits

RATINGS = Path(__file__).parents[3] / "shared" / "data" / "movielens-latest-small" / "ratings.csv"


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    """Matrix products in one thread: on a busy machine more of them wait for each other."""
    with threadpool_limits(1):
        yield


@pytest.fixture(scope="session")
def digits():
    """1,797 images of 8 x 8 pixels, 0 to 1."""
    return (load_digits().data / 16).astype(np.float32)


@pytest.fixture(scope="session")
def films(digits):
    """Films by users, 1 where a user who rated 35 or more gave the film 4 stars or more; digits where there are none.

    Only films that 20 or more rated.
    """
    if not RATINGS.exists():
        return digits
    with RATINGS.open() as file:
        rows = [(row["userId"], row["movieId"], float(row["rating"])) for row in csv.DictReader(file)]
    by_user, by_film = Counter(user for user, *_ in rows), Counter(film for _, film, _ in rows)
    rows = [row for row in rows if by_user[row[0]] >= 35 and by_film[row[1]] >= 20]
    user_of = {user: i for i, user in enumerate(sorted({user for user, *_ in rows}))}
    film_of = {film: i for i, film in enumerate(sorted({film for _, film, _ in rows}))}
    X = np.zeros((len(film_of), len(user_of)), np.float32)
    for user, film, stars in rows:
        X[film_of[film], user_of[user]] = stars >= 4
    return X
