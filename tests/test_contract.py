"""The contract: every check crossed with every installed plugin."""

import pytest

from toolkit import algorithm
from toolkit.checks import CHECKS

REQUIRED = {"kmeans": {"k": 3}, "pca": {"num_components": 2}, "dbscan": {"minPts": 4}}
CASES = [
    pytest.param(check, point.name, id=f"{point.name}:{check.__name__}")
    for point in algorithm.installed()
    for check in CHECKS
]


@pytest.mark.parametrize(("check", "name"), CASES)
def test_the_contract_is_kept(check, name):
    check(algorithm.find(name), **REQUIRED.get(name, {}))
