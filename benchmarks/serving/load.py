"""A load generator of one thread: kept-alive connections, each sending its next request when its answer is there."""

from __future__ import annotations

import selectors
import socket
import time
from dataclasses import dataclass


@dataclass(frozen=True)
class Load:
    """What a run of requests took: seconds in all, and of each request in order of their answers."""

    seconds: float
    latencies: list[float]

    @property
    def requests_per_second(self) -> float:
        """Answers a second."""
        return len(self.latencies) / self.seconds

    def percentile(self, share: float) -> float:
        """The latency in milliseconds that `share` of the requests did not pass."""
        return 1000 * sorted(self.latencies)[min(len(self.latencies) - 1, int(share * len(self.latencies)))]


def request(path: str, body: bytes, headers: dict[str, str]) -> bytes:
    """A POST request as bytes."""
    lines = [f"POST {path} HTTP/1.1", "Host: 127.0.0.1", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def run(port: int, message: bytes, n_connections: int, seconds: float) -> Load:
    """Sends `message` over `n_connections` for that long, and until there is an answer.

    Raises ValueError for an answer other than 200.
    """
    clients = [Client(port, message) for _ in range(n_connections)]
    selector = selectors.DefaultSelector()
    for client in clients:
        selector.register(client.sock, selectors.EVENT_READ, client)
    start = time.perf_counter()
    for client in clients:
        client.send()
    latencies: list[float] = []
    while time.perf_counter() < start + seconds or not latencies:
        for key, _ in selector.select(1):
            if (latency := key.data.receive()) is not None:
                latencies.append(latency)
                key.data.send()
    spent = time.perf_counter() - start
    for client in clients:
        client.sock.close()
    return Load(spent, latencies)


class Client:
    """One connection to the server."""

    def __init__(self, port: int, message: bytes):
        self.sock = socket.create_connection(("127.0.0.1", port), timeout=30)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.message = message

    def send(self) -> None:
        """Sends the request."""
        self.start = time.perf_counter()
        self.answer = b""
        self.sock.sendall(self.message)

    def receive(self) -> float | None:
        """Takes what has arrived; the seconds since the request once its answer is whole."""
        data = self.sock.recv(1 << 20)
        if not data:
            raise ValueError(f"the server hung up after {self.answer!r}")
        self.answer += data
        head, found, body = self.answer.partition(b"\r\n\r\n")
        if not found or not is_whole(head.lower(), body):
            return None
        if not head.startswith((b"HTTP/1.1 200", b"HTTP/1.0 200")):
            raise ValueError(f"the server must answer 200; it answered {self.answer[:500]!r}")
        return time.perf_counter() - self.start


def is_whole(head: bytes, body: bytes) -> bool:
    """Whether a body has the length that its head says, or its last chunk."""
    if b"transfer-encoding: chunked" in head:
        return body.endswith(b"0\r\n\r\n")
    return len(body) >= int(head.partition(b"content-length:")[2].split(b"\r\n")[0])
