"""One client's connection to a worker: requests read by their deadline, answered one after another.

Bytes are read by the connection's own thread, so that a client that is slow, silent or gone disturbs nobody.
"""

from __future__ import annotations

import contextlib
import logging
import socket
import threading
import time

from gunicorn.http import wsgi
from gunicorn.http.errors import ParseException
from gunicorn.http.parser import RequestParser
from gunicorn.http.unreader import SocketUnreader

from toolkit.environment import Limit
from toolkit.errors import BadPayload, SlowClient, ToolkitError
from toolkit.serving import replies, request_log
from toolkit.serving.limits import DEADLINE, PIECE_BYTES
from toolkit.serving.request_log import Record, new_id

KEEP_ALIVE_SECONDS = 75  # between requests; longer than the minute that load balancers keep connections
LAST_WORD_SECONDS = 1  # for an error that the main thread sends
LINGER_SECONDS = 5  # after the last answer, for a client that is still sending
ANSWERED_EARLY = (408, 413, 503)  # with these the rest of the body stays unread, so the connection ends
log = logging.getLogger("byoa.serving")


class Connection:
    """A socket, and the thread that answers on it until either side ends it."""

    def __init__(self, worker, sock: socket.socket, client, server):
        self.worker = worker
        self.sock = sock
        self.addresses = client, server
        self.linger_seconds = LINGER_SECONDS
        self.deadline = float("inf")  # of the request that the application works on
        self.answering = threading.Lock()  # held by the thread that answers it
        self.parser = RequestParser(worker.cfg, sock, client)
        self.parser.unreader = self.unreader = DeadlineReader(sock, worker.settings.timeout)

    def run(self) -> None:
        """The thread of this connection."""
        try:
            while self.answer_next():
                pass
        except SlowClient as error:
            self.refuse(error)
        except OSError:  # the client is gone or silent: there is nobody to tell
            self.linger_seconds = 0
        except ParseException as error:
            self.refuse(BadPayload(f"the request must be HTTP/1.1; {error}"))
        except Exception:
            log.exception("a connection failed")
        finally:
            self.close()
            self.worker.forget(self)

    def answer_next(self) -> bool:
        """Reads and answers a request; whether another may follow."""
        self.unreader.deadline = None
        request = next(self.parser, None)
        if not request:
            self.linger_seconds = 0
            return False
        outbox = Outbox(self.sock)
        response, environ = wsgi.create(request, outbox, *self.addresses, self.worker.cfg)
        environ["wsgi.input"] = Body(request.body)
        environ[DEADLINE] = self.deadline = self.unreader.begin()
        chunks = self.worker.wsgi(environ, response.start_response)
        self.deadline = float("inf")
        self.answering.acquire()  # for ever, where the main thread has answered: the process is about to end
        self.send(response, chunks, outbox)
        self.answering.release()
        return not response.should_close()

    def send(self, response: wsgi.Response, chunks, outbox: Outbox) -> None:
        """Sends what the application answers."""
        if not self.worker.alive or response.status_code in ANSWERED_EARLY:
            response.force_close()
        for chunk in chunks:
            response.write(chunk)
        response.close()
        chunks.close()
        self.sock.settimeout(self.worker.settings.timeout.value)
        outbox.flush()

    def answer_for_the_application(self, error: ToolkitError) -> None:
        """Answers, from the main thread, a request that the application works on, if there is one."""
        if self.deadline < float("inf") and self.answering.acquire(blocking=False):
            self.refuse(error)

    def refuse(self, error: ToolkitError) -> None:
        """Answers a request that has not reached the application, or not come back; the connection ends."""
        record = Record(new_id(), error=error)
        status, body = replies.of(error, record.request_id)
        request_log.write(record, {}, status, len(body))
        head = f"HTTP/1.1 {status} Error\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        with contextlib.suppress(OSError):  # the client may be gone
            self.sock.settimeout(LAST_WORD_SECONDS)
            self.sock.sendall(head.encode() + b"Connection: close\r\n\r\n" + body)

    def hang_up_if_idle(self) -> None:
        """Wakes the thread of a connection on which no request has begun, so that it ends."""
        if self.unreader.deadline is None:
            self._shut_down(socket.SHUT_RD)

    def close(self) -> None:
        """Closes so that the client can read the last answer: what it still sends is taken and dropped."""
        self._shut_down(socket.SHUT_WR)
        end = time.monotonic() + self.linger_seconds
        with contextlib.suppress(OSError):  # the client may be gone, or silent for too long
            while (left := end - time.monotonic()) > 0:
                self.sock.settimeout(left)
                if not self.sock.recv(PIECE_BYTES):
                    break
        self.sock.close()

    def _shut_down(self, how: int) -> None:
        with contextlib.suppress(OSError):  # it may be closed already
            self.sock.shutdown(how)


class DeadlineReader(SocketUnreader):
    """Reads a socket for gunicorn's parser; from the first byte of a request on, until its deadline."""

    def __init__(self, sock: socket.socket, seconds: Limit):
        super().__init__(sock)
        self.seconds = seconds
        self.deadline: float | None = None  # None between requests

    def begin(self) -> float:
        """The deadline of the request at hand, which begins now unless it has: its head may come with the last body."""
        self.deadline = self.deadline or time.monotonic() + self.seconds.value
        return self.deadline

    def chunk(self, *size_hint) -> bytes:
        """The next bytes, empty at the end. Raises SlowClient at the deadline, TimeoutError between requests."""
        if self.deadline is None:
            self.sock.settimeout(KEEP_ALIVE_SECONDS)
            data = super().chunk(*size_hint)
            self.begin()
            return data
        try:
            self.sock.settimeout(max(0.001, self.deadline - time.monotonic()))
            return super().chunk(*size_hint)
        except TimeoutError as error:
            must = f"a request must arrive within {self.seconds.value} s (limit set by {self.seconds.source})"
            raise SlowClient(f"{must}; it did not") from error


class Body:
    """The body of a request as the application reads it."""

    def __init__(self, source):
        self.source = source

    def read(self, size: int = -1) -> bytes:
        """At most `size` bytes, fewer only at the end. Raises SlowClient, BadPayload."""
        try:
            return self.source.read(size)
        except (OSError, ParseException) as error:
            must = "the body must arrive whole"
            raise BadPayload(f"{must}; its chunks or the connection broke off: {error}") from error


class Outbox:
    """What gunicorn's Response writes, kept until it is whole: one system call sends head and body."""

    def __init__(self, sock: socket.socket):
        self.send = sock.send  # gunicorn asks a client that waits for "100 Continue" to go on
        self._sock = sock
        self._parts: list[bytes] = []

    def sendall(self, data: bytes) -> None:
        """Keeps the next bytes."""
        self._parts.append(data)

    def flush(self) -> None:
        """Sends all at once."""
        self._sock.sendall(b"".join(self._parts))
