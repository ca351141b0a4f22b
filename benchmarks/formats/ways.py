"""The toolkit's way and everybody else's to read or write one payload. Ways whose library is absent are left out."""

from __future__ import annotations

import importlib.util
import io
import json
from collections.abc import Callable

import numpy as np
import orjson
from payloads import csv, libsvm, projections, sparse, written

from toolkit.dataset import Dataset
from toolkit.formats import framing, table
from toolkit.formats.record_message import record_class

RECORDIO = "application/x-recordio-protobuf"
Ways = dict[str, Callable[[], object]]


def has(module: str) -> bool:
    """Whether a module can be imported."""
    return importlib.util.find_spec(module) is not None


def csv_in(X: np.ndarray) -> tuple[bytes, Ways]:
    """CSV -> float32 matrix."""
    body = csv(X)
    ways: Ways = {"byoa": lambda: table.decode(body, "text/csv").X}
    if has("pandas"):
        import pandas

        names = {"header": None, "dtype": np.float32}
        ways["pandas"] = lambda: pandas.read_csv(io.BytesIO(body), **names).to_numpy()
    ways["numpy.loadtxt"] = lambda: np.loadtxt(io.BytesIO(body), np.float32, delimiter=",", ndmin=2)
    if has("pyarrow"):
        from pyarrow import csv as arrow_csv

        options = arrow_csv.ReadOptions(autogenerate_column_names=True)
        ways["pyarrow"] = lambda: np.stack(
            [np.asarray(c, np.float32) for c in arrow_csv.read_csv(io.BytesIO(body), options).columns], axis=1
        )
    return body, ways


def projections_in(X: np.ndarray) -> tuple[bytes, Ways]:
    """PCA's JSON answer -> float32 matrix."""
    body = projections(X)
    return body, {
        "byoa": lambda: table.decode(body, "application/json").X,
        "json + numpy": lambda: _vectors(json.loads(body)),
        "orjson + numpy": lambda: _vectors(orjson.loads(body)),
    }


def _vectors(answer: dict) -> np.ndarray:
    return np.array([row["projection"] for row in answer["projections"]], np.float32)


def projections_out(X: np.ndarray) -> tuple[bytes, Ways]:
    """Float32 matrix -> PCA's JSON answer."""
    ways: Ways = {
        "byoa": lambda: table.encode({"projection": X}, "application/json", answers="projections")[0],
        "json": lambda: json.dumps({"projections": [{"projection": row} for row in X.tolist()]}),
        "orjson": lambda: orjson.dumps({"projections": [{"projection": row} for row in X.tolist()]}),
    }
    return ways["byoa"](), ways


def recordio_in(X: np.ndarray) -> tuple[bytes, Ways]:
    """Dense records with labels -> float32 matrix."""
    body = written(Dataset(X, np.ones(len(X), np.float32)), RECORDIO)
    return body, {
        "byoa": lambda: table.decode(body, RECORDIO).X,
        "protobuf by record": lambda: np.stack(
            [np.array(_tensor(part).values, np.float32) for part in framing.payloads(body)]
        ),
        "SageMaker SDK's way": lambda: np.array([_tensor(part).values for part in sdk_parts(body)], np.float32),
    }


def sdk_parts(body: bytes) -> list[bytes]:
    """The payloads as `sagemaker.amazon.common.read_recordio` cuts them, a read call for each piece."""
    import struct

    file, parts = io.BytesIO(body), []
    while header := file.read(4):
        assert struct.unpack("I", header)[0] == framing.MAGIC
        (length,) = struct.unpack("I", file.read(4))
        parts.append(file.read(length))
        file.read((4 - length % 4) % 4)
    return parts


def sparse_recordio_in(X: np.ndarray) -> tuple[bytes, Ways]:
    """Sparse records with labels -> compressed sparse rows."""
    body = written(Dataset(sparse(X), np.ones(len(X), np.float32)), RECORDIO)
    ways: Ways = {"byoa": lambda: table.decode(body, RECORDIO).X}
    if has("scipy"):
        ways["protobuf + scipy"] = lambda: _compressed(framing.payloads(body))
    return body, ways


def _vector(payload: bytes) -> np.ndarray:
    return np.array(_tensor(payload).values, np.float32)


def _tensor(payload: bytes):
    return record_class().FromString(payload).features["values"].float32_tensor


def _compressed(parts: list[bytes]):
    import scipy.sparse

    tensors = [_tensor(part) for part in parts]
    starts = np.cumsum([0] + [len(tensor.keys) for tensor in tensors])
    columns = np.concatenate([np.array(tensor.keys, np.int64) for tensor in tensors])
    values = np.concatenate([np.array(tensor.values, np.float32) for tensor in tensors])
    return scipy.sparse.csr_matrix((values, columns, starts), (len(parts), tensors[0].shape[0]))


def libsvm_in(X: np.ndarray) -> tuple[bytes, Ways]:
    """libsvm -> compressed sparse rows."""
    body = libsvm(X)
    ways: Ways = {"byoa": lambda: table.decode(body, "text/libsvm", n_features=X.shape[1]).X}
    if has("sklearn"):
        from sklearn.datasets import load_svmlight_file

        options = {"dtype": np.float32, "n_features": X.shape[1], "zero_based": False}
        ways["scikit-learn"] = lambda: load_svmlight_file(io.BytesIO(body), **options)
    return body, ways


def npy_in(X: np.ndarray) -> tuple[bytes, Ways]:
    """An npy file -> float32 matrix."""
    body = written(Dataset(X), "application/x-npy")
    return body, {
        "byoa": lambda: table.decode(body, "application/x-npy").X,
        "numpy.load": lambda: np.load(io.BytesIO(body), allow_pickle=False),
    }


ALL = {
    "CSV in": csv_in,
    "JSON projections in": projections_in,
    "JSON projections out": projections_out,
    "RecordIO dense in": recordio_in,
    "RecordIO sparse in": sparse_recordio_in,
    "libsvm in": libsvm_in,
    "npy in": npy_in,
}
