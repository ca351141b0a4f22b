"""MXNet NDArray files, which SageMaker's PCA and k-means containers write and read, in numpy alone.

Layout, little-endian (NDArray::Save in apache/mxnet src/ndarray/ndarray.cc; compared byte for byte with mxnet
1.9.1):

    u64 0x112 | u64 0 | u64 number of arrays
    each array: u32 magic | i32 storage type, 0 is dense | u32 ndim | i64 dimension x ndim
                i32 device type | i32 device id | i32 dtype code | the values in row-major order
    u64 number of names, 0 for a plain list | each name: u64 length | UTF-8

Two magic numbers say what a shape may be. Under the older one every array has a dimension, and each is 1 or
more. An array without dimensions or without rows needs the newer one, which mxnet writes and reads inside
`mx.util.np_shape()`; a file that holds such an array uses it throughout, as mxnet does.
"""

from __future__ import annotations

import math
import os
import struct
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from toolkit.errors import AlgorithmFault, BadArtifact
from toolkit.files import written_whole

Arrays = dict[str, np.ndarray] | list[np.ndarray]

FILE_MAGIC = 0x112
CLASSIC_MAGIC = 0xF993FAC9
NUMPY_MAGIC = 0xF993FACA  # shapes as numpy has them: () and (0, 3) are arrays
DTYPES = tuple(np.dtype(name) for name in ("<f4", "<f8", "<f2", "u1", "<i4", "i1", "<i8"))  # by their codes
MOST_DIMENSIONS = 32  # numpy 1.x has no more
DENSE = 0
CPU = 1


def write(path: Path, arrays: Arrays) -> None:
    """Writes named arrays or a plain list of arrays; the file is whole or not there.

    Raises AlgorithmFault for a dtype that the format lacks.
    """
    names = list(arrays) if isinstance(arrays, dict) else []
    values = [np.asarray(array) for array in (arrays.values() if isinstance(arrays, dict) else arrays)]
    codes = [_code(array, place) for array, place in zip(values, names or range(len(values)), strict=True)]
    magic = CLASSIC_MAGIC if all(array.ndim and array.size for array in values) else NUMPY_MAGIC
    with written_whole(path) as file:
        file.write(struct.pack("<3Q", FILE_MAGIC, 0, len(values)))
        for array, code in zip(values, codes, strict=True):
            file.write(struct.pack("<IiI", magic, DENSE, array.ndim))
            file.write(struct.pack(f"<{array.ndim}q3i", *array.shape, CPU, 0, code))
            array.astype(DTYPES[code], copy=False).tofile(file)
        file.write(struct.pack("<Q", len(names)))
        for name in (name.encode() for name in names):
            file.write(struct.pack("<Q", len(name)) + name)


def read(path: Path) -> Arrays:
    """The arrays of a file: a dict where they are named, else a list (also of a file that holds none).

    Raises BadArtifact for a file that is missing, cut off, too long, or that says what cannot be; takes no
    more memory than the file is long.
    """
    try:
        with path.open("rb") as file:
            return _Reader(path, file).arrays()
    except OSError as error:
        raise BadArtifact(f"{path} cannot be read: {error.strerror}") from error


def _code(array: np.ndarray, place: str | int) -> int:
    """The code of an array's dtype, in whatever byte order."""
    dtype = array.dtype.newbyteorder("<")
    if dtype not in DTYPES:
        known = ", ".join(dtype.name for dtype in DTYPES)
        raise AlgorithmFault(f"array {place!r} must be of one of {known} to be saved; got {array.dtype.name}")
    return DTYPES.index(dtype)


class _Reader:
    """An open file and what is left of it; no number from it is used before it is held against that."""

    def __init__(self, path: Path, file: BinaryIO):
        self.path = path
        self.file = file
        self.left = os.fstat(file.fileno()).st_size

    def arrays(self) -> Arrays:
        magic, _, count = self.numbers("3Q", "its header")
        if magic != FILE_MAGIC:
            raise self.refused(f"it begins with {magic:#x} in place of {FILE_MAGIC:#x}")
        arrays = [self.array(f"array {i}") for i in range(count)]
        names = self.names(len(arrays))
        if self.left:
            raise self.refused(f"{self.left} bytes follow its end")
        return dict(zip(names, arrays, strict=True)) if names else arrays

    def array(self, place: str) -> np.ndarray:
        magic, storage, ndim = self.numbers("IiI", place)
        if magic not in (CLASSIC_MAGIC, NUMPY_MAGIC):
            raise self.refused(f"{place} begins with {magic:#x} in place of {CLASSIC_MAGIC:#x}")
        if storage != DENSE:
            raise self.refused(f"{place} has the storage type {storage}, only dense arrays (0) are read")
        shape = self.shape(ndim, place, smallest=1 if magic == CLASSIC_MAGIC else 0)
        _, _, code = self.numbers("3i", place)  # the values of a GPU's array are in the file like any other's
        if not 0 <= code < len(DTYPES):
            raise self.refused(f"{place} has the dtype code {code}, known are 0 to {len(DTYPES) - 1}")
        return self.values(shape, DTYPES[code], place)

    def shape(self, ndim: int, place: str, smallest: int) -> tuple[int, ...]:
        """The dimensions of an array; both their number and each of them may be as small as `smallest`."""
        if not smallest <= ndim <= MOST_DIMENSIONS:
            raise self.refused(f"{place} has {ndim} dimensions, there may be {smallest} to {MOST_DIMENSIONS}")
        shape = self.numbers(f"{ndim}q", place)
        if any(dimension < smallest for dimension in shape):
            raise self.refused(f"{place} has the shape {shape}, each dimension must be at least {smallest}")
        return shape

    def values(self, shape: tuple[int, ...], dtype: np.dtype, place: str) -> np.ndarray:
        count = math.prod(shape)
        self.take(count * dtype.itemsize, f"{place} of shape {shape} and {dtype.name}")
        try:
            return np.fromfile(self.file, dtype, count).reshape(shape)
        except ValueError as error:  # an empty array whose other dimensions numpy cannot count
            raise self.refused(f"{place} has the shape {shape}, which no array can have") from error

    def names(self, wanted: int) -> list[str]:
        (count,) = self.numbers("Q", "the number of its names")
        if count not in (0, wanted):
            raise self.refused(f"it has {count} names for {wanted} arrays")
        names = [self.name(f"name {i}") for i in range(count)]
        if len(set(names)) < count:
            raise self.refused(f"two of its arrays have one name, the names are {names}")
        return names

    def name(self, place: str) -> str:
        (length,) = self.numbers("Q", place)
        self.take(length, place)
        try:
            return self.file.read(length).decode()
        except UnicodeDecodeError as error:
            raise self.refused(f"{place} is not UTF-8") from error

    def numbers(self, kinds: str, place: str) -> tuple[Any, ...]:
        size = struct.calcsize(f"<{kinds}")
        self.take(size, place)
        return struct.unpack(f"<{kinds}", self.file.read(size))

    def take(self, size: int, place: str) -> None:
        """Counts off bytes that are about to be read. Raises BadArtifact where so many are not left."""
        if size > self.left:
            raise self.refused(f"it is cut off: {place} takes {size} bytes, {self.left} are left")
        self.left -= size

    def refused(self, why: str) -> BadArtifact:
        return BadArtifact(f"{self.path} must be an MXNet NDArray file; {why}")
