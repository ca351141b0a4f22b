"""Files go back and forth between byoa and the real MXNet 1.9.1, which lives in an environment of its own."""

import subprocess
from pathlib import Path

import numpy as np
import pytest

from toolkit import ndarrays

ROOT = Path(__file__).parent.parent
PYTHON = ROOT / ".envs" / "mxnet" / "bin" / "python"
pytestmark = [
    pytest.mark.environments,
    pytest.mark.skipif(not PYTHON.exists(), reason="no .envs/mxnet; scripts/environment mxnet makes it"),
]

SPREAD = {
    dtype: np.array([[np.iinfo(dtype).min, 0, 1], [2, 3, np.iinfo(dtype).max]], dtype)
    for dtype in ("uint8", "int32", "int8", "int64")
} | {
    dtype: np.array([[np.finfo(dtype).min, -0.0, np.finfo(dtype).tiny], [1 / 3, np.inf, np.nan]], dtype)
    for dtype in ("float32", "float64", "float16")
}
CASES: dict[str, ndarrays.Arrays] = {f"list_of_{dtype}": [array] for dtype, array in SPREAD.items()}
CASES |= {f"dict_of_{dtype}": {"v": array, "é": array[0]} for dtype, array in SPREAD.items()}
CASES |= {
    "list_of_all_dtypes": list(SPREAD.values()),
    "dict_of_all_dtypes": SPREAD,
    "list_of_many_dimensions": [np.arange(2**8, dtype="float32").reshape([2] * 8)],
    "pca": {"mean": np.zeros((1, 9), "f4"), "v": np.eye(9, 4, dtype="f4"), "s": np.arange(4, dtype="f4")},
    "list_of_numpy_shapes": [np.zeros((0, 3), "f4"), np.float32(3), np.ones((2, 2), "f8")],
    "dict_of_numpy_shapes": {"rows": np.zeros((0, 784), "f4"), "eps": np.ones((1,), "f4")},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Every case as we write it, as mxnet writes it, and as mxnet reads what we wrote."""
    folder = tmp_path_factory.mktemp("mxnet")
    for name, arrays in CASES.items():
        ndarrays.write(folder / f"{name}.ours", arrays)
        save_npz(folder / f"{name}.npz", arrays)
    run_mxnet(folder)
    return folder


def save_npz(path: Path, arrays: ndarrays.Arrays) -> None:
    named = isinstance(arrays, dict)
    np.savez(path, *([] if named else arrays), **(arrays if named else {}))


def run_mxnet(folder: Path) -> None:
    program = [PYTHON, "-W", "ignore", ROOT / "tests" / "environments" / "mxnet_files.py", folder]
    done = subprocess.run(program, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def assert_same(found: ndarrays.Arrays, wanted: ndarrays.Arrays) -> None:
    assert type(found) is type(wanted)
    assert len(found) == len(wanted)
    for place in wanted if isinstance(wanted, dict) else range(len(wanted)):
        assert found[place].dtype == wanted[place].dtype
        assert found[place].shape == wanted[place].shape
        assert found[place].tobytes() == wanted[place].tobytes()


@pytest.mark.parametrize("name", CASES)
def test_the_bytes_are_those_that_mxnet_writes(folder, name):
    assert (folder / f"{name}.ours").read_bytes() == (folder / f"{name}.mxnet").read_bytes()


@pytest.mark.parametrize("name", CASES)
def test_what_mxnet_saves_is_read(folder, name):
    assert_same(ndarrays.read(folder / f"{name}.mxnet"), CASES[name])


@pytest.mark.parametrize("name", CASES)
def test_what_is_written_mxnet_reads(folder, name):
    with np.load(folder / f"{name}.read.npz") as read:
        found = dict(read)
    assert_same(found if isinstance(CASES[name], dict) else list(found.values()), CASES[name])
