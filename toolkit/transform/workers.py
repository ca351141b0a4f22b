"""What answers the blocks of a job: several workers, each with one block at a time."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from queue import SimpleQueue
from typing import Protocol

from toolkit.transform.container import Container
from toolkit.transform.exchanges import Piece, piece
from toolkit.transform.filters import Processing
from toolkit.transform.records import Block
from toolkit.transform.settings import Settings


class Worker(Protocol):
    """What answers one block at a time."""

    def piece(self, block: Block) -> Piece:
        """The block's part of the output; raises ToolkitError where there is none."""

    def close(self) -> None:
        """Frees what it holds; another thread that waits for an answer meets an error."""


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
