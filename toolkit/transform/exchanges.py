"""What a block becomes: its requests sent one after another, each answer joined, filtered and assembled.

The same steps run in a worker process with a loaded model, in a thread that talks to a container, and in `--explain`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from toolkit.errors import ToolkitError
from toolkit.transform import records
from toolkit.transform.filters import Processing
from toolkit.transform.records import Block, Request
from toolkit.transform.settings import Settings

Ask = Callable[[bytes, str | None, str | None], bytes]  # a body, its content type, Accept -> the answer's body


class Refused(ToolkitError):
    """A request that failed; `record` is the place of its first record in the block, counted from 0."""

    def __init__(self, error: ToolkitError, record: int, n_records: int):
        super().__init__(str(error))
        self.status = error.status
        self.record = record
        self.n_records = n_records


@dataclass(frozen=True)
class Exchange:
    """One request and what came of it: the body sent, the answer, and the bytes that go to the output file."""

    request: Request
    sent: bytes
    answer: bytes
    stored: bytes


@dataclass(frozen=True)
class Piece:
    """The part of an output file that comes from one block."""

    body: bytes
    n_records: int
    n_requests: int


def exchanges(block: Block, processing: Processing, ask: Ask, apart: bool = False) -> Iterator[Exchange]:
    """The exchanges of a block in order, with their records `apart` if asked for. Raises Refused where one fails."""
    settings = processing.settings
    n_before = 0
    for request in records.requests(block, settings, apart=apart or processing.needs_records):
        try:
            records.check_size(request, settings)
            sent = processing.sent(request)
            answer = ask(sent, settings.content_type, settings.accept)
            stored = assembled(processing.stored(request, answer), settings)
        except ToolkitError as error:
            raise Refused(error, n_before, request.n_records) from error
        yield Exchange(request, sent, answer, stored)
        n_before += request.n_records


def assembled(answer: bytes, settings: Settings) -> bytes:
    """An answer as AssembleWith has it: as it is, or followed by a newline."""
    if settings.assemble_with == "None" or (answer.endswith(b"\n") and not settings.double_newlines):
        return answer
    return answer + b"\n"


def piece(block: Block, processing: Processing, ask: Ask) -> Piece:
    """The whole of a block's output."""
    done = list(exchanges(block, processing, ask))
    return Piece(b"".join(one.stored for one in done), sum(one.request.n_records for one in done), len(done))
