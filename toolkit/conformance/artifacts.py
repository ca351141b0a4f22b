"""What is in a model's folder, and whether an installed algorithm would load it."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from toolkit import ndarrays
from toolkit.errors import BadArtifact
from toolkit.serving.inference import load

FIRST_BYTES = {
    b"\x93NUMPY": "a NumPy array",
    b"PK\x03\x04": "a zip archive",
    b"\x1f\x8b": "compressed by gzip; an archive inside of the archive?",
    b"\x80": "a pickle, which would run code where it is loaded; nothing here loads it",
    b"{": "JSON",
}
REPACK = "mkdir unpacked && tar -xzf {path} -C unpacked && tar -czf {path} -C {folder} ."


@dataclass(frozen=True)
class Member:
    """A file of a model: its path in the archive, its size, and what it holds, in words."""

    name: str
    n_bytes: int
    content: str


def members(folder: Path) -> list[Member]:
    """The files of a model, in the order of their names."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return [Member(_printable(path.relative_to(folder)), path.stat().st_size, content(path)) for path in files]


def content(path: Path) -> str:
    """What a file holds: each array's name, dtype and shape, else what its first bytes say; perhaps nothing."""
    try:
        return "; ".join(_arrays(ndarrays.read(path))) or "no arrays"
    except BadArtifact:
        with path.open("rb") as file:
            start = file.read(8)
        return next((words for first, words in FIRST_BYTES.items() if start.startswith(first)), "")


def leading_folder(folder: Path) -> str | None:
    """The one folder that holds everything, where the files should be at the top; or None."""
    tops = list(folder.iterdir())
    return tops[0].name if len(tops) == 1 and tops[0].is_dir() else None


def obstacle(folder: Path, algorithm: str) -> str | None:
    """Why the installed algorithm would not load the model, or None. Raises BadOption for an unknown algorithm."""
    try:
        load(algorithm, folder)
    except BadArtifact as error:
        return str(error).replace(f"{folder}/", "")
    return None


def repacked(path: Path, folder: str) -> str:
    """The shell command that takes a leading folder out of an archive."""
    return REPACK.format(path=shlex.quote(str(path)), folder=shlex.quote(f"unpacked/{folder}"))


def _printable(path: Path) -> str:
    """A name as it is, or quoted where it would write more than itself to a terminal."""
    name = path.as_posix()
    return name if name.isprintable() else repr(name)


def _arrays(arrays: Mapping[str, np.ndarray] | list[np.ndarray]) -> list[str]:
    named = arrays.items() if isinstance(arrays, Mapping) else (("one without a name", array) for array in arrays)
    return [f"{name} {array.dtype} {array.shape}" for name, array in named]
