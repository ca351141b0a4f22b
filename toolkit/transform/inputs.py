"""The files of a transform job's input, and where the output of each belongs.

A folder stands for the prefix: everything below it, in the order of the names. A file stands for the object given
exactly. A manifest is SageMaker's JSON array: an object with the prefix, then the names below it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from toolkit.errors import BadOption


@dataclass(frozen=True)
class InputFile:
    """A file, and its name below the prefix, with `/` between folders."""

    path: Path
    name: str

    @property
    def output_name(self) -> str:
        """Where its output lies below the output folder; for sub-folders SageMaker's own layout is unconfirmed."""
        return f"{self.name}.out"


def find(source: Path, output: Path, data_type: str = "S3Prefix") -> list[InputFile]:
    """The input files of `source`. Names that begin with a dot are passed over, and so are links to folders.

    Raises BadOption where there are none, where the output would lie inside of the input, or has no place.
    """
    if data_type not in ("S3Prefix", "ManifestFile"):
        raise BadOption(f"S3DataType must be S3Prefix or ManifestFile; got {data_type!r}")
    if not source.exists():
        raise BadOption(f"no file or folder {source}")
    if data_type == "ManifestFile":
        files = _of_manifest(source)
    elif source.is_file():
        files = [InputFile(source, source.name)]
    else:
        files = _of_folder(source)
    _check_places([output / file.output_name for file in files])
    if output.resolve().is_relative_to(source.resolve()):
        raise BadOption(f"the output folder {output} must not lie inside of the input folder {source}")
    if not files:
        raise BadOption(f"no files in {source}")
    return files


def _of_folder(source: Path) -> list[InputFile]:
    files = [InputFile(path, path.relative_to(source).as_posix()) for path in source.rglob("*") if path.is_file()]
    found = [file for file in files if not any(part.startswith(".") for part in PurePosixPath(file.name).parts)]
    return sorted(found, key=lambda file: file.name)


def _check_places(places: list[Path]) -> None:
    """Raises BadOption where a folder is in the place of a file, or a file in the place of a folder."""
    folders = {folder for place in places for folder in place.parents}
    for place in places:
        if place in folders or place.is_dir():
            raise BadOption(f"the output {place} must be a file; it is a folder")
    for folder in sorted(folders):
        if folder.exists() and not folder.is_dir():
            raise BadOption(f"the output {folder} must be a folder; it is a file")


def _of_manifest(manifest: Path) -> list[InputFile]:
    try:
        head, *names = json.loads(manifest.read_bytes())
        prefix = manifest.parent / head["prefix"]
        files = [InputFile(prefix / name, name) for name in dict.fromkeys(str(PurePosixPath(name)) for name in names)]
    except (ValueError, TypeError, KeyError) as error:
        must = 'a JSON array such as [{"prefix": "folder/"}, "a.csv", "b.csv"]'
        raise BadOption(f"the manifest {manifest} must be {must}") from error
    for file in files:
        if ".." in PurePosixPath(file.name).parts or PurePosixPath(file.name).is_absolute():
            raise BadOption(f"a name in the manifest {manifest} must lie below its prefix; got {file.name!r}")
        if not file.path.is_file():
            raise BadOption(f"the manifest {manifest} names {file.name!r}; there is no file {file.path}")
    return files
