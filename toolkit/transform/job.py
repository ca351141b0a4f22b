"""A batch transform job over files: blocks are answered side by side, and stored in their order.

At most a few blocks and answers are in memory, however large the files are. All output is written below a hidden folder
and moved into its place when the job ends: a failed file leaves no output while the others are finished, and a job that
is stopped stores nothing.

Source: the API's CreateTransformJob and StopTransformJob, the Developer Guide's "Batch Transform".
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import NamedTuple

from toolkit.errors import ToolkitError
from toolkit.transform import records
from toolkit.transform.container import Container
from toolkit.transform.exchanges import Piece, Refused
from toolkit.transform.filters import Processing
from toolkit.transform.inputs import InputFile
from toolkit.transform.settings import Settings, resolved
from toolkit.transform.workers import ContainerWorker, ModelProcess, Worker, Workers, launch

PARTS_PER_WORKER = 2  # answered ahead of the one that is stored next

Progress = Callable[[int, int], None]  # bytes of input and records that are done since the last call


@dataclass
class Result:
    """What a job did: the names of the files that it stored, and the reason for each input file that failed.

    The numbers count what was answered, in files that failed later too.
    """

    stored: list[str] = field(default_factory=list)
    failures: dict[str, str] = field(default_factory=dict)
    n_records: int = 0
    n_requests: int = 0
    n_bytes: int = 0

    @property
    def status(self) -> str:
        """TransformJobStatus, as DescribeTransformJob has it."""
        return "Failed" if self.failures else "Completed"


class Part(NamedTuple):
    """A block of a file under way; the last part of each file is its end, with nothing to wait for."""

    file: InputFile
    answer: Future[Piece] | None
    n_bytes: int


@dataclass
class TransformJob:
    """Files to be transformed into the folder `output`; `progress` hears what is done while the job runs."""

    files: list[InputFile]
    output: Path
    settings: Settings
    progress: Progress = lambda n_bytes, n_records: None

    def with_model(self, algorithm: str, model_dir: Path, n_workers: int) -> Result:
        """Runs with a model, in processes that answer as the server does, without HTTP between.

        Raises BadOption for settings that do not go together, BadArtifact for a model that cannot be loaded.
        """
        self.settings = resolved(self.settings, {})
        Processing(self.settings)
        processes = [ModelProcess(algorithm, model_dir, self.settings) for _ in range(n_workers)]
        return self.run(launch(processes))

    def with_container(self, url: str) -> Result:
        """Runs with the container at `url`, with as many requests at once as the settings or the container say.

        Raises BadOption for settings that do not go together, ContainerFault where nobody answers /ping.
        """
        Processing(self.settings)
        with closing(Container(url, self.settings)) as container:
            container.wait_until_ready()
            self.settings = resolved(self.settings, container.execution_parameters())
        return self.run([ContainerWorker(url, self.settings) for _ in range(self.settings.max_concurrent_transforms)])

    def run(self, workers: list[Worker]) -> Result:
        """Runs with these workers, which are closed at the end; the settings must be resolved."""
        result = Result()
        with Workers(workers) as team, _drafts(self.output) as drafts:
            parts = _ahead(self._parts(team, result), PARTS_PER_WORKER * len(team))
            for file, of_file in groupby(parts, attrgetter("file")):
                self._store(of_file, drafts / file.output_name, file, result)
            self._publish(drafts, result)
        return result

    def _parts(self, team: Workers, result: Result) -> Iterator[Part]:
        """The parts of all files in order; nothing more of a file that has failed."""
        for file in self.files:
            done = 0
            try:
                for block in records.blocks(file.path, self.settings):
                    if file.name in result.failures:
                        break
                    yield Part(file, team.submit(block), block.consumed - done)
                    done = block.consumed
            except (ToolkitError, OSError) as error:
                yield Part(file, _raising(error), 0)
            yield Part(file, None, 0)

    def _store(self, parts: Iterable[Part], path: Path, file: InputFile, result: Result) -> None:
        """Writes the output of one file, or its failure."""
        path.parent.mkdir(parents=True, exist_ok=True)
        n_before = result.n_records
        try:
            with path.open("wb") as target:
                for part in parts:
                    self._write(part, target, result)
        except (ToolkitError, OSError) as error:
            result.failures[file.name] = reason(error, result.n_records - n_before)
            path.unlink()
        else:
            result.stored.append(file.output_name)

    def _write(self, part: Part, target, result: Result) -> None:
        if part.answer is None:
            return
        piece = part.answer.result()
        target.write(piece.body)
        result.n_records += piece.n_records
        result.n_requests += piece.n_requests
        result.n_bytes += part.n_bytes
        self.progress(part.n_bytes, piece.n_records)

    def _publish(self, drafts: Path, result: Result) -> None:
        for name in result.stored:
            place = self.output / name
            place.parent.mkdir(parents=True, exist_ok=True)
            os.replace(drafts / name, place)


@contextmanager
def _drafts(output: Path) -> Iterator[Path]:
    """A hidden folder below the output folder; both go at the end, the output folder if it is new and empty."""
    is_new = not output.exists()
    output.mkdir(parents=True, exist_ok=True)
    drafts = Path(tempfile.mkdtemp(prefix=".transform-", dir=output))
    try:
        yield drafts
    finally:
        shutil.rmtree(drafts)
        if is_new and not any(output.iterdir()):
            output.rmdir()


def _ahead(parts: Iterator[Part], n_ahead: int) -> Iterator[Part]:
    """The parts, drawn so far ahead that every worker has something to do."""
    waiting: deque[Part] = deque()
    for part in parts:
        waiting.append(part)
        if len(waiting) > n_ahead:
            yield waiting.popleft()
    yield from waiting


def _raising(error: Exception) -> Future[Piece]:
    future: Future[Piece] = Future()
    future.set_exception(error)
    return future


def reason(error: Exception, n_before: int) -> str:
    """Why a file failed, as SageMaker sorts it: the caller's fault or the container's, and at which of its records."""
    fault = "ClientError" if getattr(error, "status", 500) < 500 else "AlgorithmError"
    if not isinstance(error, Refused):
        return f"{fault}: {error}"
    first, last = n_before + error.record + 1, n_before + error.record + error.n_records
    where = f"record {first}" if first == last else f"records {first} to {last}"
    return f"{fault}: {where}: {error}"
