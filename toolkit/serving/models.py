"""The models of a multi-model server: loaded and unloaded while it runs, through any of its workers.

What is loaded stands in files of a folder that all workers share; each has its own copy of a model from the first
request for it, and drops it once the file is gone.

Source: the Developer Guide's "Build Your Own Container for SageMaker AI Multi-Model Endpoints".
"""

from __future__ import annotations

import fcntl
import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson

from toolkit.environment import Limit
from toolkit.errors import BadOption, ModelExists, NoMemory, NoSuchModel
from toolkit.files import written_whole
from toolkit.serving.inference import Inference, load


class Models:
    """Models of one algorithm in folders below `root`; `shared` is a folder of the server's own.

    `room` is how many bytes the files of all loaded models may have together.
    """

    def __init__(self, algorithm: str, root: Path, shared: Path, room: Limit, default_accept: str):
        self.algorithm = algorithm
        self.root = root
        self.shared = shared
        self.room = room
        self.default_accept = default_accept
        self._copies: dict[Path, tuple[int, Inference]] = {}  # of this worker, by their files
        self._lock = threading.Lock()

    def load(self, name: str, url: str) -> None:
        """Loads the model in folder `url`. Raises ModelExists, NoMemory, BadOption, BadArtifact."""
        entry, folder = self._entry(name), self._folder(url)
        with self._loading():
            if entry.exists():
                raise ModelExists(f"model {name!r} is loaded already")
            self._check_room(name, _bytes_of(folder))
            load(self.algorithm, folder, self.default_accept)  # raises for what is no model
            described = {"modelName": name, "modelUrl": url, "bytes": _bytes_of(folder)}
            with written_whole(entry) as file:
                file.write(orjson.dumps(described))

    def unload(self, name: str) -> None:
        """Forgets a model. Raises NoSuchModel."""
        try:
            self._entry(name).unlink()
        except FileNotFoundError:
            raise _unknown(name) from None
        with self._lock:
            self._drop_unloaded()

    def describe(self, name: str) -> dict[str, str]:
        """The model as the API describes it. Raises NoSuchModel."""
        return _described(self._read(name))

    def listed(self) -> list[dict[str, str]]:
        """All models that are loaded, by name."""
        return sorted(map(_described, self._entries()), key=lambda model: model["modelName"])

    def inference(self, name: str) -> Inference:
        """The model, loaded into this worker if it is not. Raises NoSuchModel."""
        entry = self._entry(name)
        with self._lock:
            self._drop_unloaded()
            if entry not in self._copies:
                stamp, url = _stamp(entry), self._read(name)["modelUrl"]
                self._copies[entry] = stamp, load(self.algorithm, self._folder(url), self.default_accept)
            return self._copies[entry][1]

    @contextmanager
    def _loading(self) -> Iterator[None]:
        """One load at a time in all workers, so that none is taken twice and room is counted with what it takes."""
        with self._lock, (self.shared / "loading").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)  # which ends with the file, or with the process
            yield

    def _drop_unloaded(self) -> None:
        """Forgets the copies of models that any worker has unloaded, or loaded anew."""
        for entry, (stamp, _) in list(self._copies.items()):
            if _stamp(entry) != stamp:
                del self._copies[entry]

    def _check_room(self, name: str, n_bytes: int) -> None:
        taken = sum(described["bytes"] for described in self._entries())
        if taken + n_bytes > self.room.value:
            must = f"loaded models must have at most {self.room.value} bytes together (limit set by {self.room.source})"
            raise NoMemory(f"{must}; there are {taken}, model {name!r} has {n_bytes}")

    def _folder(self, url: str) -> Path:
        folder = Path(url)
        if not folder.is_dir() or not folder.resolve().is_relative_to(self.root.resolve()):
            raise BadOption(f"the url of a model must be a folder below {self.root}; got {url!r}")
        return folder

    def _entry(self, name: str) -> Path:
        """The file of a model; names are opaque and may be long or hold slashes."""
        return self.shared / f"{hashlib.sha256(name.encode()).hexdigest()}.json"

    def _entries(self) -> list[dict[str, Any]]:
        return [entry for path in self.shared.glob("*.json") if (entry := _parsed(path))]

    def _read(self, name: str) -> dict[str, Any]:
        if entry := _parsed(self._entry(name)):
            return entry
        raise _unknown(name)


def _parsed(entry: Path) -> dict[str, Any] | None:
    """What a file says of its model, None where any worker has unloaded it."""
    try:
        return orjson.loads(entry.read_bytes())
    except FileNotFoundError:
        return None


def _described(entry: dict[str, Any]) -> dict[str, str]:
    return {"modelName": entry["modelName"], "modelUrl": entry["modelUrl"]}


def _unknown(name: str) -> NoSuchModel:
    return NoSuchModel(f"model {name!r} is not loaded; POST /models loads it")


def _stamp(entry: Path) -> int | None:
    """When a model was loaded, None where it is not."""
    try:
        return entry.stat().st_mtime_ns
    except FileNotFoundError:
        return None


def _bytes_of(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
