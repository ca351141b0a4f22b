"""Records go back and forth between byoa and the real SageMaker SDKs, each in an environment of its own."""

import subprocess
from pathlib import Path

import numpy as np
import pytest

from toolkit.dataset import Dataset, Sparse
from toolkit.formats import table

ROOT = Path(__file__).parent.parent.parent
RECORDIO = "application/x-recordio-protobuf"
pytestmark = pytest.mark.environments

RANDOM = np.random.default_rng(7)
X = (RANDOM.normal(size=(40, 300)) * (RANDOM.random((40, 300)) < 0.2)).astype(np.float32)
X[3] = 0
CASES = {
    "dense_float32": (X, None),
    "dense_float32_labels": (X, RANDOM.random(40).astype(np.float32)),
    "dense_float64_labels": (X.astype(np.float64), RANDOM.integers(0, 10, 40).astype(np.float64)),
    "dense_int64": (RANDOM.integers(-1000, 1000, (40, 30)), None),
    "dense_int64_labels": (RANDOM.integers(-1000, 1000, (40, 30)), RANDOM.integers(0, 10, 40)),
    "dense_two_rows": (X[:2], None),
    "sparse_float32": (X, None),
    "sparse_float32_labels": (X, RANDOM.random(40).astype(np.float32)),
    "sparse_float64_labels": (X.astype(np.float64), RANDOM.random(40).astype(np.float64)),
    "sparse_wide": (np.eye(50, 100_000, 99_000, dtype=np.float32)[:, ::-1].copy(), None),
}


def case(name: str) -> Dataset:
    X, y = (None if array is None else array.astype(np.float32) for array in CASES[name])
    if name.startswith("sparse"):
        rows, columns = np.nonzero(X)
        X = Sparse(np.searchsorted(rows, np.arange(len(X) + 1)), columns, X[rows, columns], X.shape[1])
    return Dataset(X, y)


@pytest.fixture(scope="module", params=["sagemaker1", "sagemaker2"])
def folder(request, tmp_path_factory) -> Path:
    """Every case as byoa and as the SDK write it, and as the SDK reads what byoa wrote."""
    python = ROOT / ".envs" / request.param / "bin" / "python"
    if not python.exists():
        pytest.skip(f"no .envs/{request.param}; scripts/environment {request.param} makes it")
    folder = tmp_path_factory.mktemp(request.param)
    for name, (X, y) in CASES.items():
        np.savez(folder / f"{name}.npz", X=X, **({} if y is None else {"y": y}))
        table.write([case(name)], folder / f"{name}.ours", RECORDIO)
    program = [python, "-W", "ignore", ROOT / "tests" / "environments" / "sdk_records.py", folder]
    done = subprocess.run(program, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.parametrize("name", CASES)
def test_what_the_sdk_writes_is_read_exactly(folder, name):
    data = table.decode((folder / f"{name}.sdk").read_bytes(), RECORDIO)
    expected = case(name)
    assert isinstance(data.X, Sparse) == name.startswith("sparse")
    np.testing.assert_array_equal(data.dense().X, expected.dense().X)
    assert (data.y is None) == (expected.y is None)
    if expected.y is not None:
        np.testing.assert_array_equal(data.y, expected.y)


@pytest.mark.parametrize("name", CASES)
def test_what_byoa_writes_the_sdk_reads_exactly(folder, name):
    read = np.load(folder / f"{name}.read.npz")
    expected = case(name)
    np.testing.assert_array_equal(read["X"], expected.dense().X)
    np.testing.assert_array_equal(read["y"], [] if expected.y is None else expected.y)


@pytest.mark.parametrize("name", [name for name in CASES if "float32" in name])
def test_byoa_writes_the_very_bytes_of_the_sdk(folder, name):
    assert (folder / f"{name}.ours").read_bytes() == (folder / f"{name}.sdk").read_bytes()


@pytest.mark.parametrize("name", CASES)
def test_byoa_reads_and_writes_alike_on_any_release_of_protobuf(folder, name):
    assert (folder / f"{name}.again").read_bytes() == (folder / f"{name}.ours").read_bytes()
