"""k-means, with the hyperparameters, the artifact and the answers of SageMaker's built-in k-means.

https://docs.aws.amazon.com/sagemaker/latest/dg/k-means.html
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from operator import itemgetter
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from toolkit import hyperparameters as declared
from toolkit.algorithm import MODEL_FILE, Algorithm
from toolkit.dataset import Dataset
from toolkit.errors import BadArtifact, BadHyperparameter
from toolkit.rounds import Key, Plan, Round, Totals, add

BLOCK_ROWS = 1024  # rows compared with all centres at a time; a block stays in the processor's cache
MOST_CENTRES = 1000  # that `extra_center_factor` auto makes
FAR = 100  # squared distance from zero against squared spread
UNSURE = 1e-5  # of squared lengths: closeness that differs by less may be rounding
FINALISTS = 4  # trials that go on over the sample
CANDIDATES = 2  # that k-means++ draws for each centre
TRIALS = 10  # of `local_lloyd_num_trials` auto

Positive = Annotated[int, Field(ge=1)]
Start = Literal["random", "kmeans++"]


class KMeans(Algorithm):
    """Puts each row into the cluster whose centre is nearest, by k centres that are the means of their rows.

    Learning goes in three steps, each with the hyperparameters that SageMaker gives it:

    1. A uniform sample of rows starts k * extra_center_factor centres by `init_method`. In every one of `epochs`
       passes over the data each centre becomes the mean of the rows nearest to it, older rows counting for less
       where `half_life_time_size` says so.
    2. These centres, each as heavy as it has rows, are themselves clustered into k (the `local_lloyd` ones): Lloyd's
       algorithm runs `local_lloyd_num_trials` times, the best trials go on over the sample, where the best one stays.
    3. Passes over the data move the k centres until that no longer helps, as far as `local_lloyd_tol` and
       `local_lloyd_max_iter` allow. SageMaker's stops before this step, at a greater distance.

    A centre that loses all of its rows stays where it is. Clusters are numbered by size, the largest is 0.
    Learned: `centroids_` (k, n_features). Squared distances add up to `ssd`, their mean is `msd`.

    >>> X = np.array([[0, 0], [0, 2], [0, 1], [9, 9], [9, 7]], np.float32)
    >>> kmeans = KMeans(k=2).fit(X)
    >>> kmeans.centroids_.tolist()
    [[0.0, 1.0], [9.0, 8.0]]
    >>> kmeans.predict(np.array([[3, 5]], np.float32))
    {'closest_cluster': array([0.], dtype=float32), 'distance_to_cluster': array([5.], dtype=float32)}
    """

    class Hyperparameters(declared.Hyperparameters):
        """Those of https://docs.aws.amazon.com/sagemaker/latest/dg/k-means-api-config.html, and `seed`."""

        k: int = Field(ge=1, description="how many clusters; at most the rows")
        feature_dim: int | None = Field(None, ge=1, description="the number of features; follows from the data")
        mini_batch_size: int = Field(5000, ge=1, description="rows read at a time, and rows of the sample that starts")
        epochs: int = Field(1, ge=1, description="passes that the extra centres make over the data")
        init_method: Start = Field("random", description="how the extra centres are chosen from a sample of rows")
        extra_center_factor: Positive | Literal["auto"] = Field(
            "auto", description="extra centres for each of the k; auto is 10, fewer above k=100"
        )
        half_life_time_size: int = Field(
            0, ge=0, description="rows after which a row counts half in the centres; 0 counts all rows alike"
        )
        local_lloyd_init_method: Start = Field("kmeans++", description="how k of the extra centres are chosen")
        local_lloyd_max_iter: int = Field(300, ge=1, description="the most iterations of Lloyd's algorithm")
        local_lloyd_num_trials: Positive | Literal["auto"] = Field(
            "auto", description="trials of clustering the extra centres, of which the best stays; auto is 10"
        )
        local_lloyd_tol: float = Field(
            1e-4,
            ge=0,
            le=1,
            description="Lloyd's algorithm ends when an iteration helps by less than this share",
        )
        eval_metrics: list[Literal["msd", "ssd"]] = Field(
            ["msd"], description="what is measured: msd and ssd, the mean and the sum of squared distances"
        )
        seed: int = Field(0, ge=0, description="where the random numbers start")

    name = "kmeans"
    ignored = frozenset({"force_dense"})
    arrays = ("centroids_",)
    named = False
    losses = frozenset({"msd", "ssd"})

    @property
    def metrics_(self) -> dict[str, float]:
        """Each of `eval_metrics` on the training rows; where rows have a half-life, older ones count for less."""
        return self._named(*self._loss) if hasattr(self, "_loss") else {}

    def rounds(self, n_features: int) -> Plan:
        """A pass that draws the sample, `epochs` passes of the extra centres, and passes of the k centres."""
        given, random = self.hyperparameters, np.random.default_rng(self.hyperparameters.seed)
        width = given.k * self._extra_center_factor()
        sample = yield from self._sample(max(width, given.mini_batch_size))
        origin = _origin(sample)
        sample = sample - origin
        centres = start(sample, np.ones(len(sample)), min(width, len(sample)), given.init_method, random)
        weights = np.ones(len(centres))
        try:
            for _ in range(given.epochs):
                totals = yield self._pass(origin, centres)
                centres, weights = _moved(centres, totals), totals["weights"]
        finally:  # a job that is stopped here has a model too
            shrunk = self._shrunk(sample, centres, weights)
            self.centroids_ = shrunk + origin
        yield from self._refined(origin, shrunk)

    def predict(self, X: np.ndarray) -> dict[str, np.ndarray]:
        """`closest_cluster` and `distance_to_cluster` (Euclidean, not squared), each (n_rows,) float32.

        A row's answer is the same in whatever batch it comes.
        """
        labels = nearest(X, self.centroids_)
        apart = self.centroids_[labels]
        distances = np.sqrt(_squares(np.subtract(X, apart, out=apart)))
        return {
            "closest_cluster": labels.astype(np.float32),
            "distance_to_cluster": distances.astype(np.float32),
        }

    def load(self, model_dir: Path) -> None:
        """Sets `centroids_`, which anybody's mxnet may have saved. Raises BadArtifact where they cannot be centres."""
        super().load(model_dir)
        found = self.centroids_
        if found.ndim != 2 or not found.size or found.dtype.kind != "f" or not np.isfinite(found).all():
            must = "must hold finite centres of floating point (k, feature_dim)"
            raise BadArtifact(f"{model_dir / MODEL_FILE} {must}; it holds {found.dtype} {found.shape}")

    def score(self, batches: Iterable[Dataset]) -> dict[str, float]:
        """Each of `eval_metrics` on the rows of the batches."""
        rows, loss = 0, 0.0
        for batch in batches:
            rows += len(batch)
            loss += float(np.square(self.predict(batch.X)["distance_to_cluster"], dtype=np.float64).sum())
        return self._named(rows, loss)

    def _named(self, weight: float, loss: float) -> dict[str, float]:
        values = {"msd": loss / max(weight, 1), "ssd": loss}
        return {name: values[name] for name in self.hyperparameters.eval_metrics}

    def _extra_center_factor(self) -> int:
        factor = self.hyperparameters.extra_center_factor
        return max(1, min(10, MOST_CENTRES // self.hyperparameters.k)) if factor == "auto" else factor

    def _sample(self, size: int) -> Iterator[Round]:
        totals = yield Round(draw, (size, self.hyperparameters.seed), partial(drawn, size))
        n_rows, k = int(totals["count"][0]), self.hyperparameters.k
        if k > n_rows:
            raise BadHyperparameter(f"hyperparameter 'k' is {k}, the data has {n_rows} rows")
        return totals["rows"][np.argsort(totals["tickets"])]

    def _pass(self, origin: np.ndarray, centres: np.ndarray) -> Round:
        half_life = self.hyperparameters.half_life_time_size
        return Round(assign, (origin, centres), partial(decayed, half_life) if half_life else add)

    def _shrunk(self, sample: np.ndarray, centres: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """k centres for weighted ones: the best trials of Lloyd's algorithm, and one from the sample, go on over it."""
        given, heavy = self.hyperparameters, weights > 0
        if heavy.sum() <= given.k:
            return centres[np.argsort(-weights, kind="stable")[: given.k]]
        random = np.random.default_rng((given.seed, 1))
        centres, weights = centres[heavy], weights[heavy].astype(np.float32)
        trials = TRIALS if given.local_lloyd_num_trials == "auto" else given.local_lloyd_num_trials
        starts = (start(centres, weights, given.k, given.local_lloyd_init_method, random) for _ in range(trials))
        ends = sorted((self._lloyd(centres, weights, each) for each in starts), key=itemgetter(0))
        finalists = [end for _, end in ends[:FINALISTS]]
        finalists += [start(sample, np.ones(len(sample)), given.k, given.local_lloyd_init_method, random)]
        return min((self._lloyd(sample, None, each) for each in finalists), key=itemgetter(0))[1]

    def _lloyd(self, points: np.ndarray, weights: np.ndarray | None, centres: np.ndarray) -> tuple[float, np.ndarray]:
        """The loss and the centres at the end of Lloyd's algorithm over points in memory."""
        best = np.inf
        for _ in range(self.hyperparameters.local_lloyd_max_iter):
            totals = tally(points, centres, weights)
            loss = float(totals["loss"][0])
            if not best - loss > self.hyperparameters.local_lloyd_tol * loss:
                break
            best, centres = loss, _moved(centres, totals)
        return loss, centres

    def _refined(self, origin: np.ndarray, centres: np.ndarray) -> Plan:
        """Passes over the data until the distance falls by too little; the centres that were measured last stay."""
        best = np.inf
        for _ in range(self.hyperparameters.local_lloyd_max_iter):
            totals = yield self._pass(origin, centres)
            loss = float(totals["loss"][0])
            order = np.lexsort((*centres.T[::-1], -totals["weights"]))
            self.centroids_ = (centres + origin)[order]
            self._loss = float(totals["weights"].sum()), loss
            if not best - loss > self.hyperparameters.local_lloyd_tol * loss:
                return
            best, centres = loss, _moved(centres, totals)


def draw(state: tuple[int, int], X: np.ndarray, y: np.ndarray | None, key: Key) -> Totals:
    """A uniform sample of a mini-batch: of its rows those whose random ticket is among the `size` lowest."""
    size, seed = state
    tickets = np.random.default_rng((seed, *key)).random(len(X))
    kept = np.argpartition(tickets, size)[:size] if size < len(X) else slice(None)
    return {"tickets": tickets[kept], "rows": X[kept], "count": np.array([len(X)])}


def drawn(size: int, totals: Totals, part: Totals) -> Totals:
    """The uniform sample of two sets of rows together, from that of each."""
    tickets = np.concatenate([totals["tickets"], part["tickets"]])
    rows = np.concatenate([totals["rows"], part["rows"]])
    kept = np.argpartition(tickets, size)[:size] if size < len(tickets) else slice(None)
    return {"tickets": tickets[kept], "rows": rows[kept], "count": totals["count"] + part["count"]}


def assign(state: tuple[np.ndarray, np.ndarray], X: np.ndarray, y: np.ndarray | None, key: Key) -> Totals:
    """For each centre the number and the sum of the rows nearest to it, and the sum of squared distances.

    The state is an origin (n_features,) and the centres (width, n_features) as seen from there.
    """
    origin, centres = state
    return {**tally(X - origin if origin.any() else X, centres), "rows": np.array([float(len(X))])}


def tally(points: np.ndarray, centres: np.ndarray, weights: np.ndarray | None = None) -> Totals:
    """For each centre the weight and the weighted sum of the points nearest to it, and the sum of squared distances.

    The nearest centre c of a row x has the largest c.x - c.c / 2, half of what c.c - 2 c.x + x.x leaves out.
    """
    half = _squares(centres) / 2
    totals = {"weights": np.zeros(len(centres)), "sums": np.zeros(centres.shape), "loss": np.zeros(1)}
    for at in range(0, len(points), BLOCK_ROWS):
        block = points[at : at + BLOCK_ROWS]
        heavy = np.float32(1) if weights is None else weights[at : at + BLOCK_ROWS]
        closeness = block @ centres.T
        closeness -= half
        belongs = np.zeros(closeness.shape, np.float32)
        belongs[np.arange(len(block)), closeness.argmax(axis=1)] = heavy
        squared = np.maximum(_squares(block) - 2 * closeness.max(axis=1), 0)  # rounding may go below
        totals["weights"] += belongs.sum(axis=0)
        totals["sums"] += belongs.T @ block
        totals["loss"] += (heavy * squared).sum(dtype=np.float64)
    return totals


def decayed(half_life: int, totals: Totals, part: Totals) -> Totals:
    """Adds a later part to totals that count half for every `half_life` rows in it; associative, not commutative."""
    kept = 0.5 ** (part["rows"][0] / half_life)
    for name in ("weights", "sums", "loss"):
        totals[name] *= kept
    return add(totals, part)


def start(points: np.ndarray, weights: np.ndarray, k: int, method: str, random: np.random.Generator) -> np.ndarray:
    """k of the points (n, n_features), drawn by weight; or by weight times squared distance to those drawn before.

    The latter, k-means++, takes of several that it draws the one that leaves the others nearest to a centre.
    Arthur, Vassilvitskii: k-means++, the advantages of careful seeding, SODA 2007.
    """
    if method == "random":
        return points[random.choice(len(points), k, replace=False, p=weights / weights.sum())]
    chosen = _drawn_by(weights, 1, random)
    squared = _squares(points - points[chosen])
    while len(chosen) < k:
        candidates = _drawn_by(weights * squared, CANDIDATES, random)
        left = np.minimum(squared[:, None], _squared_distances(points, points[candidates]))
        best = (weights @ left).argmin()
        chosen, squared = np.append(chosen, candidates[best]), left[:, best]
    return points[chosen]


def nearest(X: np.ndarray, centroids: np.ndarray) -> np.ndarray:
    """The index of the centroid nearest to each row; where float32 cannot tell, by exact distances."""
    origin = _origin(centroids)
    rows, centres = (X - origin, centroids - origin) if origin.any() else (X, centroids)
    lengths = _squares(centres)
    closeness = rows @ centres.T
    closeness -= lengths / 2
    labels = closeness.argmax(axis=1)
    enough = closeness.max(axis=1) - UNSURE * (_squares(rows) + lengths.max())
    for i in np.flatnonzero((closeness >= enough[:, None]).sum(axis=1) > 1):
        labels[i] = _squares(X[i] - centroids.astype(np.float64)).argmin()
    return labels


def _origin(sample: np.ndarray) -> np.ndarray:
    """Zero, or the mean of rows that lie so far from zero that float32 products would lose their spread."""
    mean = np.full(len(sample), 1 / len(sample), np.float32) @ sample
    length = float(mean @ mean)
    spread = float(_squares(sample).mean()) - length
    return mean * np.float32(length > FAR * spread)


def _moved(centres: np.ndarray, totals: Totals) -> np.ndarray:
    """Each centre at the mean of its rows; one without rows where it was."""
    weights = totals["weights"][:, None]
    return np.where(weights > 0, totals["sums"] / np.where(weights > 0, weights, 1), centres).astype(centres.dtype)


def _squares(rows: np.ndarray) -> np.ndarray:
    """The squared length of each row."""
    return np.einsum("ij,ij->i", rows, rows)


def _squared_distances(rows: np.ndarray, others: np.ndarray) -> np.ndarray:
    return np.maximum(_squares(rows)[:, None] + _squares(others) - 2 * (rows @ others.T), 0)


def _drawn_by(weights: np.ndarray, count: int, random: np.random.Generator) -> np.ndarray:
    """`count` indices, each drawn by weight; any where all weigh nothing."""
    heights = np.cumsum(weights, dtype=np.float64)
    if not heights[-1] > 0:
        return random.integers(len(weights), size=count)
    return np.searchsorted(heights, random.random(count) * heights[-1], side="right").clip(max=len(weights) - 1)
