"""The examples in the docstrings of the algorithms."""

import doctest
import importlib

import pytest


@pytest.mark.parametrize("name", ["pca", "kmeans", "dbscan"])
def test_the_example_gives_what_it_shows(name):
    failed, attempted = doctest.testmod(importlib.import_module(f"algorithms.{name}"))
    assert attempted >= 3
    assert failed == 0
