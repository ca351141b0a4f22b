"""The limits on a request: bytes of its body, seconds that it may take, and how many may wait for their turn.

Each refusal says which limit it was and where that was set.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from toolkit.environment import Limit
from toolkit.errors import BadPayload, PayloadTooLarge, ServerLimit, TookTooLong

DEADLINE = "byoa.deadline"  # key of a WSGI environment
PIECE_BYTES = 1 << 20  # read at a time, as gunicorn does


def read_body(environ: Mapping[str, Any], largest: Limit, take: Callable[[int], None]) -> bytes:
    """The whole body of a WSGI request, sent with its length or in chunks; `take` is told of bytes as they arrive.

    Raises PayloadTooLarge as soon as that is known, BadPayload where the client ends early, and what `take` and the
    input raise: a server's memory may be full, a client may be slow or break off.
    """
    announced = int(environ.get("CONTENT_LENGTH") or 0)
    _check_size(announced, largest)
    pieces, n_bytes = [], 0
    while piece := environ["wsgi.input"].read(PIECE_BYTES):
        pieces.append(piece)
        n_bytes += len(piece)
        _check_size(n_bytes, largest)
        take(len(piece))
    if n_bytes < announced:
        must = f"the body must have the {announced} bytes that Content-Length says"
        raise BadPayload(f"{must}; it ended after {n_bytes}")
    return b"".join(pieces)


def _check_size(n_bytes: int, largest: Limit) -> None:
    if largest.value and n_bytes > largest.value:
        must = f"the payload must have at most {largest.value} bytes (limit set by {largest.source})"
        raise PayloadTooLarge(f"{must}; it has {n_bytes} or more")


class Room:
    """The memory that bodies may fill in this process, those that wait and those that still arrive."""

    def __init__(self, limit: Limit):
        self.limit = limit
        self._lock = threading.Lock()
        self._taken = 0

    @contextmanager
    def place(self) -> Iterator[Callable[[int], None]]:
        """Gives a function that takes bytes, and gives all back at the end. The function raises ServerLimit."""
        mine = 0

        def take(n_bytes: int) -> None:
            nonlocal mine
            with self._lock:
                if self._taken + n_bytes > self.limit.value:
                    must = f"the bodies in a worker must have at most {self.limit.value} bytes together"
                    raise ServerLimit(f"{must} ({self.limit.source}); try again in a moment")
                self._taken += n_bytes
            mine += n_bytes

        try:
            yield take
        finally:
            with self._lock:
                self._taken -= mine


def deadline(environ: Mapping[str, Any], seconds: Limit) -> float:
    """When a WSGI request must be answered, by time.monotonic: the worker counts from its first byte."""
    return environ.get(DEADLINE) or time.monotonic() + seconds.value


def out_of_time(seconds: Limit) -> TookTooLong:
    """The error for a request whose time is over."""
    must = f"a request must be answered within {seconds.value} s (limit set by {seconds.source})"
    return TookTooLong(f"{must}; it was not")


class Turns:
    """One computation at a time in this process; the others wait, at most `queue` of them.

    More at once would not be faster: parsers and numpy keep a processor busy, and each parser would have buffers of
    its own, as large as the largest body that it has seen.
    """

    def __init__(self, queue: Limit, seconds: Limit):
        self.queue = queue
        self.seconds = seconds
        self._computing = threading.Lock()
        self._counting = threading.Lock()
        self._n_requests = 0

    @contextmanager
    def turn(self, deadline: float) -> Iterator[None]:
        """Has the processor for the block. Raises ServerLimit for a full queue, TookTooLong at the deadline."""
        self._enter()
        try:
            if not self._computing.acquire(timeout=max(0, deadline - time.monotonic())):
                raise out_of_time(self.seconds)
            try:
                yield
            finally:
                self._computing.release()
        finally:
            self._leave()

    def _enter(self) -> None:
        with self._counting:
            if self._n_requests > self.queue.value:
                must = f"at most {self.queue.value} requests may wait in a worker (limit set by {self.queue.source})"
                raise ServerLimit(f"{must}; try again in a moment")
            self._n_requests += 1

    def _leave(self) -> None:
        with self._counting:
            self._n_requests -= 1
