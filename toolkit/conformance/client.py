"""Requests as SageMaker's platform sends them, and requests that no well-meaning client sends."""

from __future__ import annotations

import contextlib
import http.client
import socket
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

HOST = "127.0.0.1"
INVOCATION_SECONDS = 60  # how long the platform waits for /invocations
PING_SECONDS = 2  # how long it waits for /ping


class Unanswered(Exception):
    """A request that got no answer, and why."""


@dataclass(frozen=True)
class Answer:
    """What a server answered, and after how many seconds."""

    status: int
    content_type: str
    body: bytes
    seconds: float

    def __str__(self) -> str:
        return (
            f"{self.status}, {len(self.body)} bytes of {self.content_type or 'no content type'} in {self.seconds:.2f} s"
        )


def ask(
    port: int,
    method: str,
    path: str,
    body: bytes | Iterable[bytes] | None = None,
    headers: Mapping[str, str] | None = None,
    seconds: float = INVOCATION_SECONDS,
) -> Answer:
    """The server's answer to one request on a connection of its own. Raises Unanswered where there is none.

    A body that is an iterable of pieces needs a Content-Length in the headers.
    """
    start = time.monotonic()
    connection = http.client.HTTPConnection(HOST, port, timeout=seconds)
    try:
        # a server that refuses a large body answers and closes while the body is still being sent
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            connection.request(method, path, body, dict(headers or {}))
        response = connection.getresponse()
        return Answer(
            response.status, response.headers.get("Content-Type", ""), response.read(), time.monotonic() - start
        )
    except (OSError, http.client.HTTPException) as error:
        raise Unanswered(f"{type(error).__name__} after {time.monotonic() - start:.1f} s: {error}") from error
    finally:
        connection.close()


def ping(port: int) -> Answer:
    """The answer to one health check, within the platform's two seconds."""
    return ask(port, "GET", "/ping", seconds=PING_SECONDS)


def invoke(port: int, body: bytes, content_type: str, accept: str | None = None) -> Answer:
    """The answer to one invocation."""
    headers = {"Content-Type": content_type} | ({"Accept": accept} if accept else {})
    return ask(port, "POST", "/invocations", body, headers)


def cut_off(port: int, body: bytes, content_type: str) -> None:
    """Promises twice the body and hangs up after half of it; whether the server lives on, the next request tells."""
    headers = (f"Host: {HOST}", f"Content-Type: {content_type}", f"Content-Length: {2 * len(body)}")
    head = "\r\n".join(["POST /invocations HTTP/1.1", *headers, "", ""])
    with contextlib.suppress(OSError), socket.create_connection((HOST, port), PING_SECONDS) as connection:
        connection.sendall(head.encode() + body[: len(body) // 2])


def free_port() -> int:
    """A port that nobody listens on at this moment."""
    with socket.socket() as listener:
        listener.bind((HOST, 0))
        return listener.getsockname()[1]


def is_free(port: int) -> bool:
    """Whether a server could listen on the port."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((HOST, port))
        except OSError:
            return False
    return True
