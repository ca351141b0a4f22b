"""Strings as SageMaker's clients send them -> the values that a plugin declared, or one clear sentence."""

from typing import Annotated, Literal

import pytest
from pydantic import Field

from toolkit.errors import BadHyperparameter
from toolkit.hyperparameters import Hyperparameters, describe, parse


class Declared(Hyperparameters):
    k: int = Field(ge=1)
    tol: float = Field(0.1, ge=0, le=1)
    center: bool = True
    mode: Literal["regular", "randomized"] = "regular"
    metrics: list[Literal["msd", "ssd"]] = ["msd"]
    factor: Annotated[int, Field(ge=1)] | Literal["auto"] = "auto"
    feature_dim: int | None = Field(None, ge=1)


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("k", "5", 5),
        ("k", " 5 ", 5),
        ("k", "5.0", 5),
        ("k", '"5"', 5),
        ("k", '"\\"5\\""', 5),
        ("k", 5, 5),
        ("k", "9007199254740993", 2**53 + 1),
        ("tol", "1e-4", 1e-4),
        ("center", "True", True),
        ("center", "TRUE", True),
        ("center", "false", False),
        ("center", '"false"', False),
        ("mode", "randomized", "randomized"),
        ("metrics", '["msd", "ssd"]', ["msd", "ssd"]),
        ("metrics", "['msd', 'ssd']", ["msd", "ssd"]),
        ("metrics", '"[\\"ssd\\"]"', ["ssd"]),
        ("metrics", "('ssd',)", ["ssd"]),
        ("factor", "auto", "auto"),
        ("factor", "3", 3),
        ("feature_dim", "784", 784),
    ],
)
def test_every_spelling_of_a_value_is_read(name, text, value):
    assert getattr(parse(Declared, {"k": "1", name: text}), name) == value


@pytest.mark.parametrize("text", ["[true, false]", "[True, False]", "(True, False)"])
def test_a_list_is_spelled_as_json_or_as_python(text):
    class Flags(Hyperparameters):
        flags: list[bool]

    assert parse(Flags, {"flags": text}).flags == [True, False]


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"k": "ten"}, "hyperparameter 'k' must be an integer of at least 1; got 'ten'"),
        ({"k": "0"}, "hyperparameter 'k' must be an integer of at least 1; got '0'"),
        ({"k": "2.5"}, "hyperparameter 'k' must be an integer of at least 1; got '2.5'"),
        ({"k": ""}, "hyperparameter 'k' must be an integer of at least 1; got ''"),
        ({}, "hyperparameter 'k' is required; it must be an integer of at least 1"),
        ({"k": "1", "tol": "2"}, "hyperparameter 'tol' must be a number of at least 0 and of at most 1; got '2'"),
        ({"k": "1", "tol": "nan"}, "hyperparameter 'tol' must be a number of at least 0 and of at most 1; got 'nan'"),
        ({"k": "1", "metrics": "(5)"}, "hyperparameter 'metrics' must be a list, each one of 'msd', 'ssd'; got '(5)'"),
        (
            {"k": "1", "metrics": "({'msd': 1})"},
            "hyperparameter 'metrics' must be a list, each one of 'msd', 'ssd'; got \"({'msd': 1})\"",
        ),
        ({"k": "1", "center": "yes!"}, "hyperparameter 'center' must be true or false; got 'yes!'"),
        ({"k": "1", "mode": "fast"}, "hyperparameter 'mode' must be one of 'regular', 'randomized'; got 'fast'"),
        (
            {"k": "1", "metrics": "['x']"},
            "hyperparameter 'metrics' must be a list, each one of 'msd', 'ssd'; got \"['x']\"",
        ),
        ({"k": "1", "factor": "0"}, "hyperparameter 'factor' must be an integer of at least 1 or 'auto'; got '0'"),
        ({"k": "1", "centre": "true"}, "unknown hyperparameter 'centre'; did you mean 'center'?"),
        (
            {"k": "1", "zzz": "1"},
            "unknown hyperparameter 'zzz'; the known ones are center, factor, feature_dim, k, metrics, mode, tol",
        ),
        (
            {"k": "x", "tol": "y"},
            "hyperparameter 'k' must be an integer of at least 1; got 'x'; "
            "hyperparameter 'tol' must be a number of at least 0 and of at most 1; got 'y'",
        ),
    ],
)
def test_what_cannot_be_is_told_in_one_sentence(given, sentence):
    with pytest.raises(BadHyperparameter) as caught:
        parse(Declared, given)
    assert str(caught.value) == sentence


def test_names_of_the_platform_are_passed_over():
    given = {
        "k": "2",
        "_kvstore": "dist",
        "_tuning_objective_metric": "test:msd",
        "sagemaker_program": "x",
        "force_dense": "True",
    }
    assert parse(Declared, given, ignored=frozenset({"force_dense"})).k == 2


def test_a_list_is_read_and_never_run():
    with pytest.raises(BadHyperparameter):
        parse(Declared, {"k": "1", "metrics": "[__import__('os').getpid()]"})


def test_a_field_is_described_in_words():
    words = {name: describe(field) for name, field in Declared.model_fields.items()}
    assert words["feature_dim"] == "an integer of at least 1"
    assert words["factor"] == "an integer of at least 1 or 'auto'"
