import math
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of

from toolkit import ndarrays
from toolkit.errors import AlgorithmFault, BadArtifact

DTYPES = ("float32", "float64", "float16", "uint8", "int32", "int8", "int64")
ONE_ARRAY = (  # [[1, 2]] without a name
    struct.pack("<3Q", 0x112, 0, 1)
    + struct.pack("<IiI2q3i", 0xF993FAC9, 0, 2, 1, 2, 1, 0, 0)
    + struct.pack("<2f", 1, 2)
    + struct.pack("<Q", 0)
)
shapes = arrays_of.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4)
any_array = st.sampled_from(DTYPES).flatmap(lambda dtype: arrays_of.arrays(dtype, shapes))
on_one_folder = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


def refusal(path: Path, content: bytes) -> str:
    path.write_bytes(content)
    with pytest.raises(BadArtifact) as caught:
        ndarrays.read(path)
    return str(caught.value).removeprefix(f"{path} must be an MXNet NDArray file; ")


def test_the_bytes_are_those_of_the_format(tmp_path):
    ndarrays.write(tmp_path / "model", [np.array([[1, 2]], np.float32)])
    assert (tmp_path / "model").read_bytes() == ONE_ARRAY


def test_names_follow_the_arrays(tmp_path):
    ndarrays.write(tmp_path / "model", {"é": np.array([[1, 2]], np.float32)})
    named = ONE_ARRAY[:-8] + struct.pack("<2Q", 1, 2) + "é".encode()
    assert (tmp_path / "model").read_bytes() == named


@given(st.one_of(st.lists(any_array, max_size=4), st.dictionaries(st.text(max_size=9), any_array, min_size=1)))
@on_one_folder
def test_what_is_written_is_read(tmp_path, arrays):
    ndarrays.write(tmp_path / "model", arrays)
    found = ndarrays.read(tmp_path / "model")
    assert type(found) is type(arrays)
    assert list(found) == list(arrays) if isinstance(arrays, dict) else len(found) == len(arrays)
    for place in arrays if isinstance(arrays, dict) else range(len(arrays)):
        assert found[place].dtype == arrays[place].dtype
        assert found[place].shape == arrays[place].shape
        assert found[place].tobytes() == arrays[place].tobytes()


@pytest.mark.parametrize("shape", [(), (0,), (0, 3), (3, 0)])
def test_an_array_without_dimensions_or_rows_makes_a_file_of_numpy_shapes(tmp_path, shape):
    ndarrays.write(tmp_path / "model", [np.zeros(shape, np.int32), np.ones(2, np.int32)])
    empty, full = ndarrays.read(tmp_path / "model")
    assert empty.shape == shape
    assert full.tolist() == [1, 1]
    assert (tmp_path / "model").read_bytes().count(struct.pack("<I", 0xF993FACA)) == 2


def test_no_arrays_at_all_are_read_as_a_list(tmp_path):
    ndarrays.write(tmp_path / "model", {})
    assert ndarrays.read(tmp_path / "model") == []


def test_memory_order_and_byte_order_do_not_matter(tmp_path):
    straight = np.arange(6, dtype="<f4").reshape(2, 3)
    ndarrays.write(tmp_path / "straight", [straight])
    for other in (
        np.asfortranarray(straight),
        straight.astype(">f4"),
        np.repeat(straight, 2, axis=1)[:, ::2],
    ):
        ndarrays.write(tmp_path / "other", [other])
        assert (tmp_path / "other").read_bytes() == (tmp_path / "straight").read_bytes()


def test_arrays_that_were_read_can_be_changed(tmp_path):
    (tmp_path / "model").write_bytes(ONE_ARRAY)
    (array,) = ndarrays.read(tmp_path / "model")
    array += 1
    assert array.tolist() == [[2, 3]]


def test_an_array_saved_on_a_gpu_is_read(tmp_path):
    on_cpu, on_gpu = struct.pack("<q3i", 2, 1, 0, 0), struct.pack("<q3i", 2, 2, 3, 0)
    (tmp_path / "model").write_bytes(ONE_ARRAY.replace(on_cpu, on_gpu))
    assert ndarrays.read(tmp_path / "model")[0].tolist() == [[1, 2]]


def test_a_dtype_that_the_format_lacks_is_the_plugins_fault_and_leaves_no_file(tmp_path):
    with pytest.raises(AlgorithmFault) as caught:
        ndarrays.write(tmp_path / "model", {"v": np.ones(2), "w": np.ones(2, complex)})
    known = "float32, float64, float16, uint8, int32, int8, int64"
    assert str(caught.value) == f"array 'w' must be of one of {known} to be saved; got complex128"
    assert list(tmp_path.iterdir()) == []


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path):
    (tmp_path / "model").write_bytes(ONE_ARRAY)
    with pytest.raises(UnicodeEncodeError):
        ndarrays.write(tmp_path / "model", {"\ud800": np.ones(2)})
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [ONE_ARRAY]


def test_a_missing_file_is_told(tmp_path):
    with pytest.raises(BadArtifact) as caught:
        ndarrays.read(tmp_path / "model")
    assert str(caught.value) == f"{tmp_path / 'model'} cannot be read: No such file or directory"


def test_a_folder_is_told(tmp_path):
    with pytest.raises(BadArtifact) as caught:
        ndarrays.read(tmp_path)
    assert str(caught.value) == f"{tmp_path} cannot be read: Is a directory"


def one_array(start: str, *numbers: int) -> bytes:
    """A file with one array, of which only the beginning is there."""
    return struct.pack("<3Q", 0x112, 0, 1) + struct.pack(f"<{start}", *numbers)


CLASSIC, NUMPY = 0xF993FAC9, 0xF993FACA
WITHOUT_NAMES = ONE_ARRAY[:-8]


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "it is cut off: its header takes 24 bytes, 0 are left"),
        (b"PK\3\4" + bytes(40), "it begins with 0x4034b50 in place of 0x112"),
        (struct.pack("<3Q", 0x112, 0, 2**64 - 1), "it is cut off: array 0 takes 12 bytes, 0 are left"),
        (one_array("IiI", 0xF993FAC8, 0, 1), "array 0 begins with 0xf993fac8 in place of 0xf993fac9"),
        (one_array("IiI", CLASSIC, 2, 1), "array 0 has the storage type 2, only dense arrays (0) are read"),
        (one_array("IiI", CLASSIC, -1, 1), "array 0 has the storage type -1, only dense arrays (0) are read"),
        (one_array("IiI", CLASSIC, 0, 0), "array 0 has 0 dimensions, there may be 1 to 32"),
        (one_array("IiI", NUMPY, 0, 2**32 - 1), "array 0 has 4294967295 dimensions, there may be 0 to 32"),
        (one_array("IiI", CLASSIC, 0, 3), "it is cut off: array 0 takes 24 bytes, 0 are left"),
        (
            one_array("IiI2q", CLASSIC, 0, 2, 3, -1),
            "array 0 has the shape (3, -1), each dimension must be at least 1",
        ),
        (
            one_array("IiI2q", CLASSIC, 0, 2, 0, 5),
            "array 0 has the shape (0, 5), each dimension must be at least 1",
        ),
        (
            one_array("IiI2q", NUMPY, 0, 2, -1, 5),
            "array 0 has the shape (-1, 5), each dimension must be at least 0",
        ),
        (one_array("IiIq3i", CLASSIC, 0, 1, 1, 1, 0, 7), "array 0 has the dtype code 7, known are 0 to 6"),
        (one_array("IiIq3i", CLASSIC, 0, 1, 1, 1, 0, -1), "array 0 has the dtype code -1, known are 0 to 6"),
        (
            one_array("IiI2q3i", CLASSIC, 0, 2, 2**62, 2**62, 1, 0, 0),
            f"it is cut off: array 0 of shape {(2**62, 2**62)} and float32 takes {2**126} bytes, 0 are left",
        ),
        (
            one_array("IiI2q3iQ", NUMPY, 0, 2, 0, 2**62, 1, 0, 0, 0),
            f"array 0 has the shape {(0, 2**62)}, which no array can have",
        ),
        (
            ONE_ARRAY[:-12],
            "it is cut off: array 0 of shape (1, 2) and float32 takes 8 bytes, 4 are left",
        ),
        (WITHOUT_NAMES, "it is cut off: the number of its names takes 8 bytes, 0 are left"),
        (WITHOUT_NAMES + struct.pack("<Q", 2**63), f"it has {2**63} names for 1 arrays"),
        (
            WITHOUT_NAMES + struct.pack("<2Q", 1, 2**63),
            f"it is cut off: name 0 takes {2**63} bytes, 0 are left",
        ),
        (WITHOUT_NAMES + struct.pack("<2Q", 1, 1) + b"\xff", "name 0 is not UTF-8"),
        (ONE_ARRAY + b"abc", "3 bytes follow its end"),
    ],
)
def test_a_file_that_cannot_be_is_refused_in_one_sentence(tmp_path, content, why):
    assert refusal(tmp_path / "model", content) == why


def test_two_arrays_of_one_name_are_refused(tmp_path):
    array = ONE_ARRAY[24:-8]
    content = struct.pack("<3Q", 0x112, 0, 2) + 2 * array + struct.pack("<Q", 2) + 2 * (struct.pack("<Q", 1) + b"v")
    why = "two of its arrays have one name, the names are ['v', 'v']"
    assert refusal(tmp_path / "model", content) == why


def read_or_refused(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    try:
        found = ndarrays.read(path)
    except BadArtifact:
        return
    values = found.values() if isinstance(found, dict) else found
    assert sum(array.nbytes for array in values) < len(content)
    assert all(math.prod(array.shape) == array.size for array in values)


@given(st.binary(max_size=200))
@on_one_folder
def test_any_bytes_are_read_or_refused(tmp_path, content):
    read_or_refused(tmp_path / "model", content)


@given(st.data())
@settings(on_one_folder, max_examples=500)
def test_a_mutated_file_is_read_or_refused(tmp_path, data):
    arrays = {
        "mean": np.ones((1, 3), np.float32),
        "v": np.zeros((3, 0), np.float64),
        "s": np.ones((), np.int8),
    }
    ndarrays.write(tmp_path / "whole", arrays)
    content = bytearray((tmp_path / "whole").read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(content) - 1))
        length = data.draw(st.integers(0, 8))
        content[at : at + length] = data.draw(st.binary(max_size=12))
        content = content or bytearray(1)
    read_or_refused(tmp_path / "model", bytes(content))
