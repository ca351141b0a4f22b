"""What an error looks like to a client: one JSON object, with the status of the error's class.

    {"error": "BadContentType", "message": "content type 'a/b' is not supported; ...", "supported": [...]}

Of a defect the client learns only that it is one and the request's id; the trace is in the log.
"""

from __future__ import annotations

from typing import Any

import orjson

from toolkit.errors import BadAccept, BadContentType, ToolkitError
from toolkit.formats.table import ANSWERS, READERS

SUPPORTED = {BadContentType: READERS, BadAccept: ANSWERS}


def of(error: Exception, request_id: str | None) -> tuple[int, bytes]:
    """The status and the body that answer a request which met `error`."""
    if not isinstance(error, ToolkitError):
        return 500, body("InternalError", "the server failed on this request; the log has the trace", request_id)
    kind = type(error)
    more = {"supported": list(SUPPORTED[kind])} if kind in SUPPORTED else {}
    return error.status, body(kind.__name__, str(error), request_id, **more)


def body(kind: str, message: str, request_id: str | None, **more: Any) -> bytes:
    """The JSON object of an error."""
    return orjson.dumps({"error": kind, "message": message, "request_id": request_id} | more) + b"\n"
