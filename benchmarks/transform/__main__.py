"""Batch transform beside its floor and its peers: one run, the same file, alternating rounds, medians.

    scripts/benchmark transform                 50,000 rows of MNIST through PCA-50 and k-means-10
    scripts/benchmark transform --rows 10000    fewer of them
    scripts/benchmark transform --scale         the cost of a row from 1,000 rows to 100,000, generated
    scripts/benchmark transform --million       and to 1,000,000

Each way runs in processes of its own. `CPU` is the time of all of them, `peak` the memory of the largest one. The floor
is two processes that do nothing but read, parse, multiply, encode and write, with the toolkit's own parser and encoder.
"""

from __future__ import annotations

import json
import multiprocessing
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

import click
import numpy as np

HERE = Path(__file__).parent
MNIST = HERE.parents[1] / ".." / "shared" / "data" / "mnist" / "mnist.npz"
WAYS = {
    "floor": "the floor, 2 processes",
    "byoa": "byoa, 2 workers",
    "http": "byoa over HTTP, 2 at once",
    "pandas": "pandas + json",
}
HYPERPARAMETERS = {"pca": {"num_components": "50"}, "kmeans": {"k": "10"}}


@click.command()
@click.option("--rows", default=50_000, show_default=True, help="Rows of MNIST.")
@click.option("--rounds", default=3, show_default=True)
@click.option("--scale", is_flag=True, help="The cost of a row from 1,000 to 100,000 rows, in place of the peers.")
@click.option("--million", is_flag=True, help="--scale, and 1,000,000 rows.")
def main(rows: int, rounds: int, scale: bool, million: bool) -> None:
    """Measure batch transform."""
    with tempfile.TemporaryDirectory(prefix="byoa-benchmark-") as scratch:
        if scale or million:
            measure_scale(Path(scratch), [1_000, 10_000, 100_000, *([1_000_000] if million else [])])
        else:
            measure_peers(Path(scratch), rows, rounds)


def measure_peers(scratch: Path, n_rows: int, rounds: int) -> None:
    """Prints a table for each algorithm, with ratios to the floor and to pandas."""
    apart(prepare_images, scratch, n_rows)
    megabytes = (scratch / "data.csv").stat().st_size / 1e6
    origin = "MNIST" if MNIST.exists() else "invented images (no MNIST in ../shared/data)"
    print(f"{origin}, {n_rows:,} rows x 784, {megabytes:.1f} MB of CSV; medians of {rounds} rounds")
    for algorithm in HYPERPARAMETERS:
        taken = {way: [] for way in WAYS}
        for _ in range(rounds):
            for way in WAYS:
                taken[way].append(measured(way, algorithm, scratch))
        print(f"\n{algorithm:28} wall s   CPU s    MB/s  x floor: wall   CPU   x pandas  peak MB")
        floor, pandas = (middle(taken[way]) for way in ("floor", "pandas"))
        for way, label in WAYS.items():
            wall, cpu, peak = middle(taken[way])
            ratios = f"{wall / floor[0]:13.2f} {cpu / floor[1]:5.2f} {pandas[0] / wall:10.1f}"
            print(f"{label:28} {wall:6.3f} {cpu:7.3f} {megabytes / wall:7.0f} {ratios} {peak:8.0f}")


def measure_scale(scratch: Path, sizes: list[int]) -> None:
    """Prints the cost of a row beyond the start, and the memory of the largest process, for files of so many rows."""
    print("     rows   MB of CSV   wall s   CPU s   CPU us/row beyond start   peak MB   (k-means-10 on 50 columns)")
    start = None
    for n_rows in [1, *sizes]:
        apart(prepare_invented, scratch, n_rows)
        wall, cpu, peak = middle([measured("byoa", "kmeans", scratch) for _ in range(5)])
        size = (scratch / "data.csv").stat().st_size / 1e6
        each = "" if start is None else f"{1e6 * (cpu - start) / n_rows:.2f}"
        print(f"{n_rows:9,} {size:11.1f} {wall:8.3f} {cpu:7.3f} {each:>25} {peak:9.0f}", flush=True)
        start = cpu if start is None else start


def apart(prepare, *arguments) -> None:
    """Runs it in a process of its own: the memory of a process counts as that of those it starts."""
    process = multiprocessing.get_context("fork").Process(target=prepare, args=arguments)
    process.start()
    process.join()
    if process.exitcode:
        raise SystemExit("the data could not be prepared")


def prepare_images(scratch: Path, n_rows: int) -> None:
    """Pixels in 256ths, 784 a row: MNIST's training rows, or invented ones where it is absent; both models."""
    X = np.load(MNIST)["x_train"][:n_rows].reshape(-1, 784) if MNIST.exists() else _invented_images(n_rows)
    write_csv(scratch / "data.csv", [X.astype(np.float32) / 256])
    for algorithm in HYPERPARAMETERS:
        fit(algorithm, X[:5000].astype(np.float32) / 256, scratch / algorithm)


def _invented_images(n_rows: int) -> np.ndarray:
    random = np.random.default_rng(0)
    return random.integers(0, 256, (n_rows, 784)) * (random.random((n_rows, 784)) < 0.19)


def prepare_invented(scratch: Path, n_rows: int) -> None:
    """Fifty numbers of four digits a row, and k-means."""
    random = np.random.default_rng(0)
    if not (scratch / "kmeans").exists():
        fit("kmeans", random.random((5000, 50), np.float32), scratch / "kmeans")
    sizes = (min(10_000, n_rows - at) for at in range(0, n_rows, 10_000))
    write_csv(scratch / "data.csv", (random.integers(0, 10_000, (size, 50)) / 10_000 for size in sizes))


def write_csv(path: Path, parts: Iterable[np.ndarray]) -> None:
    """Writes rows with %g."""
    with path.open("wb") as file:
        for rows in parts:
            values, places = np.unique(rows, return_inverse=True)
            texts = np.array([b"%g" % value for value in values.tolist()], object)
            for row in places.reshape(rows.shape):
                file.write(b",".join(texts[row]) + b"\n")


def fit(algorithm: str, X: np.ndarray, folder: Path) -> None:
    """Saves a model learned from `X`."""
    from toolkit.algorithm import find

    model = find(algorithm)(**HYPERPARAMETERS[algorithm])
    model.fit(X)
    folder.mkdir()
    model.save(folder)


def measured(way: str, algorithm: str, scratch: Path) -> tuple[float, float, float]:
    """Wall seconds as the way itself measures them, CPU seconds and peak megabytes of its processes."""
    command = [sys.executable, str(HERE / "ways.py"), way, algorithm, str(scratch)]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    wall, cpu, peak = json.loads(done.stdout.splitlines()[-1])
    return wall, cpu, peak


def middle(taken: list[tuple[float, float, float]]) -> tuple[float, ...]:
    """The medians of several measurements."""
    return tuple(map(statistics.median, zip(*taken, strict=True)))


if __name__ == "__main__":
    main(prog_name="benchmark transform")
