"""What every format's writer of rows does: the counterpart of a reader, for files."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import BinaryIO

from toolkit.dataset import Dataset
from toolkit.errors import BadOption
from toolkit.formats.media_types import MediaType


class Writer(ABC):
    """Writes rows to one file, some at a time; a subclass for each format."""

    def __init__(self, file: BinaryIO, media_type: MediaType):
        self.file = file
        self.media_type = media_type

    @abstractmethod
    def write(self, data: Dataset) -> None:
        """Appends rows; all have the same width, and the same number of labels."""

    def finish(self) -> None:  # noqa: B027  most formats have nothing there
        """Appends what stands behind the last row."""

    def refuse_labels(self, data: Dataset) -> None:
        """Raises BadOption where the rows have labels, for a format that has no place for them."""
        if data.y is not None:
            raise BadOption(
                f"{self.media_type.name} has no place for labels; byoa convert leaves them out with --without-labels"
            )
