"""The content type that the ending of a file's name tells."""

from __future__ import annotations

from pathlib import Path

from toolkit.errors import BadOption
from toolkit.files import data_files

CONTENT_TYPES = {
    ".csv": "text/csv",
    ".json": "application/json",
    ".jsonl": "application/jsonlines",
    ".libsvm": "text/libsvm",
    ".npy": "application/x-npy",
    ".parquet": "application/x-parquet",
    ".pbr": "application/x-recordio-protobuf",
    ".recordio": "application/x-recordio-protobuf",
}
WITH_LABEL_COLUMNS = {"text/csv", "application/x-npy", "application/x-parquet"}  # as many as `label_size` says


def content_type_of(path: Path) -> str | None:
    """The content type of a file, or of all files in a folder, a `.gz` behind the ending passed over; None if unknown.

    Raises BadOption where a folder's files are of several.
    """
    files = data_files(path) if path.is_dir() else [path]
    found = sorted({CONTENT_TYPES[_ending(file)] for file in files if _ending(file) in CONTENT_TYPES})
    if len(found) > 1:
        raise BadOption(f"the files in {path} must be of one content type; their endings say {' and '.join(found)}")
    return found[0] if found else None


def _ending(path: Path) -> str:
    suffixes = path.suffixes[:-1] if path.suffix == ".gz" else path.suffixes
    return suffixes[-1].lower() if suffixes else ""
