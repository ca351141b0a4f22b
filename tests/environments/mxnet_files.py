"""mxnet_files.py FOLDER: run by the Python of .envs/mxnet, on every NAME.npz in a folder.

Saves the same arrays by mxnet as NAME.mxnet, and tells in NAME.read.npz what mxnet reads from NAME.ours.
Arrays named arr_0, arr_1 and so on stand for a plain list.
"""

import sys
from pathlib import Path

import mxnet
import numpy


def save(npz: Path) -> None:
    arrays = {name: mxnet.nd.array(array, dtype=array.dtype) for name, array in numpy.load(npz).items()}
    path = str(npz.with_suffix(".mxnet"))
    mxnet.nd.save(path, list(arrays.values()) if "arr_0" in arrays else arrays)


def read(npz: Path) -> None:
    found = mxnet.nd.load(str(npz.with_suffix(".ours")))
    if isinstance(found, dict):
        numpy.savez(npz.with_suffix(".read.npz"), **{name: array.asnumpy() for name, array in found.items()})
    else:
        numpy.savez(npz.with_suffix(".read.npz"), *(array.asnumpy() for array in found))


for npz in sorted(Path(sys.argv[1]).glob("*.npz")):
    with mxnet.util.np_shape("numpy_shapes" in npz.name):
        save(npz)
        if npz.with_suffix(".ours").exists():
            read(npz)
