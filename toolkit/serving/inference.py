"""A loaded model that answers bodies: decode, check the width, predict, encode. No HTTP here.

The server and batch transform call this very class, so that the same request gives the same bytes in both.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from toolkit.algorithm import CHUNK_BYTES, Algorithm, find
from toolkit.dataset import Dataset
from toolkit.errors import AlgorithmFault, BadAccept, BadOption, BadPayload
from toolkit.formats import table

DEFAULT_ACCEPT = "application/json"  # where the request accepts anything


@dataclass(frozen=True)
class Answer:
    """The bytes of an answer, what they cost in milliseconds, and how many rows were asked about."""

    body: bytes
    content_type: str
    n_rows: int
    decode_ms: float
    predict_ms: float
    encode_ms: float


class Inference:
    """Answers bodies with a fitted algorithm; where a request accepts anything, with `default_accept`."""

    def __init__(self, algorithm: Algorithm, default_accept: str = DEFAULT_ACCEPT):
        self.algorithm = algorithm
        self.default_accept = default_accept

    def answer(self, body: bytes, content_type: str | None, accept: str | None) -> Answer:
        """The answer to one body, in the order of its rows.

        Raises BadContentType, BadAccept, BadPayload, and AlgorithmFault where the plugin breaks its contract.
        """
        times = [time.perf_counter()]
        data = table.decode(body, content_type, n_features=self.algorithm.n_features_in_)
        self._check_width(data.n_features)
        times.append(time.perf_counter())
        columns = self._predict(data)
        times.append(time.perf_counter())
        encoded, answered = table.encode(columns, accept, answers=self.algorithm.answers, default=self.default_accept)
        times.append(time.perf_counter())
        spent = [1000 * (stop - start) for start, stop in zip(times, times[1:], strict=False)]
        return Answer(encoded, answered, len(data), *spent)

    def _check_width(self, n_features: int) -> None:
        trained = self.algorithm.n_features_in_
        if n_features != trained:
            raise BadPayload(f"the payload has {n_features} features, the model was trained on {trained}")

    def _predict(self, data: Dataset) -> dict[str, np.ndarray]:
        """The columns of all rows, some rows at a time, so that sparse ones are never dense all at once."""
        batches = data.batches(max(1, CHUNK_BYTES // (4 * data.n_features)))
        parts = [self._predict_batch(batch.dense().X) for batch in batches]
        if len(parts) == 1:
            return parts[0]
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def _predict_batch(self, X: np.ndarray) -> dict[str, np.ndarray]:
        columns = self.algorithm.predict(X)
        for name, column in columns.items():
            if len(column) != len(X):
                must = f"algorithm {self.algorithm.name!r} must answer {len(X)} rows"
                raise AlgorithmFault(f"{must}; column {name!r} has {len(column)}")
        return columns


def load(name: str, model_dir: Path, default_accept: str = DEFAULT_ACCEPT) -> Inference:
    """The inference of the model that algorithm `name` saved in `model_dir`.

    Raises BadOption for an unknown name or a default that nothing writes, BadArtifact for files of no such model.
    """
    try:
        table.negotiate(None, default_accept)
    except BadAccept as error:
        raise BadOption(f"variable SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT: {error}") from error
    return Inference(find(name).loaded(model_dir), default_accept)
