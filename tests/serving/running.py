"""The real `serve` program, started on a free port, and requests to it."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

SECONDS_TO_START = 20
ROOT = Path(__file__).parents[2]


@dataclass
class Reply:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self):
        return json.loads(self.body)


@dataclass
class Running:
    process: subprocess.Popen
    port: int
    output: Path
    headers: dict[str, str] = field(default_factory=dict)

    def ask(self, method, path, body=None, timeout=30, **headers):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, path, body, named)
            response = connection.getresponse()
            return Reply(response.status, dict(response.getheaders()), response.read())
        finally:
            connection.close()

    def post(self, body, content_type="text/csv", **headers):
        typed = {"Content_Type": content_type} if content_type else {}
        return self.ask("POST", "/invocations", body, **typed, **headers)

    def connect(self):
        return socket.create_connection(("127.0.0.1", self.port), timeout=30)

    def workers(self):
        pid = self.process.pid
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]

    def wait_for_workers(self, n_workers, without=()):
        """The workers, once there are so many new ones."""
        end = time.monotonic() + SECONDS_TO_START
        while len(set(self.workers()) - set(without)) < n_workers:
            assert time.monotonic() < end, self.log()
            time.sleep(0.02)
        return self.workers()

    def log(self):
        return self.output.read_text()

    def requests(self):
        return [json.loads(line) for line in self.log().splitlines() if line.startswith("{")]

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=40)


def free_port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


def command(algorithm, model_dir, port, *options):
    program = [sys.executable, "-m", "toolkit.serving.program", "--algorithm", algorithm]
    return [*program, "--model-dir", str(model_dir), "--port", str(port), *options]


def environment(**variables):
    """Only what a container has; PYTHONPATH as the test says."""
    return {"PATH": os.environ["PATH"]} | {name: str(value) for name, value in variables.items()}


@contextmanager
def serving(folder, algorithm, model_dir, *options, **more):
    """A server that is ready."""
    with starting(folder, algorithm, model_dir, *options, **more) as running:
        wait_until_ready(running)
        yield running


@contextmanager
def starting(folder, algorithm, model_dir, *options, before=(), port=None, **variables):
    """A server that has just been started."""
    port = port or free_port()
    with started(folder, [*before, *command(algorithm, model_dir, port, *options)], port, **variables) as running:
        yield running


@contextmanager
def started(folder, program, port, **variables):
    """A program that serves on that port; it is ended by its process id if the test has not ended it."""
    output = folder / f"serve-{port}.log"
    with output.open("wb") as file:
        process = subprocess.Popen(program, env=environment(**variables), stdout=file, stderr=file, cwd="/")
    try:
        yield Running(process, port, output)
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait(timeout=40)


def wait_until_ready(running):
    end = time.monotonic() + SECONDS_TO_START
    while True:
        try:
            if running.ask("GET", "/ping", timeout=2).status == 200:
                return
        except OSError:
            pass
        assert running.process.poll() is None, running.log()
        assert time.monotonic() < end, running.log()
        time.sleep(0.01)


def run_to_the_end(algorithm, model_dir, *options, **variables):
    """The program where it does not get as far as serving."""
    port = variables.pop("port", None) or free_port()
    return subprocess.run(
        command(algorithm, model_dir, port, *options),
        env=environment(**variables),
        capture_output=True,
        text=True,
        timeout=30,
        cwd="/",
    )
