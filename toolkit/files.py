"""Files: those that hold data, and those that are whole or not there, so that nobody reads one that is half-written."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from toolkit.errors import BadOption

GZIP = b"\x1f\x8b"  # the first bytes of a compressed file


@contextmanager
def written_whole(path: Path) -> Iterator[BinaryIO]:
    """A file open for writing that becomes `path` at the end of the block, and vanishes where that raises.

    Raises BadOption where there can be no such file.
    """
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        file = unfinished.open("wb")
    except OSError as error:
        raise BadOption(f"{path} cannot be written: {error.strerror}") from error
    try:
        with file:
            yield file
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)


def data_files(folder: Path) -> list[Path]:
    """The files below a folder in the order of their S3 keys, sub-folders included; of a file, itself.

    Passed over are hidden files, names with a leading `_` (markers of Spark and others), and the `-manifest` files that
    SageMaker leaves behind.
    """
    if folder.is_file():
        return [folder]
    found = sorted((path for path in folder.rglob("*") if path.is_file()), key=Path.as_posix)
    return [path for path in found if not _is_passed_over(path.relative_to(folder))]


def _is_passed_over(path: Path) -> bool:
    return path.name.endswith("-manifest") or any(part.startswith((".", "_")) for part in path.parts)
