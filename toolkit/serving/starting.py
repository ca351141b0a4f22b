"""The time between the start of the program and the first worker: the port is taken, and says that it starts.

A probe then gets an answer at once, and a port that another program has is told before anything is loaded.
"""

from __future__ import annotations

import contextlib
import select
import socket
import threading
from collections.abc import Iterator

from toolkit.errors import BadOption

BACKLOG = 2048
CLIENT_SECONDS = 0.2  # for a client to say what it wants; loading must not wait for it longer
BODY = b'{"status":"starting"}\n'
ANSWER = (
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nRetry-After: 1\r\n"
    b"Content-Length: %d\r\nConnection: close\r\n\r\n%b" % (len(BODY), BODY)
)


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens on that address. Raises BadOption where it cannot."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as error:
        reason = error.strerror.partition(" (")[0].lower()  # Python repeats the address in brackets
        raise BadOption(f"the server must be able to listen on {host}:{port}; {reason}") from error


@contextlib.contextmanager
def says_that_it_starts(listener: socket.socket) -> Iterator[None]:
    """Answers every request on the socket with 503 until the end of the block."""
    here, there = socket.socketpair()
    thread = threading.Thread(target=_answer, args=(listener, there))
    thread.start()
    try:
        yield
    finally:
        here.close()
        thread.join()
        there.close()


def _answer(listener: socket.socket, end: socket.socket) -> None:
    while end not in select.select([listener, end], [], [])[0]:
        client, _ = listener.accept()
        with client, contextlib.suppress(OSError):
            client.settimeout(CLIENT_SECONDS)
            client.recv(65536)
            client.sendall(ANSWER)
