"""Files that are whole or not there: nobody ever reads one that is half-written."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from toolkit.errors import BadOption


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
