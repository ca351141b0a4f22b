"""Small fitted models, and a real `serve` of one."""

import socket
import subprocess
import sys
from contextlib import contextmanager

import pytest

from toolkit.algorithm import find
from transform.rows import ROWS

HYPERPARAMETERS = {"pca": {"num_components": "2"}, "kmeans": {"k": "3"}, "dbscan": {"eps": "0.3"}}


@pytest.fixture(scope="session")
def model_dirs(tmp_path_factory):
    """The folder of a fitted model for each algorithm, by name."""
    folders = {}
    for name, hyperparameters in HYPERPARAMETERS.items():
        folders[name] = tmp_path_factory.mktemp(name)
        algorithm = find(name)(**hyperparameters)
        algorithm.fit(ROWS)
        algorithm.save(folders[name])
    return folders


@pytest.fixture(scope="session")
def serve(model_dirs):
    """A context manager: the address of `serve` with the model of that name."""

    @contextmanager
    def serving(name):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        command = [sys.executable, "-m", "toolkit.serving.program", "--algorithm", name]
        process = subprocess.Popen(
            [*command, "--model-dir", str(model_dirs[name]), "--port", str(port), "--workers", "1"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(30)

    return serving
