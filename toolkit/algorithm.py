"""The contract of an algorithm: a small class that declares and learns; everything else drives that class.

A plugin declares its `name`, its `Hyperparameters` and the `arrays` that it learns, and implements `predict` together
with one of `fit` (all rows in memory) or `rounds` (data larger than memory, several hosts). It knows nothing of HTTP,
files, formats, /opt/ml or the environment. Plugins are found by the entry point group `byoa.algorithms`.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np

from toolkit import hyperparameters as declared
from toolkit import ndarrays, rounds
from toolkit.dataset import Dataset
from toolkit.errors import AlgorithmFault, BadArtifact, BadHyperparameter, BadOption

ENTRY_POINTS = "byoa.algorithms"
MODEL_FILE = "model_algo-1"  # what SageMaker's PCA and k-means containers write and read
CHUNK_BYTES = 16_000_000  # of float32 features in a mini-batch, where the job names no mini_batch_size


@dataclass(frozen=True)
class Channel:
    """An input that an algorithm reads, and the content type of its files where the job names none."""

    name: str
    required: bool = True
    content_type: str = "application/x-recordio-protobuf"


class Algorithm:
    """What every plugin derives from; a subclass overrides what is not as here.

    Attributes of the class:
        name: the name of the entry point, and of the image.
        Hyperparameters: the pydantic model of the hyperparameters; their values are in `self.hyperparameters`.
        ignored: hyperparameters that SageMaker's clients send and that mean nothing here.
        channels: the channels that a training job may have.
        arrays: the learned attributes, each ending in an underscore. They are saved in this order, under their names
            without the underscore. The last dimension of the first one is the number of features.
        named: False writes the arrays as a plain list without names.
        learns_from_labels: whether `fit` wants labels.
        losses: those of its metrics of which less is better.
        answers: the name of the list of answers in a JSON response; None for a JSON array with one comma-joined
            string for each column.
    """

    name: ClassVar[str]
    Hyperparameters: ClassVar[type[declared.Hyperparameters]] = declared.Hyperparameters
    ignored: ClassVar[frozenset[str]] = frozenset()
    channels: ClassVar[tuple[Channel, ...]] = (Channel("train"), Channel("test", required=False))
    arrays: ClassVar[tuple[str, ...]]
    named: ClassVar[bool] = True
    learns_from_labels: ClassVar[bool] = False
    losses: ClassVar[frozenset[str]] = frozenset()
    answers: ClassVar[str | None] = "predictions"

    def __init__(self, **hyperparameters: Any):
        self.hyperparameters = declared.parse(self.Hyperparameters, hyperparameters, self.ignored)

    @property
    def n_features_in_(self) -> int:
        """The number of features that the algorithm was fitted on."""
        return getattr(self, self.arrays[0]).shape[-1]

    @property
    def is_fitted(self) -> bool:
        """Whether every array is there, so that the model can be saved and can predict."""
        return all(hasattr(self, name) for name in self.arrays)

    @property
    def metrics_(self) -> dict[str, float]:
        """What was measured while learning, by name; nothing unless a plugin says so."""
        return {}

    def fit(self, X: np.ndarray, y: np.ndarray | None = None) -> Algorithm:
        """Learns from `X` (n_rows, n_features) float32 and `y` (n_rows,), both left as they are; returns itself."""
        data = Dataset(X, y)
        check_feature_dim(self, data.n_features)
        batches = rounds.in_memory(data, self.rows_per_batch(data.n_features))
        rounds.run(self.rounds(data.n_features), batches)
        return self

    def rounds(self, n_features: int) -> rounds.Plan:
        """The plan of a plugin that learns in passes.

        The learned attributes are set by its end; where they are set after each pass, a job that is stopped keeps
        the model so far.
        """
        raise AlgorithmFault(f"algorithm {self.name!r} must have fit or rounds; it has neither")

    def predict(self, X: np.ndarray) -> dict[str, np.ndarray]:
        """Named columns, each (n_rows,) or (n_rows, width), for `X` (n_rows, n_features) float32.

        Changes nothing, and uses learned attributes only: a model that was loaded has no hyperparameters.
        """
        raise AlgorithmFault(f"algorithm {self.name!r} must have predict; it has none")

    def score(self, batches: Iterable[Dataset]) -> dict[str, float]:
        """Metrics of the fitted model on the test channel, by name; nothing unless a plugin says so."""
        return {}

    def rows_per_batch(self, n_features: int) -> int:
        """How many rows a mini-batch has: the job's `mini_batch_size`, or what fills CHUNK_BYTES."""
        size = getattr(self.hyperparameters, "mini_batch_size", None)
        return size or max(1, CHUNK_BYTES // (4 * n_features))

    def save(self, model_dir: Path) -> None:
        """Writes the learned arrays to `model_algo-1`, an MXNet NDArray file."""
        learned = {name.removesuffix("_"): np.ascontiguousarray(getattr(self, name)) for name in self.arrays}
        ndarrays.write(model_dir / MODEL_FILE, learned if self.named else list(learned.values()))

    @classmethod
    def loaded(cls, model_dir: Path) -> Self:
        """The model that was saved in `model_dir`; it can predict, and has no hyperparameters to learn by."""
        algorithm = cls.__new__(cls)
        algorithm.load(model_dir)
        return algorithm

    def load(self, model_dir: Path) -> None:
        """Sets the learned arrays from `model_algo-1`. Raises BadArtifact for a file that is not this algorithm's."""
        path = model_dir / MODEL_FILE
        found = ndarrays.read(path)
        wanted = [name.removesuffix("_") for name in self.arrays]
        places = wanted if self.named else list(range(len(wanted)))
        if sorted(found if isinstance(found, dict) else range(len(found)), key=str) != sorted(places, key=str):
            raise BadArtifact(f"{path} must hold {_told(wanted, self.named)}; it holds {_held(found)}")
        for attribute, place in zip(self.arrays, places, strict=True):
            setattr(self, attribute, found[place])


def has_rounds(algorithm: Algorithm | type[Algorithm]) -> bool:
    """Whether a plugin learns in passes over mini-batches, so that its data may be larger than memory."""
    kind = algorithm if isinstance(algorithm, type) else type(algorithm)
    return kind.rounds is not Algorithm.rounds


def check_feature_dim(algorithm: Algorithm, n_features: int) -> None:
    """Raises BadHyperparameter where the job names another `feature_dim` than the data has."""
    feature_dim = getattr(algorithm.hyperparameters, "feature_dim", None)
    if feature_dim not in (None, n_features):
        raise BadHyperparameter(f"hyperparameter 'feature_dim' is {feature_dim}, the data has {n_features} features")


def installed() -> Iterator[EntryPoint]:
    """The entry points of all installed plugins, by name."""
    return iter(sorted(entry_points(group=ENTRY_POINTS), key=lambda point: point.name))


def find(name: str) -> type[Algorithm]:
    """The plugin of that name. Raises BadOption for an unknown name, AlgorithmFault where two packages give it."""
    points = list(entry_points(group=ENTRY_POINTS, name=name))
    if not points:
        raise BadOption(_unknown(name))
    if len({point.value for point in points}) > 1:
        places = " and ".join(sorted(point.value for point in points))
        raise AlgorithmFault(f"algorithm {name!r} must be one plugin; it is {places}; uninstall one of the packages")
    return points[0].load()


def _unknown(name: str) -> str:
    known = [point.name for point in installed()]
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"installed are {', '.join(known) or 'none'}"
    return f"unknown algorithm {name!r}; {hint}"


def _told(names: list[str], named: bool) -> str:
    return f"the arrays {', '.join(names)}" if named else f"{len(names)} array{'s' * (len(names) != 1)} without names"


def _held(found: dict[str, np.ndarray] | list[np.ndarray]) -> str:
    if isinstance(found, dict):
        return ", ".join(f"{name} {array.shape}" for name, array in found.items())
    return f"{len(found)} without names" if found else "nothing"
