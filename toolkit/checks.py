"""The contract of an algorithm as checks that run on anybody's plugin, on a little data made here.

Each `check_*(algorithm, **hyperparameters)` takes a plugin's class and the hyperparameters that it requires, and
raises AlgorithmFault with a sentence about what the plugin's author can mend. With pytest:

    @pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
    def test_the_contract_is_kept(check):
        check(MyAlgorithm, k=3)
"""

from __future__ import annotations

import copy
import math
import tempfile
from collections.abc import Callable
from numbers import Real
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from toolkit import rounds
from toolkit.algorithm import Algorithm, has_rounds
from toolkit.dataset import Dataset
from toolkit.errors import AlgorithmFault, BadHyperparameter

N_FEATURES = 6
TOLERANCE = 1e-3  # of answers whose sums were added in another order, against the greatest answer
Plugin = type[Algorithm]
Columns = dict[str, np.ndarray]


def check_it_is_declared(algorithm: Plugin, **hyperparameters: Any) -> None:
    """A plugin has a name, learns by `fit` or `rounds`, predicts, and names its arrays with an underscore."""
    if not isinstance(getattr(algorithm, "name", None), str):
        raise AlgorithmFault(f"class {algorithm.__name__} must have a name; it has none")
    if algorithm.fit is Algorithm.fit and not has_rounds(algorithm):
        _fault(algorithm, "must have fit or rounds; it has neither")
    if algorithm.predict is Algorithm.predict:
        _fault(algorithm, "must have predict; it has none")
    if algorithm.save is Algorithm.save and not getattr(algorithm, "arrays", ()):
        _fault(algorithm, "must name the arrays that it learns; it names none")
    for name in getattr(algorithm, "arrays", ()):
        if not name.endswith("_"):
            _fault(algorithm, f"must name its arrays with an underscore at the end; got {name!r}")


def check_hyperparameters_are_described(algorithm: Plugin, **hyperparameters: Any) -> None:
    """Every hyperparameter says what it means, for `byoa algorithms NAME`."""
    for name, field in algorithm.Hyperparameters.model_fields.items():
        if not field.description:
            _fault(algorithm, f"must describe its hyperparameters; {name!r} has no description")


def check_hyperparameters_are_read_from_strings(algorithm: Plugin, **hyperparameters: Any) -> None:
    """SageMaker hands every hyperparameter over as a string."""
    told = algorithm(**{name: str(value) for name, value in hyperparameters.items()})
    if told.hyperparameters != algorithm(**hyperparameters).hyperparameters:
        _fault(algorithm, f"must read hyperparameters from strings; {hyperparameters} became {told.hyperparameters!r}")


def check_an_unknown_hyperparameter_is_refused(algorithm: Plugin, **hyperparameters: Any) -> None:
    """A hyperparameter that is spelled wrong is an error, not passed over."""
    try:
        algorithm(**hyperparameters, no_such_hyperparameter="1")
    except BadHyperparameter as error:
        if "no_such_hyperparameter" in str(error):
            return
    _fault(algorithm, "must refuse an unknown hyperparameter by its name; it did not")


def check_init_only_stores(algorithm: Plugin, **hyperparameters: Any) -> None:
    """`__init__` keeps the hyperparameters and does nothing else."""
    others = sorted(set(vars(algorithm(**hyperparameters))) - {"hyperparameters"})
    if others:
        _fault(algorithm, f"must store only hyperparameters in __init__; it stored {', '.join(others)}")


def check_fit_returns_itself(algorithm: Plugin, **hyperparameters: Any) -> None:
    """`fit` returns the algorithm, so that calls can be chained."""
    unfitted = algorithm(**hyperparameters)
    returned = unfitted.fit(*_rows(algorithm))
    if returned is not unfitted:
        _fault(algorithm, f"must return itself from fit; it returned {type(returned).__name__}")


def check_fit_leaves_its_input(algorithm: Plugin, **hyperparameters: Any) -> None:
    """`fit` does not write into the rows or the labels."""
    X, y = _rows(algorithm)
    before = copy.deepcopy((X, y))
    algorithm(**hyperparameters).fit(X, y)
    if not (np.array_equal(X, before[0]) and (y is None or np.array_equal(y, before[1]))):
        _fault(algorithm, "must leave the input of fit as it is; it wrote into it")


def check_learned_names_end_in_an_underscore(algorithm: Plugin, **hyperparameters: Any) -> None:
    """What `fit` sets for all to see ends in an underscore, and all of `arrays` is among it."""
    fitted = _fitted(algorithm, hyperparameters)
    for name in vars(fitted):
        if name != "hyperparameters" and not name.startswith("_") and not name.endswith("_"):
            _fault(algorithm, f"must end what it learned in an underscore; fit set {name!r}")
    missing = [name for name in getattr(algorithm, "arrays", ()) if not hasattr(fitted, name)]
    if missing:
        _fault(algorithm, f"must learn its arrays {', '.join(algorithm.arrays)}; fit did not set {', '.join(missing)}")


def check_it_knows_the_number_of_features(algorithm: Plugin, **hyperparameters: Any) -> None:
    """`n_features_in_` is the width of the rows, by which payloads are checked."""
    found = _fitted(algorithm, hyperparameters).n_features_in_
    if found != N_FEATURES:
        _fault(algorithm, f"must have n_features_in_ {N_FEATURES} after fit on {N_FEATURES} features; it has {found}")


def check_metrics_are_numbers(algorithm: Plugin, **hyperparameters: Any) -> None:
    """`metrics_` and `score` give a number by name."""
    fitted, (X, y) = _fitted(algorithm, hyperparameters), _rows(algorithm)
    for told in (fitted.metrics_, fitted.score(Dataset(X, y).batches(50))):
        if not all(isinstance(value, Real) and math.isfinite(value) for value in told.values()):
            _fault(algorithm, f"must give finite numbers by name as metrics; got {told!r}")


def check_predict_gives_columns(algorithm: Plugin, **hyperparameters: Any) -> None:
    """`predict` gives named arrays of numbers, a row each."""
    X, _ = _rows(algorithm)
    columns = _fitted(algorithm, hyperparameters).predict(X)
    if not isinstance(columns, dict) or not columns:
        _fault(algorithm, f"must predict a dict of named columns; got {type(columns).__name__}")
    for name, column in columns.items():
        if not isinstance(column, np.ndarray) or column.dtype.kind not in "fiu":
            _fault(algorithm, f"must predict arrays of numbers; column {name!r} is {_kind(column)}")
        if column.ndim not in (1, 2) or len(column) != len(X):
            _fault(algorithm, f"must predict a row for each of {len(X)}; column {name!r} has shape {column.shape}")


def check_a_lone_row_is_a_row(algorithm: Plugin, **hyperparameters: Any) -> None:
    """One row gets one answer of the same shape and type, and the same answer that it gets among others."""
    fitted, (X, _) = _fitted(algorithm, hyperparameters), _rows(algorithm)
    together, alone = fitted.predict(X), fitted.predict(X[:1])
    for name, column in together.items():
        lone = alone.get(name)
        if lone is None or lone.shape != (1, *column.shape[1:]) or lone.dtype != column.dtype:
            _fault(algorithm, f"must predict column {name!r} of one row as (1, ...); got {_kind(lone)}")
    if not _near(alone, {name: column[:1] for name, column in together.items()}, 1e-5):
        _fault(algorithm, "must give a row the same answer alone and among others; it gave another")


def check_predict_changes_nothing(algorithm: Plugin, **hyperparameters: Any) -> None:
    """`predict` leaves the rows and the model as they are, so that workers can share them."""
    fitted, (X, _) = _fitted(algorithm, hyperparameters), _rows(algorithm)
    before, kept = X.copy(), copy.deepcopy(vars(fitted))
    fitted.predict(X)
    if not np.array_equal(X, before):
        _fault(algorithm, "must leave the input of predict as it is; it wrote into it")
    changed = [name for name, value in vars(fitted).items() if name not in kept or not _equal(value, kept[name])]
    if changed:
        _fault(algorithm, f"must change nothing in predict; it changed {', '.join(changed)}")


def check_learning_is_reproducible(algorithm: Plugin, **hyperparameters: Any) -> None:
    """The same rows and hyperparameters give the same model, whatever numpy's global random numbers do."""
    X, _ = _rows(algorithm)
    one, other = (_fitted(algorithm, hyperparameters).predict(X) for _ in range(2))
    if not _near(one, other, 0):
        _fault(algorithm, "must learn the same from the same rows; a second fit answers differently")


def check_a_saved_model_answers_alike(algorithm: Plugin, **hyperparameters: Any) -> None:
    """A model that is saved and loaded, without hyperparameters, predicts the same bits."""
    fitted, (X, _) = _fitted(algorithm, hyperparameters), _rows(algorithm)
    with tempfile.TemporaryDirectory() as folder:
        fitted.save(Path(folder))
        if not any(Path(folder).iterdir()):
            _fault(algorithm, "must write a file into the model directory; save wrote none")
        loaded = algorithm.loaded(Path(folder))
    try:
        same = _near(loaded.predict(X), fitted.predict(X), 0) and loaded.n_features_in_ == fitted.n_features_in_
    except AttributeError as error:
        raise AlgorithmFault(f"algorithm {algorithm.name!r} must save all that predict needs; {error}") from error
    if not same:
        _fault(algorithm, "must predict the same after save and load; it predicts something else")


def check_a_mini_batch_changes_nothing(algorithm: Plugin, **hyperparameters: Any) -> None:
    """A round's partial is a pure function: it changes neither state nor rows, and gives the same again."""
    if not has_rounds(algorithm):
        return
    X, y = _rows(algorithm)
    round_ = next(algorithm(**hyperparameters).rounds(N_FEATURES))
    before = copy.deepcopy((round_.state, X))
    first, second = (round_.partial(round_.state, X, y, (0, 0)) for _ in range(2))
    if not all(_equal(now, then) for now, then in zip((round_.state, X), before, strict=True)):
        _fault(algorithm, "must change nothing in a round's partial; it changed its state or its rows")
    if not _equal(first, second):
        _fault(algorithm, "must give the same part for the same mini-batch; a second time it gave another")


def check_mini_batches_of_any_size_teach_alike(algorithm: Plugin, **hyperparameters: Any) -> None:
    """What is learned in rounds does not depend on how the rows were cut into mini-batches."""
    if not has_rounds(algorithm):
        return
    data = Dataset(*_rows(algorithm))
    one, other = (_taught(algorithm, hyperparameters, data, n_rows, rounds.fold) for n_rows in (len(data), 25))
    if not _near(one, other, TOLERANCE):
        _fault(algorithm, "must learn the same from mini-batches of any size; it answers differently")


def check_hosts_may_merge_first(algorithm: Plugin, **hyperparameters: Any) -> None:
    """A round's merge is associative: hosts may merge their own parts before those are merged with others'."""
    if not has_rounds(algorithm):
        return
    data = Dataset(*_rows(algorithm))
    one, other = (_taught(algorithm, hyperparameters, data, 12, fold) for fold in (rounds.fold, _fold_by_hosts))
    if not _near(one, other, TOLERANCE):
        _fault(algorithm, "must learn the same on two hosts as on one; it answers differently")


CHECKS: tuple[Callable[..., None], ...] = (
    check_it_is_declared,
    check_hyperparameters_are_described,
    check_hyperparameters_are_read_from_strings,
    check_an_unknown_hyperparameter_is_refused,
    check_init_only_stores,
    check_fit_returns_itself,
    check_fit_leaves_its_input,
    check_learned_names_end_in_an_underscore,
    check_it_knows_the_number_of_features,
    check_metrics_are_numbers,
    check_predict_gives_columns,
    check_a_lone_row_is_a_row,
    check_predict_changes_nothing,
    check_learning_is_reproducible,
    check_a_saved_model_answers_alike,
    check_a_mini_batch_changes_nothing,
    check_mini_batches_of_any_size_teach_alike,
    check_hosts_may_merge_first,
)


def _fault(algorithm: Plugin, sentence: str) -> NoReturn:
    raise AlgorithmFault(f"algorithm {algorithm.name!r} {sentence}")


def _rows(algorithm: Plugin) -> tuple[np.ndarray, np.ndarray | None]:
    """Three groups of different size and far apart, in mixed order; the label is the group."""
    random = np.random.default_rng(7)
    y = random.permutation(np.repeat([0, 1, 2], [45, 40, 35]))
    centres = np.array([[0] * N_FEATURES, [9, -7, 5, 3, -1, 0], [-8, 6, 4, -2, 7, 3]])
    X = centres[y] + random.standard_normal((len(y), N_FEATURES)) * np.linspace(0.4, 1, N_FEATURES)
    return X.astype(np.float32), y.astype(np.float32) if algorithm.learns_from_labels else None


def _fitted(algorithm: Plugin, hyperparameters: dict[str, Any]) -> Algorithm:
    unfitted = algorithm(**hyperparameters)
    unfitted.fit(*_rows(algorithm))
    return unfitted  # and fitted now, whatever fit returned


def _taught(algorithm: Plugin, hyperparameters: dict[str, Any], data: Dataset, n_rows: int, fold: Callable) -> Columns:
    """The answers after learning in rounds from mini-batches of so many rows, each round folded by `fold`."""
    learner, totals = algorithm(**hyperparameters), None
    plan = learner.rounds(data.n_features)
    while True:
        try:
            totals = fold(plan.send(totals), rounds.in_memory(data, n_rows))
        except StopIteration:
            return learner.predict(data.X)


def _fold_by_hosts(round_: rounds.Round, batches: list) -> rounds.Totals:
    """The totals of a round when each of two hosts merges its own mini-batches first."""
    half = len(batches) // 2
    return round_.merge(rounds.fold(round_, batches[:half]), rounds.fold(round_, batches[half:]))


def _near(one: Columns, other: Columns, tolerance: float) -> bool:
    """Whether two answers agree, within a share of the greatest number in each column."""
    return one.keys() == other.keys() and all(_column_near(one[name], other[name], tolerance) for name in one)


def _column_near(one: np.ndarray, other: np.ndarray, tolerance: float) -> bool:
    if one.shape != other.shape or not tolerance:
        return np.array_equal(one, other, equal_nan=True)
    return np.allclose(one, other, rtol=0, atol=tolerance * np.abs(other).max(initial=0), equal_nan=True)


def _equal(one: Any, other: Any) -> bool:
    """Whether two values are the same, arrays by their elements, also inside tuples, lists and dicts."""
    if type(one) is not type(other):
        return False
    if isinstance(one, np.ndarray):
        return np.array_equal(one, other, equal_nan=one.dtype.kind == "f")
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(_equal(one[key], other[key]) for key in one)
    if isinstance(one, tuple | list):
        return len(one) == len(other) and all(map(_equal, one, other))
    return one == other or type(one).__eq__ is object.__eq__


def _kind(column: Any) -> str:
    return f"{column.dtype.name} {column.shape}" if isinstance(column, np.ndarray) else type(column).__name__
