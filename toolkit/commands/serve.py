"""`byoa serve`: a model, served on this machine as an endpoint would."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import click

from toolkit import archive
from toolkit.local_training import STOPS


@click.command()
@click.argument("model", type=click.Path(path_type=Path))
@click.option("--algorithm", required=True, help="Name of the algorithm that made the model.")
@click.option("--port", type=click.IntRange(1, 65535), default=8080, show_default=True, help="Port to listen on.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--workers", type=click.IntRange(min=1), help="Worker processes; by default as CPU and memory allow.")
def command(model: Path, algorithm: str, port: int, host: str, workers: int | None) -> None:
    """Serve MODEL, a model.tar.gz or the folder that holds one or its files, until Ctrl-C.

    \b
    byoa serve run/model.tar.gz --algorithm kmeans --port 8080
    byoa invoke data.csv --url http://127.0.0.1:8080
    """
    with archive.unpacked(model) as folder:
        options = ["--algorithm", algorithm, "--model-dir", str(folder), "--port", str(port), "--host", host]
        options += ["--workers", str(workers)] if workers else []
        sys.exit(_run([sys.executable, "-m", "toolkit.serving.program", *options]))


def _run(program: list[str]) -> int:
    """Runs the program, passing on a request to stop, and waits for its end."""
    process = subprocess.Popen(program, start_new_session=True)
    for number in STOPS:
        signal.signal(number, lambda *_: process.terminate())
    return process.wait()
