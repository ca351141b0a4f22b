"""Learning in passes over data larger than memory: the plan is a generator of rounds, an engine folds each one.

A plan says `totals = yield Round(partial, state)` for every pass that it wants. `partial(state, X, y, key)` is a pure
function of a small state and one mini-batch, giving named arrays; X is always dense. The engine merges the parts in
the order of their keys, so that a merge need not be commutative, such as one in which older rows fade.
`key` is (file, chunk), never the host, so that what is learned does not depend on how many hosts there are.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import numpy as np

from toolkit.dataset import Dataset
from toolkit.errors import AlgorithmFault

Key = tuple[int, int]
Totals = dict[str, np.ndarray]


def add(totals: Totals, part: Totals) -> Totals:
    """Adds every array of `part` to the totals, in place; the precision is that of the first part."""
    for name, array in part.items():
        np.add(totals[name], array, out=totals[name])
    return totals


@dataclass(frozen=True)
class Round:
    """One pass over every mini-batch.

    `merge(totals, part)` returns the totals with a later mini-batch's part in them, and may change `totals`; it is
    associative, so that hosts may merge their own parts first.
    """

    partial: Callable[[Any, np.ndarray, np.ndarray | None, Key], Totals]
    state: Any = None
    merge: Callable[[Totals, Totals], Totals] = add


Plan = Generator[Round, Totals, None]
Batches = Iterable[tuple[Key, Dataset]]


def run(plan: Plan, batches: Batches) -> None:
    """Runs a plan in this process: `batches` is iterated once for each round.

    Whatever ends it early closes the plan, which may then set what has been learned so far. Raises AlgorithmFault for
    what is no plan.
    """
    if not isinstance(plan, Generator):
        raise AlgorithmFault(f"rounds must be a generator of Round; it gave {type(plan).__name__}")
    totals = None
    with closing(plan):
        try:
            while True:
                totals = fold(plan.send(totals), batches)
        except StopIteration:
            return


def fold(round_: Round, batches: Batches) -> Totals:
    """The merged parts of one round; the first part becomes the totals, copied into writable arrays."""
    if not isinstance(round_, Round):
        raise AlgorithmFault(f"rounds must yield Round(partial, state); it yielded {type(round_).__name__}")
    totals = None
    for key, batch in batches:
        part = round_.partial(round_.state, batch.X, batch.y, key)
        totals = (
            {name: np.array(array) for name, array in part.items()} if totals is None else round_.merge(totals, part)
        )
    return totals


def in_memory(data: Dataset, n_rows: int) -> list[tuple[Key, Dataset]]:
    """Mini-batches of at most `n_rows` rows, as views of data that is in memory already."""
    return [((0, i), data.rows(at, at + n_rows)) for i, at in enumerate(range(0, len(data), n_rows))]
