"""One line of JSON on the standard output for each request, so that a log service can filter and sum up.

{"time": "...", "request_id": "...", "method": "POST", "path": "/invocations", "status": 200, "rows": 100, ...}
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import orjson

from toolkit.serving.inference import Answer

STANDARD_OUTPUT = 1


@dataclass
class Record:
    """What is remembered of a request until it is answered."""

    request_id: str
    answer: Answer | None = None
    error: Exception | None = None
    start: float = field(default_factory=time.perf_counter)

    @property
    def seconds(self) -> float:
        """How long the request has been in the application."""
        return time.perf_counter() - self.start


def new_id() -> str:
    """An id for a request whose client gives it none."""
    return os.urandom(8).hex()


def write(record: Record, environ: Mapping[str, Any], status: int, bytes_out: int | None) -> None:
    """Writes the line of a request in one system call, so that the lines of several workers do not mix.

    `environ` is the request's as WSGI has it, empty where it could not be read so far.
    """
    line = {
        "time": datetime.now(UTC),
        "request_id": record.request_id,
        "method": environ.get("REQUEST_METHOD"),
        "path": environ.get("PATH_INFO"),
        "status": status,
        "ms": round(1000 * record.seconds, 3),
        "content_type": environ.get("CONTENT_TYPE"),
        "bytes_in": environ.get("CONTENT_LENGTH"),
        "bytes_out": bytes_out,
    }
    if answer := record.answer:
        line["rows"] = answer.n_rows
        line["decode_ms"] = round(answer.decode_ms, 3)
        line["predict_ms"] = round(answer.predict_ms, 3)
        line["encode_ms"] = round(answer.encode_ms, 3)
        line["accept"] = answer.content_type
    if record.error:
        line["error"] = str(record.error)
    os.write(STANDARD_OUTPUT, orjson.dumps(line) + b"\n")
