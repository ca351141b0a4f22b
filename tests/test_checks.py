"""Each check finds the plugin that breaks what it holds, and says so in a sentence."""

import numpy as np
import pytest
from pydantic import Field

from toolkit.algorithm import Algorithm
from toolkit.checks import CHECKS
from toolkit.errors import AlgorithmFault
from toolkit.hyperparameters import Hyperparameters
from toolkit.rounds import Round


class Means(Algorithm):
    """A plugin that keeps the contract: it learns the mean of each column."""

    class Hyperparameters(Hyperparameters):
        scale: float = Field(1.0, description="what answers are multiplied by")

    name = "means"
    arrays = ("mean_",)

    def rounds(self, n_features):
        totals = yield Round(sums)
        self.mean_ = totals["sum"] / totals["rows"] * self.hyperparameters.scale

    def predict(self, X):
        return {"score": X - self.mean_}


def sums(state, X, y, key):
    return {"sum": X.sum(axis=0, dtype=np.float64), "rows": np.array([float(len(X))])}


def plan(partial, state=None, **merge):
    """A `rounds` that learns the totals of one round."""

    def rounds(self, n_features):
        totals = yield Round(partial, state, **merge)
        self.mean_ = totals["sum"] / totals["rows"]

    return rounds


def in_memory(learn):
    """A `fit` that learns by a function of itself and the rows."""

    def fit(self, X, y=None):
        self.mean_ = X.mean(axis=0)
        learn(self, X)
        return self

    return fit


def writes_into_its_rows(state, X, y, key):
    part = sums(state, X, y, key)
    X += 1
    return part


def calls_itself_random(state, X, y, key):
    return {"sum": np.random.default_rng().random(X.shape[1]), "rows": np.ones(1)}


def counts_mini_batches(state, X, y, key):
    return {"sum": X[0].astype(float), "rows": np.ones(1)}


def keeps_the_last(totals, part):
    return {"sum": part["sum"] + 0.5 * totals["sum"], "rows": part["rows"]}


def forgets_its_scale(self, X):
    return {"score": (X - self.mean_) * self.hyperparameters.scale}


def remembers(self, X):
    self.seen_ = len(X)
    return {"score": X - self.mean_}


def centres_in_place(self, X):
    X -= self.mean_
    return {"score": X}


class Undescribed(Hyperparameters):
    scale: float = 1.0


def planted(**body):
    return type("Planted", (Means,), {"name": "planted", **body})


def quietly(self, **hyperparameters):
    Algorithm.__init__(self, scale=1.0)


def eagerly(self, **hyperparameters):
    Algorithm.__init__(self, **hyperparameters)
    self.buffer = np.zeros(3)


FAULTS = [
    (
        "check_it_is_declared",
        type("Nameless", (Algorithm,), {}),
        "class Nameless must have a name; it has none",
    ),
    (
        "check_it_is_declared",
        type("Idle", (Algorithm,), {"name": "idle"}),
        "algorithm 'idle' must have fit or rounds; it has neither",
    ),
    (
        "check_it_is_declared",
        type("Mute", (Algorithm,), {"name": "mute", "fit": Means.fit, "rounds": Means.rounds}),
        "algorithm 'mute' must have predict; it has none",
    ),
    (
        "check_it_is_declared",
        planted(arrays=()),
        "algorithm 'planted' must name the arrays that it learns; it names none",
    ),
    (
        "check_it_is_declared",
        planted(arrays=("mean",)),
        "algorithm 'planted' must name its arrays with an underscore at the end; got 'mean'",
    ),
    (
        "check_hyperparameters_are_described",
        planted(Hyperparameters=Undescribed),
        "algorithm 'planted' must describe its hyperparameters; 'scale' has no description",
    ),
    (
        "check_hyperparameters_are_read_from_strings",
        planted(__init__=lambda self, **given: setattr(self, "hyperparameters", given)),
        "algorithm 'planted' must read hyperparameters from strings; {'scale': 2.0} became {'scale': '2.0'}",
    ),
    (
        "check_an_unknown_hyperparameter_is_refused",
        planted(__init__=quietly),
        "algorithm 'planted' must refuse an unknown hyperparameter by its name; it did not",
    ),
    (
        "check_init_only_stores",
        planted(__init__=eagerly),
        "algorithm 'planted' must store only hyperparameters in __init__; it stored buffer",
    ),
    (
        "check_fit_returns_itself",
        planted(fit=lambda self, X, y=None: None),
        "algorithm 'planted' must return itself from fit; it returned NoneType",
    ),
    (
        "check_fit_leaves_its_input",
        planted(fit=in_memory(lambda self, X: X.sort(axis=0))),
        "algorithm 'planted' must leave the input of fit as it is; it wrote into it",
    ),
    (
        "check_learned_names_end_in_an_underscore",
        planted(fit=in_memory(lambda self, X: setattr(self, "rows", len(X)))),
        "algorithm 'planted' must end what it learned in an underscore; fit set 'rows'",
    ),
    (
        "check_learned_names_end_in_an_underscore",
        planted(arrays=("mean_", "scale_")),
        "algorithm 'planted' must learn its arrays mean_, scale_; fit did not set scale_",
    ),
    (
        "check_it_knows_the_number_of_features",
        planted(n_features_in_=7),
        "algorithm 'planted' must have n_features_in_ 6 after fit on 6 features; it has 7",
    ),
    (
        "check_metrics_are_numbers",
        planted(metrics_={"loss": "low"}),
        "algorithm 'planted' must give finite numbers by name as metrics; got {'loss': 'low'}",
    ),
    (
        "check_metrics_are_numbers",
        planted(score=lambda self, batches: {"rows": [len(batch) for batch in batches]}),
        "algorithm 'planted' must give finite numbers by name as metrics; got {'rows': [50, 50, 20]}",
    ),
    (
        "check_predict_gives_columns",
        planted(predict=lambda self, X: X),
        "algorithm 'planted' must predict a dict of named columns; got ndarray",
    ),
    (
        "check_predict_gives_columns",
        planted(predict=lambda self, X: {"score": X[:, 0].tolist()}),
        "algorithm 'planted' must predict arrays of numbers; column 'score' is list",
    ),
    (
        "check_predict_gives_columns",
        planted(predict=lambda self, X: {"score": X[:, 0].astype(str)}),
        "algorithm 'planted' must predict arrays of numbers; column 'score' is str1024 (120,)",
    ),
    (
        "check_predict_gives_columns",
        planted(predict=lambda self, X: {"score": X.sum(axis=0)}),
        "algorithm 'planted' must predict a row for each of 120; column 'score' has shape (6,)",
    ),
    (
        "check_a_lone_row_is_a_row",
        planted(predict=lambda self, X: {"score": (X - self.mean_).squeeze()}),
        "algorithm 'planted' must predict column 'score' of one row as (1, ...); got float64 (6,)",
    ),
    (
        "check_a_lone_row_is_a_row",
        planted(predict=lambda self, X: {"score": X - X.mean(axis=0)}),
        "algorithm 'planted' must give a row the same answer alone and among others; it gave another",
    ),
    (
        "check_predict_changes_nothing",
        planted(predict=centres_in_place, fit=in_memory(lambda self, X: None)),
        "algorithm 'planted' must leave the input of predict as it is; it wrote into it",
    ),
    (
        "check_predict_changes_nothing",
        planted(predict=remembers),
        "algorithm 'planted' must change nothing in predict; it changed seen_",
    ),
    (
        "check_learning_is_reproducible",
        planted(fit=in_memory(lambda self, X: setattr(self, "mean_", np.random.default_rng().random(6)))),
        "algorithm 'planted' must learn the same from the same rows; a second fit answers differently",
    ),
    (
        "check_a_saved_model_answers_alike",
        planted(save=lambda self, model_dir: None),
        "algorithm 'planted' must write a file into the model directory; save wrote none",
    ),
    (
        "check_a_saved_model_answers_alike",
        planted(predict=forgets_its_scale),
        "algorithm 'planted' must save all that predict needs; 'Planted' object has no attribute 'hyperparameters'",
    ),
    (
        "check_a_saved_model_answers_alike",
        planted(load=lambda self, model_dir: setattr(self, "mean_", np.zeros(6))),
        "algorithm 'planted' must predict the same after save and load; it predicts something else",
    ),
    (
        "check_a_mini_batch_changes_nothing",
        planted(rounds=plan(writes_into_its_rows)),
        "algorithm 'planted' must change nothing in a round's partial; it changed its state or its rows",
    ),
    (
        "check_a_mini_batch_changes_nothing",
        planted(rounds=plan(calls_itself_random)),
        "algorithm 'planted' must give the same part for the same mini-batch; a second time it gave another",
    ),
    (
        "check_mini_batches_of_any_size_teach_alike",
        planted(rounds=plan(counts_mini_batches)),
        "algorithm 'planted' must learn the same from mini-batches of any size; it answers differently",
    ),
    (
        "check_hosts_may_merge_first",
        planted(rounds=plan(sums, merge=keeps_the_last)),
        "algorithm 'planted' must learn the same on two hosts as on one; it answers differently",
    ),
]
BY_NAME = {check.__name__: check for check in CHECKS}


@pytest.mark.parametrize(
    ("name", "broken", "sentence"), FAULTS, ids=[f"{name}-{i}" for i, (name, *_) in enumerate(FAULTS)]
)
def test_a_check_finds_the_plugin_that_breaks_it(name, broken, sentence):
    with pytest.raises(AlgorithmFault) as fault:
        BY_NAME[name](broken, scale=2.0)
    assert str(fault.value) == sentence


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_a_sound_plugin_passes(check):
    check(Means, scale=2.0)


def test_every_check_is_listed_and_has_a_plugin_that_it_finds():
    from toolkit import checks

    assert set(BY_NAME) == {name for name in vars(checks) if name.startswith("check_")} - {"check_feature_dim"}
    assert set(BY_NAME) == {name for name, *_ in FAULTS}
