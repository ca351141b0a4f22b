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
from dataclasses import asdict
from pathlib import Path
from subprocess import PIPE, Popen
from typing import Any, BinaryIO

from toolkit import environment, machine
from toolkit.errors import ContainerFault, ToolkitError, UserError
from toolkit.transform.exchanges import Piece, Refused, piece
from toolkit.transform.filters import Processing
from toolkit.transform.records import Block
from toolkit.transform.settings import Settings


class ModelProcess:
    """The parent's side: a worker that is started when needed, and again after it has died."""

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


def main() -> None:
    """Answers until the input ends. What a plugin prints goes to the standard error."""
    environment.limit_numerical_threads(1)
    source = sys.stdin.buffer
    with os.fdopen(os.dup(1), "wb") as target:
        os.dup2(2, 1)
        sys.stdout.reconfigure(line_buffering=True)  # the process is killed in the end
        try:
            answer = _loaded(receive(source)[0])
        except Exception as error:  # this program's outermost line, and so is the other
            return send(target, _told(error))
        send(target, {})
        while True:
            try:
                message = receive(source)
            except EOFError:
                return None
            try:
                made = answer(*message)
            except Exception as error:
                send(target, _told(error))
            else:
                send(target, {"n_records": made.n_records, "n_requests": made.n_requests}, made.body)


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


if __name__ == "__main__":
    main()
