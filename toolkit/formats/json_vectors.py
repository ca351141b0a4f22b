"""The vector of one JSON instance, and the matrix of many.

An instance's vector is its `features` (a list, or an object with `values`; for sparse vectors with `keys` and `shape`
too), alone or within `data`; or its `projection`, as PCA answers; or k-means' pair of `closest_cluster` and
`distance_to_cluster`. https://docs.aws.amazon.com/sagemaker/latest/dg/cdf-inference.html
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson

from toolkit.dataset import Sparse
from toolkit.errors import BadPayload
from toolkit.formats.sparse_rows import compressed

_PAIR = ("closest_cluster", "distance_to_cluster")


@dataclass(frozen=True)
class Vector:
    """One instance's numbers; `keys` are the columns of a sparse one, None for a dense one."""

    values: list[float]
    keys: list[int] | None
    width: int


def vector_of(instance: Any, n_features: int | None, where: str) -> Vector:
    """The vector of a parsed instance; `n_features` is the width of sparse ones without a shape.

    Raises BadPayload, whose message begins with `where`.
    """
    features = _features(instance, where)
    if isinstance(features, dict) and "keys" in features:
        return _sparse_vector(features, n_features, where)
    values = features.get("values") if isinstance(features, dict) else features
    if not isinstance(values, list) or not values:
        raise BadPayload(f"{where} must have a list of numbers; got {_shown(values)}")
    _refuse_what_is_no_number(values, where)
    return Vector(values, None, len(values))


def matrix(vectors: list[Vector], first: int) -> np.ndarray | Sparse:
    """The rows of vectors of one width, the first of which is instance number `first`; sparse if one of them is."""
    if all(vector.keys is None for vector in vectors):
        return _dense(vectors, first)
    return _sparse(vectors, first)


def _features(instance: Any, where: str) -> Any:
    """What holds an instance's numbers: a list, or an object with `values`."""
    if isinstance(instance, dict):
        data = instance.get("data")
        for holder, name in ((instance, "features"), (data, "features"), (instance, "projection")):
            if isinstance(holder, dict) and name in holder:
                return holder[name]
        if all(name in instance for name in _PAIR):
            return [instance[name] for name in _PAIR]
    raise BadPayload(f"{where} must be an object with 'features', 'data' or 'projection'; got {_shown(instance)}")


def _sparse_vector(features: dict[str, Any], n_features: int | None, where: str) -> Vector:
    keys, values, shape = features["keys"], features.get("values"), features.get("shape", [n_features])
    if not isinstance(values, list) or not isinstance(keys, list) or len(keys) != len(values):
        raise BadPayload(f"{where} must have lists 'keys' and 'values' of one length")
    if not isinstance(shape, list) or not shape or type(shape[-1]) is not int or not 0 < shape[-1] < 2**31:
        raise BadPayload(f"{where} must have a 'shape' of a positive number of columns; got {_shown(shape)}")
    if not all(type(key) is int and key >= 0 for key in keys):
        raise BadPayload(f"{where} must have 'keys' of at least 0; got {_shown(keys)}")
    _refuse_what_is_no_number(values, where)
    return Vector(values, keys, shape[-1])


def _refuse_what_is_no_number(values: list[Any], where: str) -> None:
    if set(map(type, values)) <= {int, float}:
        return
    place = next(i for i, value in enumerate(values) if type(value) not in (int, float))
    raise BadPayload(f"{where} value {place + 1} must be a finite number; got {_shown(values[place])}")


def _dense(vectors: list[Vector], first: int) -> np.ndarray:
    """The rows (n_rows, n_features) float32. Raises BadPayload where a number is not finite."""
    with np.errstate(over="ignore"):
        rows = np.array([vector.values for vector in vectors], np.float64).astype(np.float32)
    if not np.isfinite(rows).all():
        row, place = np.argwhere(~np.isfinite(rows))[0].tolist()
        got = vectors[row].values[place]
        raise BadPayload(f"JSON instance {first + row} value {place + 1} must be a finite number; got {got!r}")
    return rows


def _sparse(vectors: list[Vector], first: int) -> Sparse:
    """The same where at least one vector is sparse; of a dense one the cells that are not zero."""
    cells = [_cells(vector) for vector in vectors]
    columns = np.concatenate([np.asarray(keys, np.uint64) for keys, _ in cells])
    values = np.concatenate([np.asarray(values, np.float64) for _, values in cells])
    lengths = np.array([len(keys) for keys, _ in cells])
    return compressed(lengths, columns, values, vectors[0].width, lambda row: f"JSON instance {first + row}")


def _cells(vector: Vector) -> tuple[Iterable[int], Iterable[float]]:
    if vector.keys is not None:
        return vector.keys, vector.values
    values = np.asarray(vector.values, np.float64)
    return np.flatnonzero(values), values[values != 0]


def _shown(value: Any) -> str:
    """The beginning of a value as JSON."""
    text = orjson.dumps(value).decode()
    return text if len(text) <= 60 else text[:57] + "..."
