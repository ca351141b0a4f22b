"""A process of its own that loads a model and answers blocks: `python -m toolkit.transform.worker`.

It reads messages from its standard input and writes one for each to its standard output: a line of JSON, then as many
bytes as that says. The first names the model. A block is named by its place in a file, which the process reads itself.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from toolkit import environment, machine
from toolkit.errors import ToolkitError
from toolkit.transform.exchanges import Piece, piece
from toolkit.transform.filters import Processing
from toolkit.transform.records import Block
from toolkit.transform.settings import Settings


def main() -> None:
    """Answers until the input ends. What a plugin prints goes to the standard error."""
    environment.limit_numerical_threads(1)
    source = sys.stdin.buffer
    with os.fdopen(os.dup(1), "wb") as target:
        os.dup2(2, 1)
        sys.stdout.reconfigure(line_buffering=True)  # the process is killed in the end
        messages = _messages(source)
        try:
            answer = _loaded(next(messages)[0])
        except Exception as error:  # this program's outermost line, and so is the other
            send(target, _told(error))
            return
        send(target, {})
        for message in messages:
            try:
                made = answer(*message)
            except Exception as error:
                send(target, _told(error))
            else:
                send(target, {"n_records": made.n_records, "n_requests": made.n_requests}, made.body)


def _messages(source: BinaryIO) -> Iterator[tuple[dict[str, Any], bytes]]:
    with contextlib.suppress(EOFError):
        while True:
            yield receive(source)


def _loaded(greeting: dict[str, Any]):
    """The function that answers messages with the model that the greeting names."""
    from toolkit.serving.inference import load

    machine.keep_freed_memory()
    default_accept = environment.read_server_settings().default_accept  # as `serve` would answer here
    inference = load(greeting["algorithm"], Path(greeting["model_dir"]), default_accept)
    processing = Processing(Settings(**greeting["settings"]))

    def ask(body: bytes, content_type: str | None, accept: str | None) -> bytes:
        return inference.answer(body, content_type, accept).body

    def answer(head: dict[str, Any], data: bytes) -> Piece:
        block = Block(Path(head["path"]), head["offset"], head["length"], data if head["carries"] else None)
        return piece(block, processing, ask)

    return answer


def _told(error: Exception) -> dict[str, Any]:
    """The error as a message; the trace of one that no sentence explains goes to the standard error."""
    if not isinstance(error, ToolkitError):
        traceback.print_exception(error)
    text = str(error) if isinstance(error, ToolkitError) else f"{type(error).__name__}: {error}"
    place = {name: getattr(error, name) for name in ("record", "n_records") if hasattr(error, name)}
    return {"error": text, "status": getattr(error, "status", 500)} | place


def send(pipe: BinaryIO, head: dict[str, Any], data: bytes = b"") -> None:
    """Writes one message."""
    pipe.write(json.dumps(head | {"n_bytes": len(data)}).encode() + b"\n")
    pipe.write(data)
    pipe.flush()


def receive(pipe: BinaryIO) -> tuple[dict[str, Any], bytes]:
    """Reads one message. Raises EOFError where the pipe ends."""
    line = pipe.readline()
    if not line.endswith(b"\n"):
        raise EOFError
    head = json.loads(line)
    data = pipe.read(head["n_bytes"])
    if len(data) < head["n_bytes"]:
        raise EOFError
    return head, data


if __name__ == "__main__":
    main()
