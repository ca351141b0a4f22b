"""The time between the start of the program and the first worker: the port is taken, and says how it goes.

A probe then gets an answer at once: 503 while the model is loaded, and for a second 500 with the reason where it cannot
be. A port that another program has is told before anything is loaded.
"""

from __future__ import annotations

import contextlib
import select
import socket
import threading
import time

import orjson

from toolkit.errors import BadOption, ToolkitError

BACKLOG = 2048
CLIENT_SECONDS = 0.2  # for a client to say what it wants; loading must not wait for it longer
BROKEN_SECONDS = 1  # before the program ends, for a probe to hear why


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens on that address. Raises BadOption where it cannot."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as error:
        reason = error.strerror.partition(" (")[0].lower()  # Python repeats the address in brackets
        raise BadOption(f"the server must be able to listen on {host}:{port}; {reason}") from error


def told(error: Exception) -> str:
    """An error in one sentence; of one that nobody foresaw, its kind comes first."""
    return str(error) if isinstance(error, ToolkitError) else f"{type(error).__name__}: {error}"


class Starting:
    """A context in which every request on the socket is answered in a thread, until the workers take it over."""

    def __init__(self, listener: socket.socket):
        self._listener = listener
        self._answer = answer("503 Service Unavailable", {"status": "starting"})
        self._here, self._there = socket.socketpair()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, kind, error: BaseException | None, trace) -> None:
        if isinstance(error, Exception):
            self._answer = answer("500 Internal Server Error", {"status": "broken", "reason": told(error)})
            time.sleep(BROKEN_SECONDS)
        self._here.close()
        self._thread.join()
        self._there.close()

    def _run(self) -> None:
        while self._there not in select.select([self._listener, self._there], [], [])[0]:
            client, _ = self._listener.accept()
            with client, contextlib.suppress(OSError):
                client.settimeout(CLIENT_SECONDS)
                client.recv(65536)
                client.sendall(self._answer)


def answer(code: str, fields: dict[str, str]) -> bytes:
    """A whole HTTP response with a JSON object."""
    body = orjson.dumps(fields) + b"\n"
    head = f"HTTP/1.1 {code}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    return head.encode() + b"Connection: close\r\n\r\n" + body
