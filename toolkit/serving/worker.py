"""A gunicorn worker with a thread for each connection.

A client that sends slowly holds nothing but its own thread, and a request's time is counted from its first byte.
New connections go to the worker that has fewest: gunicorn's own threaded worker takes all that it sees, so that
eight may share one of two workers for as long as they are kept alive.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import threading
import time

from gunicorn import http
from gunicorn.http import wsgi
from gunicorn.http.unreader import SocketUnreader
from gunicorn.workers.base import Worker

from toolkit.errors import BadPayload, ServerLimit
from toolkit.serving import replies
from toolkit.serving.limits import DEADLINE, out_of_time

KEEP_ALIVE_SECONDS = 75  # between requests; longer than the minute that load balancers keep connections
MAX_CONNECTIONS = 500  # of one worker; more wait unaccepted
YIELD_SECONDS = 0.002  # what a worker with more connections leaves the others to accept first
GRACE_SECONDS = 1  # after a request's deadline, for the thread to say so itself
LAST_REQUEST_SECONDS = 1  # after SIGTERM, for a request that is on its way over an idle connection
LINGER_SECONDS = 2  # after the last answer, for a client that is still sending
ANSWERED_EARLY = (408, 413)  # with these the rest of the body stays unread, so the connection ends


class ThreadPerConnection(Worker):
    """Accepts in the main thread, which also watches the deadlines; answers in a thread for each connection."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.settings = self.app.settings
        self.board = self.app.board
        self.slot = self.board.take()
        self.connections: set[Connection] = set()

    def run(self) -> None:
        """Accepts until SIGTERM or until gunicorn's arbiter is gone, then lets running requests end."""
        for listener in self.sockets:
            listener.setblocking(False)
        while self.alive and self.ppid == os.getppid():
            self.notify()
            self.end_overdue()
            for ready in select.select(self.waited_for(), [], [], 1)[0]:
                if ready in self.sockets:
                    self.accept(ready)
        self.drain()

    def waited_for(self) -> list:
        """The listeners and the pipe of signals; of a full worker, only the pipe."""
        return self.wait_fds if len(self.connections) < MAX_CONNECTIONS else [self.PIPE[0]]

    def accept(self, listener: socket.socket) -> None:
        """Takes a new connection, unless a less busy worker is quicker."""
        if self.board.is_crowded(self.slot):
            time.sleep(YIELD_SECONDS)
        try:
            sock, client = listener.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return
        connection = Connection(self, sock, client, listener.getsockname())
        self.connections.add(connection)
        self.count()
        threading.Thread(target=connection.run, daemon=True).start()

    def forget(self, connection: Connection) -> None:
        """Takes note that a connection has ended."""
        self.connections.discard(connection)
        self.count()

    def count(self) -> None:
        """Tells the other workers how many connections this one has."""
        self.board.write(self.slot, len(self.connections))

    def end_overdue(self) -> None:
        """Ends this process where a computation runs past its deadline: there is no other way to stop it.

        Its client is told the time limit, the others in this worker to try again; gunicorn starts a new worker.
        """
        late = time.monotonic() - GRACE_SECONDS
        overdue = {connection for connection in list(self.connections) if connection.deadline < late}
        if not overdue:
            return
        for connection in list(self.connections):
            error = out_of_time(self.settings.timeout) if connection in overdue else _RESTARTING
            connection.answer_for_the_application(error)
        self.log.error("a computation passed its %s s; this worker is replaced", self.settings.timeout.value)
        os._exit(1)

    def drain(self) -> None:
        """Answers what is running, closes what is idle, and returns within gunicorn's graceful timeout."""
        for listener in self.sockets:
            listener.close()
        now = time.monotonic()
        idle_until, end = now + LAST_REQUEST_SECONDS, now + self.cfg.graceful_timeout
        while self.connections and time.monotonic() < end:
            self.notify()
            self.end_overdue()
            if time.monotonic() > idle_until:
                for connection in list(self.connections):
                    connection.hang_up_if_idle()
            time.sleep(0.02)


_RESTARTING = ServerLimit("the worker restarts, because another request took too long; try again in a moment")


class Connection:
    """One client's connection: its requests, one after another, until either side ends it."""

    def __init__(self, worker: ThreadPerConnection, sock: socket.socket, client, server):
        self.worker = worker
        self.sock = sock
        self.client = client
        self.server = server
        self.deadline = float("inf")  # of the request that the application works on
        self.answering = threading.Lock()  # held by the thread that writes the answer
        self.parser = http.get_parser(worker.cfg, sock, client)
        self.parser.unreader = self.unreader = DeadlineReader(sock, worker.settings.timeout.value)

    def run(self) -> None:
        """The thread of this connection."""
        try:
            while self.answer_next():
                pass
        except OSError:  # the client is gone or silent: there is nobody to tell
            pass
        except Exception as error:
            self.refuse(error)
        finally:
            self.close()
            self.worker.forget(self)

    def answer_next(self) -> bool:
        """Reads and answers a request; whether another may follow."""
        self.unreader.deadline = None
        request = next(self.parser, None)
        if not request:
            return False
        response, environ = wsgi.create(request, self.sock, self.client, self.server, self.worker.cfg)
        environ[DEADLINE] = self.deadline = self.unreader.deadline or time.monotonic() + self.unreader.seconds
        chunks = self.worker.wsgi(environ, response.start_response)
        self.deadline = float("inf")
        self.answering.acquire()  # for ever, where the main thread has answered: the process is about to end
        if not self.worker.alive or response.status_code in ANSWERED_EARLY:
            response.force_close()
        self.sock.settimeout(self.unreader.seconds)
        for chunk in chunks:
            response.write(chunk)
        response.close()
        chunks.close()
        self.answering.release()
        return not response.should_close()

    def refuse(self, error: Exception) -> None:
        """Answers what is not HTTP."""
        self.worker.log.warning("invalid request from %s: %s", self.client[0], error)
        self.send(*replies.of(BadPayload(f"the request must be HTTP/1.1: {error}"), None))

    def answer_for_the_application(self, error: Exception) -> None:
        """Answers from the main thread a request that the application works on, if there is one."""
        if self.deadline < float("inf") and self.answering.acquire(blocking=False):
            self.send(*replies.of(error, None))

    def send(self, status: int, body: bytes) -> None:
        """Writes an error and says that the connection ends."""
        head = f"HTTP/1.1 {status} Error\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        with contextlib.suppress(OSError):  # the client may be gone
            self.sock.settimeout(GRACE_SECONDS)
            self.sock.sendall(head.encode() + b"Connection: close\r\n\r\n" + body)

    def hang_up_if_idle(self) -> None:
        """Wakes the thread of a connection on which no request has begun, so that it ends."""
        if self.unreader.deadline is None:
            self._shut_down(socket.SHUT_RD)

    def close(self) -> None:
        """Closes so that the client can read the last answer: what it still sends is taken and dropped."""
        self._shut_down(socket.SHUT_WR)
        end = time.monotonic() + LINGER_SECONDS
        with contextlib.suppress(OSError):  # the client may be gone, or silent for too long
            while (left := end - time.monotonic()) > 0:
                self.sock.settimeout(left)
                if not self.sock.recv(65536):
                    break
        self.sock.close()

    def _shut_down(self, how: int) -> None:
        with contextlib.suppress(OSError):  # it may be closed already
            self.sock.shutdown(how)


class DeadlineReader(SocketUnreader):
    """Reads a socket for gunicorn's parser; from the first byte of a request on, until its deadline."""

    def __init__(self, sock: socket.socket, seconds: float):
        super().__init__(sock)
        self.seconds = seconds
        self.deadline: float | None = None

    def chunk(self, *size_hint) -> bytes:
        """The next bytes, empty at the end. Raises TimeoutError at the deadline."""
        left = KEEP_ALIVE_SECONDS if self.deadline is None else self.deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError(f"it was not there after {self.seconds} s")
        self.sock.settimeout(left)
        try:
            data = super().chunk(*size_hint)
        except TimeoutError as error:
            raise TimeoutError(f"it was not there after {self.seconds} s") from error
        if self.deadline is None:
            self.deadline = time.monotonic() + self.seconds
        return data
