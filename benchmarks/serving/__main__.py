"""The server beside the shape that everyone copies and its peers: one run, the same bodies, alternating, medians.

    scripts/benchmark serving                    all that are installed
    scripts/benchmark serving --only ref --only byoa --rounds 5

The model is ten centroids of 784 features, bodies are rows of MNIST as CSV; LitServe and MLServer take JSON. Each
server has two workers, the load generator runs on the same processors. CPU is the time of a server's processes for
a request: steadier than the others where the machine is shared. `ref` is nginx, gunicorn, flask and pandas (peers/);
it needs nginx (apt-get install nginx-light), and `scripts/environment NAME` makes the environments of the peers.
"""

from __future__ import annotations

import contextlib
import os
import signal
import statistics
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

import click
import load
import numpy as np
import processes
from servers import ROOT, SERVERS, Server, running

from algorithms.kmeans import KMeans

MNIST = ROOT / ".." / "shared" / "data" / "mnist" / "mnist.npz"
N_ROWS = (1, 100, 500)
N_CONNECTIONS = (1, 8)
REQUESTS_BARS = {(1, 1): 20, (1, 8): 20, (100, 1): 9, (100, 8): 9, (500, 1): 5.5, (500, 8): 8}  # times ref
BEST_PEER_BAR = 2.5  # times the best peer's requests of one row
START_BAR = 0.4  # of ref
MEMORY_BARS = (65, 120)  # MB: idle, after the load


@click.command()
@click.option("--only", multiple=True, help="Name of a server; may be given several times.")
@click.option("--rounds", default=3, show_default=True)
@click.option("--seconds", default=1.0, show_default=True, help="Of load for each figure and round.")
def main(only: tuple[str, ...], rounds: int, seconds: float) -> None:
    """Measure serving."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that what was started is ended
    chosen = [server for server in SERVERS if not only or server.name in only]
    for server in chosen:
        if server.missing:
            print(f"without {server.name}: {server.missing}")
    chosen = [server for server in chosen if not server.missing]
    with tempfile.TemporaryDirectory(prefix="byoa-serving-") as folder:
        os.chmod(folder, 0o755)  # nginx' workers are another user where it is started by root
        X = prepare(Path(folder))
        starts, idle = measure_starts(chosen, Path(folder), rounds)
        figures, loaded = measure_load(chosen, Path(folder), X, rounds, seconds)
    report_requests(chosen, figures)
    report_start_and_memory(chosen, starts, idle, loaded)


def prepare(scratch: Path) -> np.ndarray:
    """The rows (500, 784); the model is saved for all servers."""
    if MNIST.exists():
        X = np.load(MNIST)["x_train"][: max(N_ROWS)].reshape(-1, 784).astype(np.float32) / 256
    else:
        print("MNIST is not here: rows are made up, four in five numbers are 0")
        random = np.random.default_rng(0)
        X = (random.integers(0, 256, (max(N_ROWS), 784)) * (random.random((max(N_ROWS), 784)) < 0.2)) / np.float32(256)
    (scratch / "model").mkdir()
    algorithm = KMeans(k=10).fit(X)
    algorithm.save(scratch / "model")
    np.save(scratch / "centroids.npy", getattr(algorithm, algorithm.arrays[0]))
    return X


def measure_starts(chosen: list[Server], scratch: Path, rounds: int):
    """Of each start: seconds and CPU seconds until the first 200, and the memory before anything else is asked."""
    starts, idle = defaultdict(list), defaultdict(list)
    for _ in range(rounds):
        for server in chosen:
            with running(server, scratch) as started:
                starts[server.name].append((started.seconds, processes.cpu_seconds(started.process.pid)))
                idle[server.name].append(processes.megabytes(started.process.pid))
    return starts, idle


def measure_load(chosen: list[Server], scratch: Path, X: np.ndarray, rounds: int, seconds: float):
    """For each server, number of rows and of connections: the loads of all rounds and their CPU; memory after it."""
    figures, loaded = defaultdict(list), {}
    with contextlib.ExitStack() as stack:
        started = [stack.enter_context(running(server, scratch)) for server in chosen]
        for _ in range(rounds):
            for n_rows in N_ROWS:
                for n_connections in N_CONNECTIONS:
                    for one in started:
                        figures[one.server.name, n_rows, n_connections].append(
                            measure(one, one.server.message(X[:n_rows]), n_connections, seconds)
                        )
        for one in started:
            loaded[one.server.name] = processes.megabytes(one.process.pid)
    return figures, loaded


def measure(one, message: bytes, n_connections: int, seconds: float) -> tuple[load.Load, float]:
    """A load, and the milliseconds of CPU that the server took for a request."""
    load.run(one.port, message, n_connections, seconds / 5)
    before = processes.cpu_seconds(one.process.pid)
    answered = load.run(one.port, message, n_connections, seconds)
    spent = processes.cpu_seconds(one.process.pid) - before
    return answered, 1000 * spent / max(1, len(answered.latencies))


def report_requests(chosen: list[Server], figures) -> None:
    """A table for each number of rows; ratios are medians of the rounds' own ratios."""
    for n_rows in N_ROWS:
        for n_connections in N_CONNECTIONS:
            bar = REQUESTS_BARS[n_rows, n_connections]
            print(f"\n{n_rows} rows, {n_connections} connections; the bar is {bar} times ref (byoa, CSV)")
            print(f"{'':18} {'requests/s':>10} {'of ref':>7} {'p50 ms':>8} {'p99 ms':>8} {'CPU ms':>8} {'of ref':>7}")
            for server in chosen:
                report_line(server.name, figures, n_rows, n_connections)
    report_best_peer(chosen, figures)


def report_line(name: str, figures, n_rows: int, n_connections: int) -> None:
    """The medians of one server."""
    rounds = figures[name, n_rows, n_connections]
    base = figures.get(("ref", n_rows, n_connections))
    requests = statistics.median(one.requests_per_second for one, _ in rounds)
    middle, late = (statistics.median(one.percentile(share) for one, _ in rounds) for share in (0.5, 0.99))
    cpu = statistics.median(spent for _, spent in rounds)
    faster, less = "", ""
    if base:
        pairs = list(zip(rounds, base, strict=True))
        faster = f"x{statistics.median(a.requests_per_second / b.requests_per_second for (a, _), (b, _) in pairs):.1f}"
        less = f"x{statistics.median(b / a for (_, a), (_, b) in pairs):.1f}"
    print(f"{name:18} {requests:10.0f} {faster:>7} {middle:8.2f} {late:8.2f} {cpu:8.3f} {less:>7}")


def report_best_peer(chosen: list[Server], figures) -> None:
    """How many times the best peer's requests of one row byoa answers."""
    peers = [server.name for server in chosen if not server.name.startswith(("byoa", "ref"))]
    for n_connections in N_CONNECTIONS if peers and any(server.name == "byoa" for server in chosen) else ():
        speed = {
            name: statistics.median(one.requests_per_second for one, _ in figures[name, 1, n_connections])
            for name in [*peers, "byoa"]
        }
        best = max(peers, key=speed.get)
        ratio = speed["byoa"] / speed[best]
        print(f"\n1 row, {n_connections} connections: x{ratio:.1f} the best peer, {best}; the bar is {BEST_PEER_BAR}")


def report_start_and_memory(chosen: list[Server], starts, idle, loaded) -> None:
    """Seconds from start to the first 200 of the ping, and memory with what is shared counted once."""
    print(
        f"\nbars: start {START_BAR} of ref; memory of byoa {MEMORY_BARS[0]} MB idle, {MEMORY_BARS[1]} MB after the load"
    )
    print(f"{'':18} {'first 200, s':>12} {'of ref':>7} {'CPU s':>7} {'of ref':>7} {'idle MB':>8} {'after MB':>8}")
    middle = {
        name: [statistics.median(column) for column in zip(*rounds, strict=True)] for name, rounds in starts.items()
    }
    for server in chosen:
        name = server.name
        ratios = [f"{a / b:.2f}" for a, b in zip(middle[name], middle.get("ref", [1e9, 1e9]), strict=True)]
        seconds, cpu = middle[name]
        memory = f"{statistics.median(idle[name]):8.0f} {loaded[name]:8.0f}"
        print(f"{name:18} {seconds:12.2f} {ratios[0]:>7} {cpu:7.2f} {ratios[1]:>7} {memory}")


if __name__ == "__main__":
    main()
