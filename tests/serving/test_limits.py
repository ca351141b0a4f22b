"""The limits that a server holds, against the real program: what is refused, and that nobody else notices."""

import socket
import threading
import time

import pytest
from running import serving

from toolkit.environment import Limit
from toolkit.errors import BadPayload, PayloadTooLarge, ServerLimit, TookTooLong
from toolkit.serving.limits import Room, Turns, read_body

ROW = b"0,0\n"
HEAD = b"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Type: text/csv\r\n"


@pytest.fixture(scope="module")
def limited(tmp_path_factory, misbehaving):
    """One worker with small limits, for a plugin that sleeps or fails as its rows say."""
    variables = {"SAGEMAKER_MODEL_SERVER_TIMEOUT": 2, "SAGEMAKER_MAX_PAYLOAD_IN_MB": 1, "PYTHONPATH": misbehaving}
    folder = tmp_path_factory.mktemp("limited")
    with serving(folder, "misbehaving", misbehaving, "--workers", "1", **variables) as running:
        yield running


def everything(connection):
    """All that the server sends until it hangs up."""
    received = b""
    while piece := connection.recv(65536):
        received += piece
    return received


def chunked(body, size=70_000):
    pieces = [body[at : at + size] for at in range(0, len(body), size)]
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


def test_a_body_of_the_largest_size_is_taken_and_one_byte_more_is_not(limited):
    largest = ROW * (1024 * 1024 // len(ROW))
    assert limited.post(largest).status == 200
    reply = limited.post(largest + b"\n")
    assert reply.status == 413
    must = "the payload must have at most 1048576 bytes (limit set by SAGEMAKER_MAX_PAYLOAD_IN_MB)"
    assert reply.json["message"] == f"{must}; it has 1048577 or more"


@pytest.mark.parametrize("n_rows", [1, 100, 40_000])
def test_a_body_in_chunks_is_one_body(limited, n_rows):
    with limited.connect() as connection:
        connection.sendall(HEAD + b"Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked(ROW * n_rows))
        head, _, body = everything(connection).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert body.count(b'"score"') == n_rows


def test_a_body_in_chunks_has_the_same_limit(limited):
    with limited.connect() as connection:
        connection.sendall(HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + chunked(ROW * 600_000))
        answer = everything(connection)
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"\r\nConnection: close\r\n" in answer


def test_a_client_that_waits_for_leave_to_send_gets_it(limited):
    with limited.connect() as connection:
        connection.sendall(HEAD + b"Expect: 100-continue\r\nConnection: close\r\nContent-Length: 4\r\n\r\n")
        assert connection.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(ROW)
        assert everything(connection).startswith(b"HTTP/1.1 200 OK\r\n")


@pytest.mark.parametrize(
    ("sent", "message"),
    [
        (
            b"Content-Length: 100\r\n\r\n0,0\n",
            "the body must have the 100 bytes that Content-Length says; it ended after 4",
        ),
        (
            b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
            "the body must arrive whole; its chunks or the connection broke off",
        ),
        (
            b"Transfer-Encoding: chunked\r\n\r\n4\r\n0,0\n\r\n",
            "the body must arrive whole; its chunks or the connection",
        ),
    ],
)
def test_a_body_that_breaks_off_is_told(limited, sent, message):
    with limited.connect() as connection:
        connection.sendall(HEAD + sent)
        connection.shutdown(socket.SHUT_WR)
        answer = everything(connection)
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert message.encode() in answer


def test_what_is_not_http_is_told_in_json(limited):
    with limited.connect() as connection:
        connection.sendall(b"HELLO\r\n\r\n")
        answer = everything(connection)
    assert answer.startswith(b"HTTP/1.1 400 Error\r\nContent-Type: application/json\r\n")
    assert b"the request must be HTTP/1.1; Invalid HTTP request line: 'HELLO'" in answer


def test_requests_one_after_another_on_a_connection_have_answers_in_their_order(limited):
    requests = [HEAD + b"Content-Length: 4\r\n\r\n%d,0\n" % (10 + i) for i in range(5)]
    requests[-1] = requests[-1].replace(b"Host: x", b"Host: x\r\nConnection: close")
    with limited.connect() as connection:
        connection.sendall(b"".join(r.replace(b"Content-Length: 4", b"Content-Length: 5") for r in requests))
        answers = everything(connection)
    scores = [part.partition(b"}")[0] for part in answers.split(b'"score":')[1:]]
    assert [float(score) for score in scores] == [10, 11, 12, 13, 14]


def test_slow_and_vanished_clients_disturb_nobody(limited):
    slow = [limited.connect() for _ in range(40)]
    try:
        for number, connection in enumerate(slow):
            connection.sendall((HEAD + b"Content-Length: 100000\r\n\r\n0,0\n")[: 30 if number % 2 else None])
        slow.pop().close()
        start = time.monotonic()
        assert [limited.post(ROW).status for _ in range(10)] == [200] * 10
        assert time.monotonic() - start < 2
        must = b"a request must arrive within 2 s (limit set by SAGEMAKER_MODEL_SERVER_TIMEOUT); it did not"
        for connection in slow[:2]:  # one stopped in its head, one in its body
            answer = everything(connection)
            assert answer.startswith(b"HTTP/1.1 408 ")
            assert must in answer
    finally:
        for connection in slow:
            connection.close()


def test_a_body_that_is_late_behind_another_request_costs_no_worker(limited):
    (before,) = limited.workers()
    with limited.connect() as connection:
        whole = HEAD + b"Content-Length: 4\r\n\r\n0,0\n"
        connection.sendall(whole + whole[:-2])  # in one piece, so that the second has begun before it is looked at
        answers = everything(connection)
    assert answers.startswith(b"HTTP/1.1 200 ")
    assert b"HTTP/1.1 408 " in answers
    assert limited.workers() == [before]


def test_ping_is_answered_while_a_computation_runs(limited):
    replies = []
    thread = threading.Thread(target=lambda: replies.append(limited.post(b"1,1.5\n")))
    thread.start()
    time.sleep(0.1)
    start = time.monotonic()
    assert limited.ask("GET", "/ping").status == 200
    assert time.monotonic() - start < 1
    assert replies == []
    thread.join()
    assert replies[0].status == 200


def test_a_computation_past_its_time_is_told_and_its_worker_replaced(limited):
    (before,) = limited.workers()
    replies = {}

    def ask(name, body):
        replies[name] = limited.post(body)

    late = threading.Thread(target=ask, args=("late", b"1,30\n"))
    late.start()
    time.sleep(1.2)
    waiting = threading.Thread(target=ask, args=("waiting", ROW))
    waiting.start()
    late.join()
    waiting.join()
    must = "a request must be answered within 2 s (limit set by SAGEMAKER_MODEL_SERVER_TIMEOUT)"
    assert (replies["late"].status, replies["late"].json["message"]) == (504, f"{must}; it was not")
    assert replies["waiting"].status == 503
    again = "the worker restarts, because another request took too long; try again in a moment"
    assert replies["waiting"].json["message"] == again
    limited.wait_for_workers(1, without=[before])
    assert limited.post(ROW).status == 200


def test_a_defect_says_nothing_to_the_client_and_everything_to_the_log(limited):
    reply = limited.post(b"2,0\n")
    assert (reply.status, reply.json["error"]) == (500, "InternalError")
    assert reply.json["message"] == "the server failed on this request; the log has the trace"
    assert b"secret" not in reply.body
    log = limited.log()
    assert f"request {reply.json['request_id']} failed" in log
    assert "ZeroDivisionError: a secret" in log


def test_a_plugin_that_forgets_rows_is_named(limited):
    reply = limited.post(b"3,0\n3,0\n")
    assert (reply.status, reply.json["error"]) == (500, "AlgorithmFault")
    assert reply.json["message"] == "algorithm 'misbehaving' must answer 2 rows; column 'score' has 1"


def test_a_full_queue_is_told():
    turns = Turns(Limit(1, "SAGEMAKER_MODEL_JOB_QUEUE_SIZE"), Limit(60, "the default"))
    soon = time.monotonic() + 60
    with turns.turn(soon):
        waiting = threading.Thread(target=lambda: turns.turn(soon).__enter__())
        waiting.daemon = True
        waiting.start()
        while turns._n_requests < 2:
            time.sleep(0.001)
        with pytest.raises(ServerLimit) as caught, turns.turn(soon):
            pass
    must = "at most 1 requests may wait in a worker (limit set by SAGEMAKER_MODEL_JOB_QUEUE_SIZE)"
    assert str(caught.value) == f"{must}; try again in a moment"


def test_a_turn_that_does_not_come_in_time_is_told():
    turns = Turns(Limit(1, "the default"), Limit(60, "MODEL_SERVER_TIMEOUT"))
    must = r"^a request must be answered within 60 s \(limit set by MODEL_SERVER_TIMEOUT\); it was not$"
    with turns.turn(time.monotonic() + 1), pytest.raises(TookTooLong, match=must), turns.turn(time.monotonic() + 0.01):
        pass


def test_bodies_have_a_place_in_memory_and_give_it_back():
    room = Room(Limit(10, "8 times the payload limit"))
    with room.place() as take, room.place() as take_more:
        take(6)
        take_more(4)
        with pytest.raises(ServerLimit) as caught:
            take(1)
    must = "the bodies in a worker must have at most 10 bytes together (8 times the payload limit)"
    assert str(caught.value) == f"{must}; try again in a moment"
    with room.place() as take:
        take(10)


class Pieces:
    def __init__(self, *pieces):
        self.pieces = list(pieces)

    def read(self, size):
        return self.pieces.pop(0) if self.pieces else b""


def test_a_body_is_joined_from_its_pieces_and_counted():
    counted = []
    environ = {"wsgi.input": Pieces(b"ab", b"c"), "CONTENT_LENGTH": "3"}
    assert read_body(environ, Limit(3, "the default"), counted.append) == b"abc"
    assert counted == [2, 1]


def test_a_body_without_limit_is_read_to_its_end():
    assert read_body({"wsgi.input": Pieces(b"abc")}, Limit(0, "the default"), lambda n: None) == b"abc"


@pytest.mark.parametrize(
    ("announced", "pieces", "error"),
    [("4", [], PayloadTooLarge), (None, [b"ab", b"cd"], PayloadTooLarge), ("3", [b"ab"], BadPayload)],
)
def test_a_body_must_be_as_long_as_announced_and_allowed(announced, pieces, error):
    environ = {"wsgi.input": Pieces(*pieces), "CONTENT_LENGTH": announced}
    with pytest.raises(error):
        read_body(environ, Limit(3, "the default"), lambda n: None)
