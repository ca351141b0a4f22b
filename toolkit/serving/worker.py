"""A gunicorn worker with a thread for each connection.

A client that sends slowly holds nothing but its own thread, and a request's time is counted from its first byte.
New connections go to the worker that has fewest: gunicorn's own threaded worker takes all that it sees, so that
eight may share one of two workers for as long as they are kept alive.
"""

from __future__ import annotations

import os
import select
import socket
import threading
import time

from gunicorn.workers.base import Worker

from toolkit.errors import ServerLimit
from toolkit.serving.connection import Connection
from toolkit.serving.limits import out_of_time

MAX_CONNECTIONS = 500  # of one worker; more wait unaccepted
YIELD_SECONDS = 0.02  # what a worker leaves those with fewer connections to accept a new one first
WATCH_SECONDS = 0.25  # between two looks at the deadlines
GRACE_SECONDS = 0.25  # after a request's deadline, for the thread to say so itself
LAST_REQUEST_SECONDS = 1  # after SIGTERM, for a request that is on its way over an idle connection


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
            for ready in select.select(self.waited_for(), [], [], WATCH_SECONDS)[0]:
                if ready in self.sockets:
                    self.give_way()
                    self.accept(ready)
                else:
                    os.read(ready, 4096)  # a signal has come; its handler has run
        self.drain()

    def waited_for(self) -> list:
        """The listeners and the pipe of signals; of a full worker, only the pipe."""
        return self.wait_fds if len(self.connections) < MAX_CONNECTIONS else [self.PIPE[0]]

    def give_way(self) -> None:
        """Leaves a new connection to a less busy worker, for a moment."""
        patience = time.monotonic() + YIELD_SECONDS
        while self.board.is_crowded(self.slot) and time.monotonic() < patience:
            time.sleep(0.001)

    def accept(self, listener: socket.socket) -> bool:
        """Whether there was a new connection; it is taken."""
        try:
            sock, client = listener.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return False
        connection = Connection(self, sock, client, listener.getsockname())
        self.connections.add(connection)
        self.count()
        threading.Thread(target=connection.run, daemon=True).start()
        return True

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
        """Answers what has come, closes what is idle, and returns within gunicorn's graceful timeout."""
        now = time.monotonic()
        idle_until, end = now + LAST_REQUEST_SECONDS, now + self.cfg.graceful_timeout
        for listener in self.sockets:
            self.accept_last(listener, idle_until)
        while self.connections and time.monotonic() < end:
            self.notify()
            self.end_overdue()
            if time.monotonic() > idle_until:
                for connection in list(self.connections):
                    connection.hang_up_if_idle()
            time.sleep(0.02)

    def accept_last(self, listener: socket.socket, end: float) -> None:
        """Takes the connections that wait, for closing the listener would reset them, and closes it."""
        listener.listen(0)  # clients who come now are kept waiting, and then refused before they send anything
        while len(self.connections) < MAX_CONNECTIONS and time.monotonic() < end and self.accept(listener):
            pass
        listener.close()


_RESTARTING = ServerLimit("the worker restarts, because another request took too long; try again in a moment")
