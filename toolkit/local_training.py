"""A training job on this machine: files and hyperparameters -> an /opt/ml tree -> the real `train` -> model.tar.gz.

The tree is private and goes with the job; the inputs are linked into it, not copied.
"""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from toolkit import archive
from toolkit.environment import FAILURE_CHARACTERS
from toolkit.errors import BadOption, UserError

STOPS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


@dataclass(frozen=True)
class Source:
    """A file or folder on this machine, and the content type of what is in it (None: the algorithm's own)."""

    path: Path
    content_type: str | None = None


def run(algorithm: str, sources: Mapping[str, Source], hyperparameters: Mapping[str, str], output: Path) -> Path:
    """Trains on `sources` (by channel) and returns the path of `output`/model.tar.gz.

    The program's log goes to standard output. Raises UserError with the reason of a job that failed, `output` being as
    it was before, and of one that was stopped: the model so far is then there, if there was one.
    """
    output.mkdir(parents=True, exist_ok=True)
    root = Path(tempfile.mkdtemp(prefix=".job-", dir=output))
    try:
        build_tree(root, sources, hyperparameters)
        is_stopped = _train(algorithm, root, sources)
        if not any((root / "model").iterdir()):
            raise UserError("the job was stopped before there was a first model; nothing is saved")
        model = _collect(root, output)
        if is_stopped:
            raise UserError(f"the job was stopped; the model so far is {model}")
        return model
    finally:
        shutil.rmtree(root)


def build_tree(root: Path, sources: Mapping[str, Source], hyperparameters: Mapping[str, str]) -> None:
    """Lays out what SageMaker would: input/config, input/data with a folder for each channel, model, output/data."""
    for folder in ("input/config", "input/data", "model", "output/data"):
        (root / folder).mkdir(parents=True)
    for name, source in sources.items():
        _link(source.path, root / "input" / "data" / name)
    _write_config(root, "hyperparameters", dict(hyperparameters))
    _write_config(root, "inputdataconfig", {name: _described(source) for name, source in sources.items()})
    _write_config(
        root, "resourceconfig", {"current_host": "algo-1", "hosts": ["algo-1"], "network_interface_name": "lo"}
    )


def _link(path: Path, folder: Path) -> None:
    if not path.exists():
        raise BadOption(f"no file or folder {path}")
    if path.is_dir():
        folder.symlink_to(path.resolve(), target_is_directory=True)
    else:
        folder.mkdir()
        (folder / path.name).symlink_to(path.resolve())


def _described(source: Source) -> dict[str, str]:
    described = {"TrainingInputMode": "File", "S3DistributionType": "FullyReplicated", "RecordWrapperType": "None"}
    return described | ({"ContentType": source.content_type} if source.content_type else {})


def _write_config(root: Path, name: str, value: Mapping) -> None:
    (root / "input" / "config" / f"{name}.json").write_text(json.dumps(value))


def _train(algorithm: str, root: Path, sources: Mapping[str, Source]) -> bool:
    """Runs the `train` program of this Python; whether it was stopped, as it is when this process is told to stop."""
    command = [sys.executable, "-m", "toolkit.training", "--algorithm", algorithm, "--opt-ml", str(root)]
    process = subprocess.Popen(command, start_new_session=True)
    stops = []

    def stop(number, frame) -> None:
        stops.append(number)
        process.terminate()

    before = {number: signal.signal(number, stop) for number in STOPS}
    try:
        status = process.wait()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if stops and status == -signal.SIGTERM:  # before the program could hear it
        return True
    if status:
        raise UserError(_as_given(_reason(root, status), root, sources))
    return bool(stops)


def _reason(root: Path, status: int) -> str:
    try:
        failure = (root / "output" / "failure").read_text()[:FAILURE_CHARACTERS]
    except FileNotFoundError:
        failure = f"the train program left no reason; its exit status is {status}"
    return failure.partition("\n\n")[0].strip()


def _as_given(text: str, root: Path, sources: Mapping[str, Source]) -> str:
    """The text with each path below the job's tree as the user named it."""
    for name, source in sources.items():
        folder = root / "input" / "data" / name
        for place in (folder,) if source.path.is_dir() else (folder / source.path.name, folder):
            text = text.replace(str(place), str(source.path))
    return text


def _collect(root: Path, output: Path) -> Path:
    archive.pack(root / "model", output / "model.tar.gz")
    if any((root / "output" / "data").iterdir()):
        archive.pack(root / "output" / "data", output / "output.tar.gz")
    return output / "model.tar.gz"
