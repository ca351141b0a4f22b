"""A running container, or any server with SageMaker's inference contract, asked over HTTP.

`GET /ping` until 200, `GET /execution-parameters` (absent is fine), then `POST /invocations`. A status of 500 or more,
a broken connection and a time-out are tried again, 400 to 499 never (what SageMaker tries again is unconfirmed).

Source: the Developer Guide's "Use Your Own Inference Code with Batch Transform".
"""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from toolkit.errors import BadOption, ContainerFault, RequestRefused
from toolkit.transform.settings import MEBIBYTE, Settings

PING_SECONDS = 2  # of one probe
PAUSE_SECONDS = 0.1  # between two probes, and before a request is tried again
READY_SECONDS = 480  # SageMaker gives a container eight minutes to answer its first ping
SHOWN_CHARACTERS = 400  # of an error's body
STRATEGIES = {"MULTI_RECORD": "MultiRecord", "SINGLE_RECORD": "SingleRecord"}


class Container:
    """One connection to a container; `ask` is what a job calls. It is opened when needed and kept."""

    def __init__(self, url: str, settings: Settings):
        self.url = url
        self.settings = settings
        self.is_closed = False
        parts = urlsplit(url)
        kinds = {"http": http.client.HTTPConnection, "https": http.client.HTTPSConnection}
        if parts.scheme not in kinds or not parts.hostname:
            raise BadOption(f"the container's address must be such as http://127.0.0.1:8080; got {url!r}")
        self.base = parts.path.rstrip("/")
        self.connection = kinds[parts.scheme](parts.hostname, parts.port, timeout=settings.timeout)

    def wait_until_ready(self, seconds: float = READY_SECONDS) -> None:
        """Returns when /ping answers 200. Raises ContainerFault where it does not in time."""
        limit, seen = time.monotonic() + seconds, "no connection"
        while time.monotonic() < limit:
            try:
                status, body = self._request("GET", "/ping", timeout=PING_SECONDS)
                if status == 200:
                    return
                seen = f"{status} {_shown(body)}".strip()
            except (OSError, http.client.HTTPException) as error:
                seen = str(error)
            time.sleep(PAUSE_SECONDS)
        raise ContainerFault(f"the container must answer {self.url}/ping with 200 within {seconds:g} s; last: {seen}")

    def execution_parameters(self) -> dict[str, Any]:
        """MaxConcurrentTransforms, BatchStrategy and MaxPayloadInMB as the container offers them, if it does."""
        try:
            status, body = self._request("GET", "/execution-parameters", timeout=PING_SECONDS)
        except (OSError, http.client.HTTPException):
            return {}
        if status != 200:
            return {}
        return _parameters(body)

    def ask(self, body: bytes, content_type: str | None, accept: str | None) -> bytes:
        """The answer to one request. Raises RequestRefused, or ContainerFault when all tries have failed."""
        headers = {"Content-Type": content_type, "Accept": accept}
        headers = {name: value for name, value in headers.items() if value}
        for tries_left in reversed(range(1 + self.settings.retries)):
            try:
                status, answer = self._request("POST", "/invocations", body, headers, self.settings.timeout)
                if 200 <= status < 300:
                    return answer
                if 400 <= status < 500:
                    raise RequestRefused(f"{status}: {_shown(answer)}")
                fault = f"bad HTTP status received from algorithm: {status}: {_shown(answer)}"
            except (OSError, http.client.HTTPException) as error:
                fault = f"no answer: {error or type(error).__name__}"
            if self.is_closed:
                break
            if tries_left:
                time.sleep(PAUSE_SECONDS)
        raise ContainerFault(f"{fault} (after {1 + self.settings.retries} tries)")

    def close(self) -> None:
        """Ends the connection for good; a request under way in another thread fails and is not tried again."""
        self.is_closed = True
        if self.connection.sock:
            with contextlib.suppress(OSError):
                self.connection.sock.shutdown(socket.SHUT_RDWR)  # wakes the other thread, which close alone does not
        self.connection.close()

    def _request(
        self, method: str, path: str, body: bytes = b"", headers: dict | None = None, timeout: float = 0
    ) -> tuple[int, bytes]:
        """Status and body; the connection is kept after an answer and ended after anything else."""
        self.connection.timeout = timeout
        if self.connection.sock:
            self.connection.sock.settimeout(timeout)
        chunked = bool(body) and self.settings.max_payload_bytes is None
        sent = (_chunks(body) if chunked else body) or None
        try:
            self.connection.request(method, self.base + path, sent, headers or {}, encode_chunked=chunked)
            response = self.connection.getresponse()
            return response.status, response.read()
        except BaseException:
            self.connection.close()
            raise


def _chunks(body: bytes) -> Iterator[bytes]:
    """The body in pieces: without a length http.client sends it with chunked encoding."""
    for start in range(0, len(body), MEBIBYTE):
        yield body[start : start + MEBIBYTE]


def _shown(body: bytes) -> str:
    return body[:SHOWN_CHARACTERS].decode(errors="replace").strip()


def _parameters(body: bytes) -> dict[str, Any]:
    try:
        offered = json.loads(body)
        strategy = offered.get("BatchStrategy")
        return offered | ({"BatchStrategy": STRATEGIES.get(strategy, strategy)} if strategy else {})
    except (ValueError, AttributeError, TypeError) as error:
        raise ContainerFault(f"/execution-parameters must answer a JSON object; got {_shown(body)!r}") from error
