import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from toolkit.errors import BadOption, ContainerFault, RequestRefused
from toolkit.transform.container import Container
from toolkit.transform.settings import Settings


class Script(BaseHTTPRequestHandler):
    """A container that answers each path with what the server's script says next; the last one stays."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.reply(b"")

    def do_POST(self):
        self.reply(self.body())

    def body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        pieces = []
        while size := int(self.rfile.readline(), 16):
            pieces.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(pieces)

    def reply(self, body: bytes):
        self.server.seen.append((self.path, dict(self.headers), body))
        script = self.server.script.get(self.path, [(404, b"")])
        answer = script.pop(0) if len(script) > 1 else script[0]
        if answer == "hang up":
            self.connection.close()
            self.close_connection = True
            return
        if callable(answer):
            answer = answer(body)
        status, text = answer
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_):
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        pass  # a client that has hung up


@contextmanager
def serving(script):
    """The address of a container with this script, and the list of requests that it has seen."""
    server = Server(("127.0.0.1", 0), Script)
    server.script, server.seen = script, []
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", server.seen
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def container(script, **given):
    with serving(script) as (url, seen):
        connection = Container(url, Settings(**given))
        yield connection, seen
        connection.close()


def test_a_container_is_ready_when_it_answers_ping_with_200():
    with container({"/ping": [(503, b"loading"), (500, b""), "hang up", (200, b"\n")]}) as (connection, seen):
        connection.wait_until_ready(10)
    assert [path for path, *_ in seen] == ["/ping"] * 4


def test_a_container_that_never_gets_ready_is_its_own_fault():
    with container({"/ping": [(503, b"no model")]}) as (connection, _), pytest.raises(ContainerFault) as error:
        connection.wait_until_ready(0.3)
    url = connection.url
    assert str(error.value) == f"the container must answer {url}/ping with 200 within 0.3 s; last: 503 no model"


def test_nobody_there_is_said():
    connection = Container("http://127.0.0.1:1", Settings())
    with pytest.raises(
        ContainerFault, match="must answer http://127.0.0.1:1/ping with 200 within 0.2 s; last: .*refused"
    ):
        connection.wait_until_ready(0.2)


@pytest.mark.parametrize("url", ["127.0.0.1:8080", "ftp://127.0.0.1", "http://"])
def test_an_address_must_be_one_of_http(url):
    with pytest.raises(BadOption) as error:
        Container(url, Settings())
    assert str(error.value) == f"the container's address must be such as http://127.0.0.1:8080; got {url!r}"


@pytest.mark.parametrize(
    ("answer", "offered"),
    [
        (
            (200, b'{"BatchStrategy": "SINGLE_RECORD", "MaxPayloadInMB": 2}'),
            {"BatchStrategy": "SingleRecord", "MaxPayloadInMB": 2},
        ),
        ((200, b'{"MaxConcurrentTransforms": 8}'), {"MaxConcurrentTransforms": 8}),
        ((404, b"nothing"), {}),
        ("hang up", {}),
    ],
)
def test_a_container_may_offer_parameters(answer, offered):
    with container({"/execution-parameters": [answer]}) as (connection, _):
        assert connection.execution_parameters() == offered


def test_parameters_must_be_an_object():
    with (
        container({"/execution-parameters": [(200, b"[8]")]}) as (connection, _),
        pytest.raises(ContainerFault) as error,
    ):
        connection.execution_parameters()
    assert str(error.value) == "/execution-parameters must answer a JSON object; got '[8]'"


def test_content_type_and_accept_travel_with_the_body():
    with container({"/invocations": [(200, b"answer")]}) as (connection, seen):
        assert connection.ask(b"1,2\n", "text/csv", "application/json") == b"answer"
        connection.ask(b"1,2\n", None, None)
    assert [(headers.get("Content-Type"), headers.get("Accept"), body) for _, headers, body in seen] == [
        ("text/csv", "application/json", b"1,2\n"),
        (None, None, b"1,2\n"),
    ]


def test_one_connection_serves_all_requests():
    ports = []
    with container({"/invocations": [(200, b"")]}) as (connection, _):
        for _ in range(3):
            connection.ask(b"1", None, None)
            ports.append(connection.connection.sock.getsockname())
    assert len(set(ports)) == 1


def test_a_payload_without_limit_is_sent_in_chunks():
    with container({"/invocations": [(200, b"")]}, max_payload=0) as (connection, seen):
        connection.ask(b"x" * 3_000_000, None, None)
    path, headers, body = seen[0]
    assert (headers.get("Transfer-Encoding"), headers.get("Content-Length"), len(body)) == ("chunked", None, 3_000_000)


@pytest.mark.parametrize("fault", [(500, b"oh"), (503, b""), "hang up"])
def test_a_fault_of_the_container_is_tried_again(fault):
    with container({"/invocations": [fault, fault, fault, (200, b"at last")]}) as (connection, seen):
        assert connection.ask(b"1", None, None) == b"at last"
    assert len(seen) == 4


def test_a_time_out_is_tried_again():
    def slow(body):
        time.sleep(1.3)
        return 200, b"late"

    with container({"/invocations": [slow, (200, b"in time")]}, timeout=1) as (connection, _):
        assert connection.ask(b"1", None, None) == b"in time"


def test_the_number_of_retries_is_the_jobs():
    with (
        container({"/invocations": [(500, b"oh")]}, retries=1) as (connection, seen),
        pytest.raises(ContainerFault) as error,
    ):
        connection.ask(b"1", None, None)
    assert str(error.value) == "bad HTTP status received from algorithm: 500: oh (after 2 tries)"
    assert len(seen) == 2


def test_a_refusal_is_not_tried_again():
    with (
        container({"/invocations": [(415, b"no such type")]}) as (connection, seen),
        pytest.raises(RequestRefused) as error,
    ):
        connection.ask(b"1", None, None)
    assert str(error.value) == "415: no such type"
    assert len(seen) == 1


def test_closing_ends_a_request_under_way_in_another_thread():
    begun, errors = threading.Event(), []

    def slow(body):
        begun.set()
        time.sleep(0.5)
        return 200, b""

    def ask(connection):
        try:
            connection.ask(b"1", None, None)
        except ContainerFault as error:
            errors.append(error)

    with container({"/invocations": [slow]}) as (connection, seen):
        thread = threading.Thread(target=ask, args=(connection,))
        thread.start()
        begun.wait(10)
        connection.close()
        thread.join(0.4)
        assert not thread.is_alive()
    assert len(errors) == len(seen) == 1
