"""A model as a person names it: a model.tar.gz, the folder that holds one, or the folder of its files."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from toolkit import archive
from toolkit.errors import BadOption


@contextmanager
def unpacked(model: Path) -> Iterator[Path]:
    """The folder of the model's files; an archive is extracted for as long as the block lasts."""
    packed = model / "model.tar.gz" if model.is_dir() else model
    if packed.is_file():
        with tempfile.TemporaryDirectory(prefix="byoa-model-") as scratch:
            archive.extract(packed, Path(scratch))
            yield Path(scratch)
    elif model.is_dir():
        yield model
    else:
        raise BadOption(f"no model {model}; it must be a model.tar.gz or a folder")
