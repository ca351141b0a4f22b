"""One line of JSON on the standard output for each request, so that a log service can filter and sum up.

{"time": "...", "request_id": "...", "method": "POST", "path": "/invocations", "status": 200, "rows": 100, ...}
"""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import Any

import orjson

STANDARD_OUTPUT = 1


def write(**fields: Any) -> None:
    """Writes one line at once, so that the lines of several workers do not mix; numbers keep three decimals."""
    rounded = {name: round(value, 3) if isinstance(value, float) else value for name, value in fields.items()}
    line = orjson.dumps({"time": datetime.now(UTC).isoformat(timespec="milliseconds")} | rounded)
    os.write(STANDARD_OUTPUT, line + b"\n")
