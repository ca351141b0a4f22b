"""The contract of SageMaker algorithms, and one case that can be checked by hand."""

import numpy as np
import pytest
from toolkit.checks import CHECKS

from $module import $class_name


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_the_contract_is_kept(check):
    check($class_name)


def test_a_column_gets_mean_zero_and_deviation_one():
    X = np.array([[1, 10], [3, 30]], dtype="float32")
    assert $class_name().fit(X).predict(X)["score"].tolist() == [[-1, -1], [1, 1]]
