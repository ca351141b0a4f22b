"""A model's folder as a model.tar.gz, and back; no archive writes outside of its folder or grows without end.

SageMaker packs what lies in the model folder, without a leading folder: `model_algo-1` is a member,
`model/model_algo-1` is not (SageMaker guide, "How Amazon SageMaker processes training output").
"""

from __future__ import annotations

import gzip
import os
import shutil
import stat
import tarfile
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from toolkit.errors import BadArtifact, BadOption
from toolkit.files import written_whole

MOST_BYTES = 10 * 2**30  # unpacked; far above any model of ours, far below a disk
MOST_MEMBERS = 100_000
MOST_AT_ONCE = 2**16  # bytes of one read: tarfile reads a member's headers in one piece, whatever size they claim
COMPRESSION = 1  # on MNIST's rows level 9 takes 24 times as long and saves a fifth; on dense arrays nothing


def pack(model_dir: Path, path: Path) -> None:
    """Writes what is in `model_dir` to a model.tar.gz, always the same bytes for the same files.

    Raises BadArtifact for a link, a pipe or a device, which `extract` would refuse.
    """
    members = [_member(model_dir, file) for file in sorted(model_dir.rglob("*"))]
    with (
        written_whole(path) as file,
        gzip.GzipFile("", "wb", COMPRESSION, file, mtime=0) as stream,
        tarfile.open(fileobj=stream, mode="w") as archive,
    ):
        for member in members:
            if member.isdir():
                archive.addfile(member)
                continue
            with (model_dir / member.name).open("rb") as content:
                archive.addfile(member, content)


@contextmanager
def unpacked(model: Path) -> Iterator[Path]:
    """The folder of a model's files: of a model.tar.gz, or of the folder that holds one, while the block lasts.

    A folder of the files themselves is given as it is. Raises BadOption for what is none of these, and as `extract`.
    """
    packed = model / "model.tar.gz" if model.is_dir() else model
    if packed.is_file():
        with tempfile.TemporaryDirectory(prefix="byoa-model-") as scratch:
            extract(packed, Path(scratch))
            yield Path(scratch)
    elif model.is_dir():
        yield model
    else:
        raise BadOption(f"no model {model}; it must be a model.tar.gz or a folder")


def extract(path: Path, directory: Path, most_bytes: int = MOST_BYTES) -> None:
    """Fills `directory`, which is new or empty, from a model.tar.gz, or leaves it as it was.

    Only files and folders come out, without owners, times and permissions. Raises BadArtifact for an archive
    that is damaged, that would write outside of `directory`, or that unpacks to more than `most_bytes`.
    """
    if directory.exists() and any(directory.iterdir()):
        raise BadOption(f"{directory} must be a new or empty folder to extract {path}")
    unfinished = directory.with_name(f".{directory.name}.{os.getpid()}")
    unfinished.mkdir(parents=True)
    try:
        _extract(path, unfinished, most_bytes)
        unfinished.replace(directory)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _member(model_dir: Path, file: Path) -> tarfile.TarInfo:
    """A file or folder as a member of an archive, without what differs from one machine to the next."""
    member = tarfile.TarInfo(file.relative_to(model_dir).as_posix())
    status = file.lstat()
    if stat.S_ISDIR(status.st_mode):
        member.type, member.mode = tarfile.DIRTYPE, 0o755
    elif stat.S_ISREG(status.st_mode):
        member.size = status.st_size
    else:
        raise BadArtifact(f"a model folder may hold files and folders; {file} is neither")
    return member


def _extract(path: Path, directory: Path, most_bytes: int) -> None:
    try:
        with path.open("rb") as file:
            _unpack(_Unpacked(file, most_bytes), directory)
    except _Refused as error:
        raise BadArtifact(f"{path} must be a model.tar.gz; {error}") from error
    except (tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError, ValueError, RecursionError) as error:
        raise BadArtifact(f"{path} must be a model.tar.gz; it is damaged: {error}") from error
    except OSError as error:
        raise BadArtifact(f"{path} cannot be extracted: {error.strerror}") from error


class _Refused(Exception):
    """Why an archive is not extracted."""


class _Unpacked:
    """The bytes inside a gzip file, read forwards only, in small pieces, and at most `most_bytes` of them."""

    def __init__(self, file: BinaryIO, most_bytes: int):
        self.stream = gzip.GzipFile(fileobj=file)
        self.most_bytes = most_bytes
        self.tell = self.stream.tell

    def read(self, size: int) -> bytes:
        if not 0 <= size <= MOST_AT_ONCE:
            raise _Refused(f"a member has a header of {size} bytes, there may be {MOST_AT_ONCE}")
        content = self.stream.read(size)
        self.expect(0)
        return content

    def seek(self, offset: int) -> None:
        if offset < self.tell():
            raise _Refused("a member begins before the end of another")
        while self.tell() < offset and self.read(min(offset - self.tell(), MOST_AT_ONCE)):
            pass

    def finish(self) -> None:
        """Reads on to the end, where gzip compares its checksum."""
        while self.read(MOST_AT_ONCE):
            pass

    def expect(self, size: int) -> None:
        """Raises _Refused where `size` more bytes would be too many."""
        if self.tell() + size > self.most_bytes:
            raise _Refused(f"it unpacks to more than {self.most_bytes} bytes")


def _unpack(stream: _Unpacked, directory: Path) -> None:
    archive = tarfile.TarFile(fileobj=stream)
    for place, member in enumerate(iter(archive.next, None)):
        archive.members.clear()  # which tarfile would keep, each with its headers
        if place == MOST_MEMBERS:
            raise _Refused(f"it has more than {MOST_MEMBERS} members")
        _check(member)
        stream.expect(member.size)
        _write(archive, member, directory / member.name)
    stream.finish()


def _check(member: tarfile.TarInfo) -> None:
    """Raises _Refused for a member that is not a plain file or folder below the folder of extraction."""
    name = PurePosixPath(member.name)
    if name.is_absolute() or ".." in name.parts:
        raise _Refused(f"member {member.name!r} would lie outside of the folder of extraction")
    if member.issparse() or not (member.isreg() or member.isdir()):
        raise _Refused(f"member {member.name!r} is neither a file nor a folder")
    if member.size < 0:
        raise _Refused(f"member {member.name!r} has a size of {member.size} bytes")


def _write(archive: tarfile.TarFile, member: tarfile.TarInfo, path: Path) -> None:
    if member.isdir():
        path.mkdir(parents=True, exist_ok=True)
        return
    if path.exists():
        raise _Refused(f"member {member.name!r} is there twice")
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("xb") as file:
        shutil.copyfileobj(archive.extractfile(member), file)
