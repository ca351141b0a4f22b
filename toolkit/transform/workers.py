"""What answers the blocks of a job: several workers, each with one block at a time."""

from __future__ import annotations

import contextlib
import sys
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from queue import SimpleQueue
from subprocess import PIPE, Popen
from typing import Any, Protocol

from toolkit.errors import ContainerFault, ToolkitError, UserError
from toolkit.transform.container import Container
from toolkit.transform.exchanges import Piece, Refused, piece
from toolkit.transform.filters import Processing
from toolkit.transform.records import Block
from toolkit.transform.settings import Settings
from toolkit.transform.worker import receive, send


class Worker(Protocol):
    """What answers one block at a time."""

    def piece(self, block: Block) -> Piece:
        """The block's part of the output; raises ToolkitError where there is none."""

    def close(self) -> None:
        """Frees what it holds; another thread that waits for an answer meets an error."""


class ModelProcess:
    """Blocks answered by a model in a process of its own, which is started again after it has died."""

    def __init__(self, algorithm: str, model_dir: Path, settings: Settings):
        self.greeting = {"algorithm": algorithm, "model_dir": str(model_dir), "settings": asdict(settings)}
        self.process: Popen | None = None

    def start(self) -> None:
        """Starts the process and names the model to it."""
        command = [sys.executable, "-m", "toolkit.transform.worker"]
        self.process = Popen(command, stdin=PIPE, stdout=PIPE, start_new_session=True)
        self._send(self.greeting)

    def wait_until_loaded(self) -> None:
        """Returns when the model is loaded; raises what that raised."""
        self._receive()

    def piece(self, block: Block) -> Piece:
        """The block's part of the output. Raises Refused, or ContainerFault where the process dies."""
        if self.process is None:
            self.start()
            self.wait_until_loaded()
        carries = block.data is not None
        place = {"path": str(block.path), "offset": block.offset, "length": block.length, "carries": carries}
        self._send(place, block.data or b"")
        head, body = self._receive()
        return Piece(body, head["n_records"], head["n_requests"])

    def close(self) -> None:
        """Ends the process."""
        process, self.process = self.process, None
        if process is not None:
            process.kill()
            process.wait()
            process.stdout.close()
            with contextlib.suppress(BrokenPipeError):  # of what was still to be sent
                process.stdin.close()

    def _send(self, head: dict[str, Any], data: bytes = b"") -> None:
        try:
            send(self.process.stdin, head, data)
        except (OSError, ValueError) as error:
            raise self._died() from error

    def _receive(self) -> tuple[dict[str, Any], bytes]:
        try:
            head, data = receive(self.process.stdout)
        except (OSError, EOFError, ValueError) as error:
            raise self._died() from error
        if "error" in head:
            raise _error(head)
        return head, data

    def _died(self) -> ContainerFault:
        process = self.process
        self.close()
        status = process.returncode if process else "unknown"
        return ContainerFault(f"the worker process ended before it answered; its exit status is {status}")


class ContainerWorker:
    """Blocks answered by a container, over a connection of its own."""

    def __init__(self, url: str, settings: Settings):
        self.container = Container(url, settings)
        self.processing = Processing(settings)

    def piece(self, block: Block) -> Piece:
        """The block's part of the output."""
        return piece(block, self.processing, self.container.ask)

    def close(self) -> None:
        """Ends the connection."""
        self.container.close()


class Workers:
    """Workers, each behind a thread that waits for its answer; closed at the end of a `with` block."""

    def __init__(self, workers: list[Worker]):
        self.workers = workers
        self.idle: SimpleQueue[Worker] = SimpleQueue()
        for worker in workers:
            self.idle.put(worker)
        self.threads = ThreadPoolExecutor(len(workers))

    def __len__(self) -> int:
        return len(self.workers)

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, *_) -> None:
        self.threads.shutdown(wait=False, cancel_futures=True)
        for worker in self.workers:
            worker.close()
        self.threads.shutdown()

    def submit(self, block: Block) -> Future[Piece]:
        """The block's piece, some time later."""
        return self.threads.submit(self._piece, block)

    def _piece(self, block: Block) -> Piece:
        worker = self.idle.get()
        try:
            return worker.piece(block)
        finally:
            self.idle.put(worker)


def launch(processes: list[ModelProcess]) -> list[ModelProcess]:
    """The processes, each with its model loaded, or the error of the first that could not load it."""
    try:
        for process in processes:
            process.start()
        for process in processes:
            process.wait_until_loaded()
    except BaseException:
        for process in processes:
            process.close()
        raise
    return processes


def _error(told: dict[str, Any]) -> ToolkitError:
    error = UserError(told["error"]) if told["status"] < 500 else ToolkitError(told["error"])
    error.status = told["status"]
    return Refused(error, told["record"], told["n_records"]) if "record" in told else error
