"""Ten thousand requests of mixed sizes, formats and faults over 32 connections, while a worker is killed, then SIGTERM.

Every good request gets its own answer, every bad one its own status and message; a request that was in the killed
worker may break off, and is sent again as any client would.
"""

import http.client
import json
import os
import queue
import random
import signal
import socket
import threading
import time
from dataclasses import dataclass, field

import pytest
from running import serving

N_REQUESTS = 10_000
N_CONNECTIONS = 32
HEAD = (
    "POST /invocations HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: text/csv\r\nContent-Length: {}\r\n\r\n"
)
TRAINED = "the model was trained on 4"


@dataclass
class Tally:
    answered: dict[str, int] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)
    broken_off: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def count(self, kind):
        with self.lock:
            self.answered[kind] = self.answered.get(kind, 0) + 1


class Client(threading.Thread):
    """One connection that draws its requests from a queue, and makes a new one when it is hung up on."""

    def __init__(self, server, X, labels, work, tally):
        super().__init__()
        self.server, self.X, self.labels, self.work, self.tally = server, X, labels, work, tally
        self.connection = None

    def run(self):
        while True:
            try:
                number = self.work.get_nowait()
            except queue.Empty:
                break
            random_ = random.Random(number)
            kind = random_.choice(BAD) if number % 10 == 0 else random_.choice(GOOD)
            try:
                kind(self, random_)
                self.tally.count(kind.__name__)
            except AssertionError as error:
                self.tally.wrong.append(f"{kind.__name__}: {error}")
            except (OSError, http.client.HTTPException):
                self.hang_up()
                with self.tally.lock:
                    self.tally.broken_off += 1
                self.work.put(number)
        self.hang_up()

    def hang_up(self):
        if self.connection:
            self.connection.close()
        self.connection = None

    def ask(self, body, content_type, accept):
        if self.connection is None:
            self.connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=60)
        headers = {"Content-Type": content_type, "Accept": accept}
        self.connection.request("POST", "/invocations", body, headers)
        response = self.connection.getresponse()
        answer = response.read()
        if response.getheader("Connection") == "close":
            self.hang_up()
        return response.status, answer

    def some(self, random_):
        at = random_.randrange(len(self.X))
        return slice(at, at + random_.choice([1, 1, 2, 10, 100, 1000]))

    def refused(self, reply, status, message):
        assert reply[0] == status, reply
        assert json.loads(reply[1])["message"].startswith(message), reply


def csv(X):
    return "".join(",".join(map(repr, row)) + "\n" for row in X.tolist()).encode()


def csv_to_json(client, random_):
    rows = client.some(random_)
    status, answer = client.ask(csv(client.X[rows]), "text/csv", "application/json")
    assert status == 200, answer
    assert [row["closest_cluster"] for row in json.loads(answer)["predictions"]] == client.labels[rows]


def json_to_lines(client, random_):
    rows = client.some(random_)
    body = json.dumps({"instances": [{"features": row} for row in client.X[rows].tolist()]})
    status, answer = client.ask(body, "application/json", "application/jsonlines")
    assert status == 200, answer
    assert [json.loads(line)["closest_cluster"] for line in answer.splitlines()] == client.labels[rows]


def lines_to_json(client, random_):
    rows = client.some(random_)
    body = "".join(json.dumps({"features": row}) + "\n" for row in client.X[rows].tolist())
    status, answer = client.ask(body, "application/jsonlines", "*/*")
    assert status == 200, answer
    assert [row["closest_cluster"] for row in json.loads(answer)["predictions"]] == client.labels[rows]


def bad_type(client, random_):
    name = f"made/up{random_.randrange(1000)}"
    client.refused(client.ask(b"1,2,3,4\n", name, "*/*"), 415, f"content type {name!r} is not supported")


def bad_accept(client, random_):
    name = f"made/up{random_.randrange(1000)}"
    client.refused(client.ask(b"1,2,3,4\n", "text/csv", name), 406, f"accept {name!r} is not supported")


def ragged(client, random_):
    line = random_.randrange(2, 50)
    body = b"1,2,3,4\n" * (line - 1) + b"1,2,3\n" + b"1,2,3,4\n"
    message = f"CSV line {line} has 3 fields, line 1 has 4"
    client.refused(client.ask(body, "text/csv", "*/*"), 400, message)


def bad_width(client, random_):
    width = random_.choice([1, 2, 3, 5, 9])
    body = ",".join("1" * width) + "\n"
    client.refused(client.ask(body, "text/csv", "*/*"), 400, f"the payload has {width} feature")


def too_large(client, random_):
    n_bytes = 1024 * 1024 + random_.randrange(1, 100_000)
    body = b"1,2,3,4\n" * (n_bytes // 8) + b"\n" * (n_bytes % 8)
    message = "the payload must have at most 1048576 bytes (limit set by SAGEMAKER_MAX_PAYLOAD_IN_MB)"
    client.refused(client.ask(body, "text/csv", "*/*"), 413, message)


def cut_off(client, random_):
    """The client ends in the middle of the body, and still reads; or it vanishes."""
    announced = random_.randrange(100, 100_000)
    with socket.create_connection(("127.0.0.1", client.server.port), timeout=60) as sock:
        sock.sendall(HEAD.format(announced).encode() + b"1,2,3,4\n")
        if random_.random() < 0.5:
            return
        sock.shutdown(socket.SHUT_WR)
        answer = b"".join(iter(lambda: sock.recv(65536), b""))
    if not answer:
        raise ConnectionResetError("the worker was killed")
    assert answer.startswith(b"HTTP/1.1 400 "), answer
    assert f"the body must have the {announced} bytes that Content-Length says; it ended after 8".encode() in answer


def slow(client, random_):
    """A good request whose body comes in drops."""
    row = random_.randrange(len(client.X))
    body = csv(client.X[row : row + 1])
    with socket.create_connection(("127.0.0.1", client.server.port), timeout=60) as sock:
        sock.sendall(HEAD.format(len(body)).encode())
        for at in range(0, len(body), 8):
            time.sleep(0.02)
            sock.sendall(body[at : at + 8])
        answer = b"".join(iter(lambda: sock.recv(65536), b""))
    if not answer:
        raise ConnectionResetError("the worker was killed")
    assert answer.startswith(b"HTTP/1.1 200 "), answer
    (predicted,) = json.loads(answer.partition(b"\r\n\r\n")[2])["predictions"]
    assert [predicted["closest_cluster"]] == client.labels[row : row + 1]


GOOD = [csv_to_json, json_to_lines, lines_to_json]
BAD = [bad_type, bad_accept, ragged, bad_width, too_large, cut_off, slow]


@pytest.mark.parametrize("n_requests", [600, pytest.param(N_REQUESTS, marks=pytest.mark.slow)])
def test_every_request_gets_its_own_answer(tmp_path, kmeans_dir, rows, nearest, n_requests):
    work, tally, labels = queue.Queue(), Tally(), nearest(rows)
    for number in range(n_requests):
        work.put(number)
    with serving(tmp_path, "kmeans", kmeans_dir, "--workers", "2", SAGEMAKER_MAX_PAYLOAD_IN_MB=1) as server:
        (first, *_) = server.wait_for_workers(2)
        clients = [Client(server, rows, labels, work, tally) for _ in range(N_CONNECTIONS)]
        for client in clients:
            client.start()
        while work.qsize() > n_requests // 2:
            time.sleep(0.01)
        os.kill(first, signal.SIGKILL)
        for client in clients:
            client.join()
        assert len(server.wait_for_workers(2)) == 2
        last = threading.Thread(target=lambda: tally.count(server.post(csv(rows)).status))
        last.start()
        time.sleep(0.02)
        assert server.stop() == 0
        last.join()
    assert tally.wrong == []
    assert tally.answered.pop(200) == 1
    assert sum(tally.answered.values()) == n_requests
    assert set(tally.answered) == {kind.__name__ for kind in GOOD + BAD}
    assert tally.broken_off <= N_CONNECTIONS
    assert "Traceback" not in server.log()
