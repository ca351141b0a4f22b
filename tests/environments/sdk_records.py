"""Runs in an environment that has SageMaker's own SDK: writes records with it, and reads those that byoa wrote.

sdk_records.py FOLDER: writes FOLDER/<case>.sdk for each FOLDER/<case>.npz (X, perhaps y), dense or sparse as the case's
name says; FOLDER/<case>.read.npz with what the SDK reads in FOLDER/<case>.ours; and FOLDER/<case>.again with what byoa
itself, on this environment's protobuf, reads there and writes again.
"""

import sys
from pathlib import Path

import numpy as np
import scipy.sparse
from sagemaker.amazon import common

sys.path.insert(0, str(Path(__file__).parents[2]))  # this environment does not have byoa
from toolkit.formats.media_types import MediaType  # noqa: E402
from toolkit.formats.readers import Declared  # noqa: E402
from toolkit.formats.recordio import RecordIOReader, RecordIOWriter  # noqa: E402


def main(folder: Path) -> None:
    """Works through all cases."""
    for path in sorted(folder.glob("*.npz")):
        case = np.load(path)
        X, y = case["X"], case["y"] if "y" in case.files else None
        with path.with_suffix(".sdk").open("wb") as file:
            if path.stem.startswith("sparse"):
                common.write_spmatrix_to_sparse_tensor(file, scipy.sparse.csr_matrix(X), y)
            else:
                common.write_numpy_to_dense_tensor(file, X, y)
        with path.with_suffix(".ours").open("rb") as file:
            records = common.read_records(file)
        np.savez(path.with_suffix(".read"), **read(records, X.shape[1]))
        with path.with_suffix(".again").open("wb") as file:
            data = RecordIOReader(Declared(MediaType("a/b"))).decode(path.with_suffix(".ours").read_bytes())
            RecordIOWriter(file, MediaType("a/b")).write(data)


def read(records, width: int) -> dict:
    """Features and labels of the SDK's messages."""
    X = np.zeros((len(records), width), np.float32)
    for row, record in zip(X, records, strict=True):
        tensor = record.features["values"].float32_tensor
        assert list(tensor.shape) in ([], [width])
        row[list(tensor.keys) if tensor.shape else slice(None)] = tensor.values
    labels = [list(record.label["values"].float32_tensor.values) for record in records if "values" in record.label]
    return {"X": X, "y": np.array(labels, np.float32).reshape(-1)}


main(Path(sys.argv[1]))
