"""Stages chained by a YAML file: each trains or transforms, and its output is the input of later ones.

A stage's output lies under a name made from all that it depends on: its own words, the content of its inputs and the
algorithm's source. So a second run repeats only what has changed, and one after a failure goes on where that was.
"""

from __future__ import annotations

import hashlib
import inspect
import json
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from toolkit import archive, local_training, machine
from toolkit.algorithm import find
from toolkit.errors import BadOption, ToolkitError, UserError
from toolkit.local_training import Source
from toolkit.transform import inputs
from toolkit.transform.job import TransformJob
from toolkit.transform.settings import Settings

STAGE = "stage:"  # stage:NAME or stage:NAME/path is the output of an earlier stage
STORE = ".stages"
Locate = Callable[[str], Path]


class Described(BaseModel):
    """A part of the file: unknown names are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())


class Files(Described):
    """Small files written out in the pipeline itself: their texts by name."""

    texts: dict[str, str]

    def paths(self) -> list[str]:
        """What it reads: nothing."""
        return []

    def run(self, output: Path, locate: Locate) -> None:
        """Writes the files. Raises BadOption for a name outside of the stage's folder."""
        for name, text in self.texts.items():
            path = output / name
            if output.resolve() not in path.resolve().parents:
                raise BadOption(f"a file must lie in the stage's own folder; got {name!r}")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)


class Train(Described):
    """A training job, whose output is the folder of model.tar.gz."""

    algorithm: str
    channels: dict[str, str]
    content_type: str | None = None
    hyperparameters: dict[str, Any] = {}

    def paths(self) -> list[str]:
        """The files and folders of its channels."""
        return list(self.channels.values())

    def run(self, output: Path, locate: Locate) -> None:
        """Runs the `train` program."""
        sources = {name: Source(locate(path), self.content_type) for name, path in self.channels.items()}
        local_training.run(self.algorithm, sources, {name: str(v) for name, v in self.hyperparameters.items()}, output)


class Transform(Described):
    """A batch transform job, whose output is the folder of the `.out` files; further names are those of Settings."""

    model_config = ConfigDict(extra="allow", frozen=True, protected_namespaces=())

    algorithm: str
    model: str
    input: str

    def paths(self) -> list[str]:
        """Its model and its input."""
        return [self.model, self.input]

    def settings(self) -> Settings:
        """The job's settings. Raises BadOption for a name that is none, and for a value that cannot be."""
        known = [field.name for field in fields(Settings)]
        for name in self.model_extra:
            if name not in known:
                raise BadOption(f"a transform job has no setting {name!r}; it has {', '.join(known)}")
        return Settings(**self.model_extra)

    def run(self, output: Path, locate: Locate) -> None:
        """Runs the job. Raises UserError with the first reason where a file fails."""
        job = TransformJob(inputs.find(locate(self.input), output), output, self.settings())
        with archive.unpacked(locate(self.model)) as model_dir:
            result = job.with_model(self.algorithm, model_dir, machine.n_cpus().value)
        for name, reason in result.failures.items():
            raise UserError(f"{len(result.failures)} of {len(job.files)} files failed; {name}: {reason}")


KINDS = {
    "files": lambda texts: Files(texts=texts),
    "train": Train.model_validate,
    "transform": Transform.model_validate,
}


@dataclass(frozen=True)
class Stage:
    """A named step of a pipeline."""

    name: str
    work: Files | Train | Transform

    def key(self, digests: dict[str, str]) -> str:
        """A name for the output, from all that it depends on; `digests` has the content of each path it reads."""
        plugin = getattr(self.work, "algorithm", None)
        code = hashlib.sha256(Path(inspect.getfile(find(plugin))).read_bytes()).hexdigest() if plugin else None
        parts = [type(self.work).__name__, self.work.model_dump(), digests, code, version("byoa")]
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:20]


@dataclass(frozen=True)
class Outcome:
    """What came of a stage: where its output lies, and whether it had to run."""

    stage: Stage
    output: Path
    has_run: bool


def read(path: Path) -> list[Stage]:
    """The stages that a YAML file describes. Raises BadOption, naming the stage, for what cannot be."""
    described = _parsed(path)
    listed = described.get("stages") if isinstance(described, dict) else None
    if not isinstance(listed, list) or not all(
        isinstance(stage, dict) and isinstance(stage.get("name"), str) for stage in listed
    ):
        raise BadOption(f"{path} must have a list 'stages', each with a 'name'")
    stages: dict[str, Stage] = {}
    for stage in listed:
        name = stage["name"]
        if not name or name in stages or "/" in name or name.startswith("."):
            raise BadOption(f"{path}: each stage must have a name of its own, usable for a folder; got {name!r}")
        stages[name] = _stage(name, stage, stages)
    return list(stages.values())


def _parsed(path: Path) -> Any:
    try:
        import yaml
    except ImportError as error:
        raise BadOption("a pipeline needs PyYAML: pip install PyYAML") from error
    try:
        return yaml.safe_load(path.read_bytes())
    except (OSError, yaml.YAMLError) as error:
        raise BadOption(f"{path} must be a YAML file; {' '.join(str(error).split())}") from error


def _stage(name: str, described: dict[str, Any], before: dict[str, Stage]) -> Stage:
    kinds = [kind for kind in described if kind != "name"]
    if len(kinds) != 1 or kinds[0] not in KINDS:
        raise BadOption(
            f"stage {name!r} must have one of {', '.join(KINDS)}; got {', '.join(map(str, kinds)) or 'none'}"
        )
    try:
        work = KINDS[kinds[0]](described[kinds[0]])
        if isinstance(work, Transform):
            work.settings()
    except ValidationError as error:
        problem = error.errors()[0]
        raise BadOption(f"stage {name!r}, {'.'.join(map(str, problem['loc']))}: {problem['msg'].lower()}") from error
    except BadOption as error:
        raise BadOption(f"stage {name!r}: {error}") from error
    for path in work.paths():
        if path.startswith(STAGE) and _referred(path)[0] not in before:
            raise BadOption(f"stage {name!r} reads {path!r}; no earlier stage has that name")
    return Stage(name, work)


def _referred(path: str) -> tuple[str, str]:
    """The name of the stage, and the path below its output."""
    name, _, below = path.removeprefix(STAGE).partition("/")
    return name, below


def run(stages: list[Stage], root: Path, output: Path) -> Iterator[Outcome]:
    """Runs what has to run, and gives each stage's outcome as soon as it is there: `output`/NAME.

    Paths in the file are below `root`. Raises UserError that names the stage which failed.
    """
    store = output / STORE
    store.mkdir(parents=True, exist_ok=True)
    for stage in stages:
        _check_free(output / stage.name)

    def locate(path: str) -> Path:
        if not path.startswith(STAGE):
            return root / path
        name, below = _referred(path)
        return (output / name).resolve() / below

    for stage in stages:
        try:
            kept = store / stage.key({path: digest(locate(path)) for path in stage.work.paths()})
            has_run = not kept.exists()
            if has_run:
                _run_into(kept, stage, locate)
        except ToolkitError as error:
            for unreached in stages[stages.index(stage) :]:  # what an earlier run made there is no result of this one
                (output / unreached.name).unlink(missing_ok=True)
            raise UserError(f"stage {stage.name!r} failed: {error}") from error
        _link(output / stage.name, kept)
        yield Outcome(stage, output / stage.name, has_run)


def _check_free(place: Path) -> None:
    """Raises BadOption where there is something else than the output of an earlier run."""
    if place.exists() and not place.is_symlink():
        kind = "folder" if place.is_dir() else "file"
        raise BadOption(f"{place} must be free for the output of the stage; it is a {kind}")


def _run_into(kept: Path, stage: Stage, locate: Locate) -> None:
    """Runs the stage in a hidden folder, which becomes `kept` when all of it is there."""
    draft = kept.with_name(f".{kept.name}.{os.getpid()}")
    draft.mkdir()
    try:
        stage.work.run(draft, locate)
        os.replace(draft, kept)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _link(place: Path, kept: Path) -> None:
    """Points `place` to the folder that is kept."""
    new = place.with_name(f".{place.name}.{os.getpid()}")
    new.symlink_to(Path(STORE) / kept.name, target_is_directory=True)
    os.replace(new, place)


def digest(path: Path) -> str:
    """A checksum of a file's content, or of the names and contents of all files in a folder."""
    if path.is_file():
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    if not path.is_dir():
        raise BadOption(f"no file or folder {path}")
    files = sorted(file for file in path.rglob("*") if file.is_file())
    parts = [f"{file.relative_to(path).as_posix()} {digest(file)}" for file in files]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()
