"""A container's program in the standard library alone that keeps every rule: it learns the mean of each column.

python sound.py --opt-ml DIR train|serve
"""

import argparse
import csv
import io
import json
import os
import signal
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

LIMIT = 8 * 2**20


class Refused(Exception):
    """A request that cannot be answered."""

    def __init__(self, status, reason):
        super().__init__(reason)
        self.status = status


class Trainer:
    """The `train` program."""

    def __init__(self, opt_ml):
        self.opt_ml = opt_ml
        self.channel = opt_ml / "input" / "data" / "train"

    def main(self):
        signal.signal(signal.SIGTERM, self.stop)
        try:
            self.train()
        except Exception as error:
            self.fail(error)

    def train(self):
        self.check_hyperparameters(json.loads((self.opt_ml / "input/config/hyperparameters.json").read_text()))
        self.save(self.learn(self.rows()))

    def check_hyperparameters(self, given):
        if not given.get("rate", "1").isdigit():
            raise ValueError(f"rate must be a whole number; got {given['rate']!r}")

    def rows(self):
        for path in sorted(self.channel.iterdir()):
            for fields in csv.reader(path.read_text().splitlines()):
                yield [float(field) for field in fields]

    def learn(self, rows):
        n_rows, total = 0, None
        for row in rows:
            total = row if total is None else [a + b for a, b in zip(total, row, strict=True)]
            n_rows += 1
        if not n_rows:
            raise ValueError("channel train is empty")
        return [value / n_rows for value in total]

    def save(self, means):
        (self.opt_ml / "model" / "means.json").write_text(json.dumps(means))

    def fail(self, error):
        (self.opt_ml / "output" / "failure").write_text(f"{type(error).__name__}: {error}")
        sys.exit(1)

    def stop(self, *_):
        sys.exit(0)


class Handler(BaseHTTPRequestHandler):
    """Answers for the means that the class attribute `means` holds."""

    means = ()
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        if self.path == "/ping":
            self.ping()
        elif self.path == "/execution-parameters":
            self.execution_parameters()
        else:
            self.answer(404, {"error": "no such path"})

    def ping(self):
        self.answer(200, {})

    def execution_parameters(self):
        self.answer(200, {"MaxConcurrentTransforms": 2, "BatchStrategy": "MULTI_RECORD", "MaxPayloadInMB": 6})

    def do_POST(self):
        try:
            self.answer(200, self.predict(self.parse(self.read())))
        except Refused as refused:
            self.refuse(refused)

    def refuse(self, refused):
        self.close_connection = True
        self.answer(refused.status, {"error": str(refused)})

    def read(self):
        length = int(self.headers.get("Content-Length", 0))
        if length > LIMIT:
            self.too_large(length)
        body = self.rfile.read(length)
        if len(body) < length:
            self.cut_off()
        return body

    def too_large(self, length):
        raise Refused(413, f"{length} bytes are more than {LIMIT}")

    def cut_off(self):
        raise Refused(400, "the body was cut off")

    def parse(self, body):
        self.check_media_type(self.headers.get("Content-Type", ""))
        if not body:
            self.empty()
        try:
            return [[float(field) for field in fields] for fields in csv.reader(io.StringIO(body.decode()))]
        except ValueError as error:
            return self.unreadable(error)

    def check_media_type(self, content_type):
        if content_type.partition(";")[0].strip().lower() != "text/csv":
            raise Refused(415, f"{content_type} is not text/csv")

    def empty(self):
        raise Refused(400, "the body is empty")

    def unreadable(self, error):
        raise Refused(400, f"the body is not CSV: {error}")

    def predict(self, rows):
        return [sum(abs(a - b) for a, b in zip(row, self.means, strict=True)) for row in rows]

    def answer(self, status, value):
        self.send(status, json.dumps(value).encode(), "application/json")

    def send(self, status, body, content_type):
        self.send_response(status)
        if content_type:
            self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """Says nothing."""


class Server:
    """The `serve` program."""

    handler = Handler

    def __init__(self, opt_ml):
        self.model = opt_ml / "model"

    def main(self):
        self.handler.means = self.load()
        self.server = self.listen(self.port())
        signal.signal(signal.SIGTERM, self.stop)
        self.server.serve_forever(poll_interval=0.02)

    def load(self):
        return json.loads((self.model / "means.json").read_text())

    def port(self):
        return int(os.environ.get("SAGEMAKER_BIND_TO_PORT", "8080"))

    def listen(self, port):
        class Listener(ThreadingHTTPServer):
            request_queue_size = 128
            daemon_threads = True

            def handle_error(self, request, client_address):
                """A client that hung up is that client's affair."""

        return Listener((os.environ.get("HOST", "127.0.0.1"), port), self.handler)

    def stop(self, *_):
        threading.Thread(target=self.server.shutdown).start()


def main(trainer=Trainer, server=Server):
    """Runs the program that the last argument names."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--opt-ml", type=Path, default=Path("/opt/ml"))
    parser.add_argument("program", choices=("train", "serve"))
    given = parser.parse_args()
    {"train": trainer, "serve": server}[given.program](given.opt_ml).main()


if __name__ == "__main__":
    main()
