"""One way to transform SCRATCH/data.csv: `ways.py WAY ALGORITHM SCRATCH` prints [wall s, CPU s, peak MB]."""

from __future__ import annotations

import json
import resource
import socket
import subprocess
import sys
import time
from pathlib import Path

from toolkit import environment, machine

BLOCK = 6 * 1024 * 1024
LINES = {"content_type": "text/csv", "split_type": "Line", "assemble_with": "Line"}


def floor(algorithm: str, scratch: Path) -> float:
    """Two processes, each with half of the file."""
    start = time.perf_counter()
    halves = [subprocess.Popen([sys.executable, __file__, "half", algorithm, str(scratch), str(i)]) for i in (0, 1)]
    assert [half.wait() for half in halves] == [0, 0]
    return time.perf_counter() - start


def half(algorithm: str, scratch: Path, number: int) -> None:
    """Reads, parses, multiplies, encodes and writes one half, in blocks of whole lines."""
    environment.limit_numerical_threads(1)
    machine.keep_freed_memory()
    import numpy as np

    from toolkit import ndarrays
    from toolkit.formats import decimals, json_records

    found = ndarrays.read(scratch / algorithm / "model_algo-1")
    if algorithm == "pca":
        shift, weights = found["mean"] @ found["v"], np.ascontiguousarray(found["v"])
    else:
        weights = np.ascontiguousarray(found[0].T)
        squares = (weights**2).sum(axis=0)

    def columns(X):
        if algorithm == "pca":
            return {"projection": X @ weights - shift}, "projections"
        distances = squares - 2 * (X @ weights)
        nearest = distances.argmin(axis=1)
        squared = np.take_along_axis(distances, nearest[:, None], 1)[:, 0] + np.einsum("ij,ij->i", X, X)
        return {"closest_cluster": nearest.astype(np.float32), "distance_to_cluster": np.sqrt(squared)}, "predictions"

    path = scratch / "data.csv"
    middle = path.stat().st_size // 2
    with path.open("rb") as source, (scratch / f"half{number}").open("wb") as target:
        source.seek(middle if number else 0)
        begin = source.tell() + len(source.readline()) if number else 0
        source.seek(middle)
        end = path.stat().st_size if number else middle + len(source.readline())
        source.seek(begin)
        while begin < end:
            block = source.read(min(BLOCK, end - begin))
            block = block[: block.rfind(b"\n") + 1]
            begin += len(block)
            source.seek(begin)
            target.write(json_records.answer(*columns(decimals.table(block[:-1]))) + b"\n")


def byoa(algorithm: str, scratch: Path) -> float:
    """A transform job with a model."""
    return _job(scratch, lambda job: job.with_model(algorithm, scratch / algorithm, 2))


def http(algorithm: str, scratch: Path) -> float:
    """The same job over HTTP to `serve`, which is ready before."""
    from toolkit.transform.container import Container
    from toolkit.transform.settings import Settings

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "toolkit.serving.program", "--algorithm", algorithm, "--port", str(port)]
    command += ["--model-dir", str(scratch / algorithm), "--workers", "2"]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        Container(f"http://127.0.0.1:{port}", Settings()).wait_until_ready(60)
        return _job(scratch, lambda job: job.with_container(f"http://127.0.0.1:{port}"))
    finally:
        server.terminate()
        server.wait()


def _job(scratch: Path, run) -> float:
    from toolkit.transform.inputs import find
    from toolkit.transform.job import TransformJob
    from toolkit.transform.settings import Settings

    start = time.perf_counter()
    settings = Settings(**LINES, max_concurrent_transforms=2)
    result = run(TransformJob(find(scratch / "data.csv", scratch / "out"), scratch / "out", settings))
    assert result.status == "Completed", result.failures
    return time.perf_counter() - start


def pandas(algorithm: str, scratch: Path) -> float:
    """What one writes first: pandas reads, the plugin predicts, json writes; one process, in blocks of 2,300 rows."""
    import pandas as pd

    from toolkit.serving.inference import load

    model = load(algorithm, scratch / algorithm).algorithm
    start = time.perf_counter()
    with (scratch / "pandas").open("w") as target:
        for frame in pd.read_csv(scratch / "data.csv", header=None, dtype="float32", chunksize=2_300):
            columns = model.predict(frame.to_numpy())
            lists = {name: column.tolist() for name, column in columns.items()}
            answers = [dict(zip(lists, row, strict=True)) for row in zip(*lists.values(), strict=True)]
            target.write(json.dumps({model.answers: answers}) + "\n")
    return time.perf_counter() - start


def main() -> None:
    """Runs the way and prints what it took."""
    way, algorithm, scratch, *number = sys.argv[1:]
    if way == "half":
        half(algorithm, Path(scratch), int(number[0]))
        return
    environment.limit_numerical_threads(1)
    wall = {"floor": floor, "byoa": byoa, "http": http, "pandas": pandas}[way](algorithm, Path(scratch))
    own, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = sum(used.ru_utime + used.ru_stime for used in (own, children))
    print(json.dumps([wall, cpu, max(own.ru_maxrss, children.ru_maxrss) / 1024]))


if __name__ == "__main__":
    main()
