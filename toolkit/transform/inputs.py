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
    """The input files of `source`. Names that begin with a dot are passed over.

    Raises BadOption where there are none, where the output is no folder, or where it would lie inside of the input.
    """
    if data_type not in ("S3Prefix", "ManifestFile"):
        raise BadOption(f"S3DataType must be S3Prefix or ManifestFile; got {data_type!r}")
    if not source.exists():
        raise BadOption(f"no file or folder {source}")
    if output.exists() and not output.is_dir():
        raise BadOption(f"the output {output} must be a folder; it is a file")
    if data_type == "ManifestFile":
        return _of_manifest(source)
    if source.is_file():
        return [InputFile(source, source.name)]
    if output.resolve().is_relative_to(source.resolve()):
        raise BadOption(f"the output folder {output} must not lie inside of the input folder {source}")
    files = [InputFile(path, path.relative_to(source).as_posix()) for path in source.rglob("*") if path.is_file()]
    found = [file for file in files if not any(part.startswith(".") for part in PurePosixPath(file.name).parts)]
    if not found:
        raise BadOption(f"no files in {source}")
    return sorted(found, key=lambda file: file.name)


def _of_manifest(manifest: Path) -> list[InputFile]:
    try:
        head, *names = json.loads(manifest.read_bytes())
        prefix = manifest.parent / head["prefix"]
        files = [InputFile(prefix / name, name) for name in dict.fromkeys(names)]
    except (ValueError, TypeError, KeyError) as error:
        must = 'a JSON array such as [{"prefix": "folder/"}, "a.csv", "b.csv"]'
        raise BadOption(f"the manifest {manifest} must be {must}") from error
    for file in files:
        if ".." in PurePosixPath(file.name).parts or PurePosixPath(file.name).is_absolute():
            raise BadOption(f"a name in the manifest {manifest} must lie below its prefix; got {file.name!r}")
        if not file.path.is_file():
            raise BadOption(f"the manifest {manifest} names {file.name!r}; there is no file {file.path}")
    return files
