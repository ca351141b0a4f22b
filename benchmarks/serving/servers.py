"""The servers that are compared: how each is started, asked, and where its packages come from."""

from __future__ import annotations

import contextlib
import http.client
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
import orjson
from load import request

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
PEERS = HERE / "peers"
SECONDS_TO_START = 60


@dataclass(frozen=True)
class Server:
    """A way to serve the model; `environment` names the virtual environment, None for this one."""

    name: str
    environment: str | None
    command: Callable[[str, int, Path], list[str]]  # of (folder of programs, port, scratch folder)
    body: Callable[[np.ndarray], bytes]
    content_type: str
    ping: str = "/ping"
    path: str = "/invocations"
    needs: str | None = None  # a program

    @property
    def programs(self) -> Path:
        """The folder of the environment's programs."""
        return ROOT / ".envs" / self.environment / "bin" if self.environment else Path(sys.executable).parent

    @property
    def missing(self) -> str | None:
        """What is missing to run it, and how to get it."""
        if self.needs and not shutil.which(self.needs):
            return f"needs {self.needs}"
        if self.environment and not (self.programs.parent / "installed").exists():
            return f"needs scripts/environment {self.environment}"
        return None

    def message(self, X: np.ndarray) -> bytes:
        """The request about some rows."""
        return request(self.path, self.body(X), {"Content-Type": self.content_type})


def csv(X: np.ndarray) -> bytes:
    """Numbers as short as `%g` writes them."""
    return b"".join(b",".join(b"%g" % value for value in row) + b"\n" for row in X.tolist())


def recordio(X: np.ndarray) -> bytes:
    """A record for each row, as SageMaker's SDK writes them."""
    from toolkit.dataset import Dataset
    from toolkit.formats import table

    file = BytesIO()
    writer = table.writer("application/x-recordio-protobuf", file)
    writer.write(Dataset(X))
    writer.finish()
    return file.getvalue()


def instances(X: np.ndarray) -> bytes:
    """One JSON object with a list of rows."""
    return orjson.dumps({"instances": [[float(f"{value:g}") for value in row] for row in X.tolist()]})


def v2(X: np.ndarray) -> bytes:
    """A request of the Open Inference Protocol."""
    values = [float(f"{value:g}") for value in X.ravel().tolist()]
    tensor = {"name": "X", "shape": list(X.shape), "datatype": "FP32", "data": values}
    return orjson.dumps({"inputs": [tensor]})


def byoa(programs: str, port: int, scratch: Path) -> list[str]:
    """Two workers, whatever the machine has."""
    model = ["--algorithm", "kmeans", "--model-dir", str(scratch / "model")]
    return [f"{programs}/serve", *model, "--port", str(port), "--workers", "2"]


def reference(programs: str, port: int, scratch: Path) -> list[str]:
    """nginx, gunicorn, flask, pandas."""
    return [f"{programs}/python", str(PEERS / "reference.py"), str(port), str(scratch)]


def litserve(programs: str, port: int, scratch: Path) -> list[str]:
    """LitServe."""
    return [f"{programs}/python", str(PEERS / "litserve_app.py"), str(port)]


def bentoml(programs: str, port: int, scratch: Path) -> list[str]:
    """BentoML."""
    options = ["--host", "127.0.0.1", "--port", str(port), "--working-dir", str(PEERS)]
    return [f"{programs}/bentoml", "serve", "bentoml_app:Centroids", *options]


def mlserver(programs: str, port: int, scratch: Path) -> list[str]:
    """MLServer, whose ports are settings in a folder."""
    folder = scratch / "mlserver"
    shutil.copytree(PEERS / "mlserver", folder, dirs_exist_ok=True)
    ports = {"host": "127.0.0.1", "http_port": port, "grpc_port": free_port(), "metrics_port": free_port()}
    (folder / "settings.json").write_bytes(orjson.dumps(ports | {"parallel_workers": 2, "debug": False}))
    return [f"{programs}/mlserver", "start", str(folder)]


SERVERS = (
    Server("ref", "reference", reference, csv, "text/csv", needs="nginx"),
    Server("byoa", None, byoa, csv, "text/csv"),
    Server("byoa RecordIO", None, byoa, recordio, "application/x-recordio-protobuf"),
    Server("LitServe JSON", "litserve", litserve, instances, "application/json", "/health", "/predict"),
    Server("BentoML", "bentoml", bentoml, csv, "text/plain", "/readyz"),
    Server(
        "MLServer V2 JSON",
        "mlserver",
        mlserver,
        v2,
        "application/json",
        "/v2/health/ready",
        "/v2/models/centroids/infer",
    ),
)


@dataclass
class Running:
    """A server that answered its first ping `seconds` after it was started."""

    server: Server
    process: subprocess.Popen
    port: int
    seconds: float


@contextlib.contextmanager
def running(server: Server, scratch: Path) -> Iterator[Running]:
    """Starts a server, and ends it and all that it started, by their ids."""
    folder = scratch / server.name.replace(" ", "-")
    folder.mkdir(exist_ok=True)
    shutil.copytree(scratch / "model", folder / "model", dirs_exist_ok=True)
    port = free_port()
    command = server.command(str(server.programs), port, folder)
    variables = os.environ | {"CENTROIDS": str(scratch / "centroids.npy"), "BENTOML_DO_NOT_TRACK": "True"}
    with (folder / "log").open("wb") as log:
        start = time.perf_counter()
        process = subprocess.Popen(command, stdout=log, stderr=log, env=variables, start_new_session=True)
        try:
            wait_for_ping(port, server.ping, process, folder / "log")
            yield Running(server, process, port, time.perf_counter() - start)
        finally:
            end(process)


def wait_for_ping(port: int, path: str, process: subprocess.Popen, log: Path) -> None:
    """Returns at the first 200. Raises RuntimeError with the log where there is none."""
    give_up = time.monotonic() + SECONDS_TO_START
    while time.monotonic() < give_up and process.poll() is None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
        with contextlib.suppress(OSError, http.client.HTTPException), contextlib.closing(connection):
            connection.request("GET", path)
            if connection.getresponse().status == 200:
                return
        time.sleep(0.005)
    raise RuntimeError(f"no answer to GET {path}:\n{log.read_text()[-3000:]}")


def end(process: subprocess.Popen) -> None:
    """Ends the process group that the server was started in."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, 15)
    try:
        process.wait(timeout=15)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, 9)
        process.wait()


def free_port() -> int:
    """A port of 127.0.0.1 that nobody has."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]
