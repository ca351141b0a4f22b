"""A plan of rounds folded in this process."""

import numpy as np
import pytest

from toolkit.dataset import Dataset
from toolkit.errors import AlgorithmFault
from toolkit.rounds import Round, fold, in_memory, run


def count(state, X, y, key):
    return {"n": np.array(len(X)), "sum": X.sum(axis=0, dtype=np.float64)}


def test_a_round_adds_up_the_parts_of_all_mini_batches():
    data = Dataset(np.arange(10, dtype="float32").reshape(5, 2))
    totals = fold(Round(count), in_memory(data, 2))
    assert totals["n"] == 5
    assert totals["sum"].tolist() == [20, 25]


def test_a_plan_gets_the_totals_of_each_round_and_passes_over_all_data_every_time():
    seen = []

    def plan():
        first = yield Round(count)
        seen.append(float(first["sum"][0]))
        second = yield Round(lambda state, X, y, key: {"n": np.array(state * len(X))}, state=10)
        seen.append(int(second["n"]))

    run(plan(), in_memory(Dataset(np.ones((7, 1), dtype="float32")), 3))
    assert seen == [7.0, 70]


def test_a_round_may_merge_in_its_own_way_in_the_order_of_the_keys():
    parts = fold(
        Round(
            lambda state, X, y, key: {"keys": np.array([key])},
            merge=lambda a, b: {"keys": np.vstack([a["keys"], b["keys"]])},
        ),
        in_memory(Dataset(np.ones((5, 1), dtype="float32")), 2),
    )
    assert parts["keys"].tolist() == [[0, 0], [0, 1], [0, 2]]


def test_merging_leaves_the_parts_of_a_mini_batch_alone():
    kept = []

    def partial(state, X, y, key):
        kept.append(np.ones(1))
        return {"a": kept[-1]}

    fold(Round(partial), in_memory(Dataset(np.ones((3, 1), dtype="float32")), 1))
    assert [part.tolist() for part in kept] == [[1.0]] * 3


def test_a_plan_that_is_ended_early_may_keep_what_it_has():
    kept = []

    def plan():
        try:
            yield Round(count)
        finally:
            kept.append("so far")

    def batches():
        yield from in_memory(Dataset(np.ones((2, 1), dtype="float32")), 1)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(plan(), batches())
    assert kept == ["so far"]


@pytest.mark.parametrize(
    ("plan", "sentence"),
    [
        (None, "rounds must be a generator of Round; it gave NoneType"),
        ((part for part in [count]), "rounds must yield Round(partial, state); it yielded function"),
    ],
)
def test_what_is_no_plan_is_told(plan, sentence):
    with pytest.raises(AlgorithmFault) as caught:
        run(plan, in_memory(Dataset(np.ones((2, 1), dtype="float32")), 1))
    assert str(caught.value) == sentence
