"""Training beside scikit-learn: one run, the same data, alternating rounds, medians, and the bar of each comparison.

    scripts/benchmark training              all of them, a few minutes
    scripts/benchmark training dbscan       those whose name holds the word
    scripts/benchmark training --threads 2  as many threads in the linear algebra (default 1: steady on a busy machine)

Each contender runs in a process of its own, warmed up on a few rows. `CPU` is processor time, `extra` the memory above
what the process held with its data loaded; quality is computed afterwards in float64: inertia (the sum of squared
distances) of k-means, explained share of the variance of PCA.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import click
from data import MNIST

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Comparison:
    """Two contenders on one file, and the bars: ours against theirs, but for the memory."""

    name: str
    file: str
    ours: str
    theirs: str
    seeds: int = 3
    cpu: float | None = None  # the greatest ratio
    inertia: float | None = None  # the greatest ratio
    explained: float | None = None  # the least difference
    extra: float | None = None  # the most MB that ours may take
    labels: bool = False  # they must be equal up to numbering


LARGE, LARGER, WIDE, NARROW = "images_50k.npy", "images_60k.npy", "ratings.npy", "projections.npy"
COMPARISONS = (
    Comparison("k-means 50,000 x 784", LARGE, "kmeans", "sklearn n_init=1", seeds=7, cpu=0.4, inertia=1.001),
    Comparison("k-means 60,000 x 784", LARGER, "kmeans", "sklearn n_init=3", seeds=1, inertia=1.01),
    Comparison("pca 50,000 x 784", LARGE, "pca regular", "sklearn covariance", cpu=1.1, explained=-1e-5),
    Comparison("pca 50,000 x 784", LARGE, "pca regular", "sklearn randomized", cpu=0.2, explained=-1e-5),
    Comparison("pca 50,000 x 784", LARGE, "pca randomized", "sklearn randomized", explained=-1e-4),
    Comparison("pca 5,000 x 2,348", WIDE, "pca randomized", "sklearn randomized", cpu=0.5, explained=0),
    Comparison("pca 5,000 x 2,348", WIDE, "pca randomized 100", "sklearn randomized 100", cpu=0.5, explained=0),
    Comparison("dbscan 20,000 x 100", NARROW, "dbscan", "sklearn DBSCAN", cpu=0.5, labels=True, extra=100),
)
WHOLE = """
import sys, numpy as np
from sklearn.decomposition import PCA
from sklearn.cluster import KMeans
X = np.loadtxt(sys.argv[1], delimiter=",", dtype=np.float32)
model = PCA(10).fit(X) if sys.argv[2] == "pca" else KMeans(10, n_init=1).fit(X)
np.savez(sys.argv[3], model.components_ if sys.argv[2] == "pca" else model.cluster_centers_)
"""
HYPERPARAMETERS = {"pca": {"num_components": "10"}, "kmeans": {"k": "10"}}


@click.command()
@click.argument("word", default="")
@click.option("--threads", default=1, show_default=True, help="Threads of the linear algebra.")
def main(word: str, threads: int) -> None:
    """Measure training."""
    for variable in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"):
        os.environ[variable] = str(threads)
    with tempfile.TemporaryDirectory(prefix="byoa-benchmark-") as scratch:
        folder = Path(scratch)
        subprocess.run([sys.executable, HERE / "data.py", folder], check=True)
        origin = "MNIST" if MNIST.exists() else "digits, repeated and enlarged (no MNIST in ../shared/data)"
        print(f"images: {origin}; {threads} thread{'s' * (threads != 1)}; medians")
        for comparison in COMPARISONS:
            if word in comparison.name:
                compare(comparison, folder)
        if word in "a whole process":
            for algorithm in HYPERPARAMETERS:
                compare_processes(algorithm, folder)


def compare(comparison: Comparison, folder: Path) -> None:
    """Prints what both contenders took, and their ratios beside the bars."""
    taken = {comparison.ours: [], comparison.theirs: []}
    for seed in range(comparison.seeds):
        for name, figures in taken.items():
            command = [sys.executable, HERE / "contenders.py", name, folder / comparison.file, str(seed)]
            figures.append(json.loads(subprocess.run(command, check=True, capture_output=True).stdout))
    print(f"\n{comparison.name}")
    ours, theirs = (told(name, figures, comparison.labels) for name, figures in taken.items())
    bar("CPU", ours["cpu"] / theirs["cpu"], most=comparison.cpu)
    bar("inertia", ours["quality"] / theirs["quality"], most=comparison.inertia)
    bar("explained share, the difference", ours["quality"] - theirs["quality"], least=comparison.explained)
    bar("extra MB", ours["extra"], most=comparison.extra)
    bar("the same labels", float(ours["quality"] == theirs["quality"]), least=1 if comparison.labels else None)


def told(name: str, figures: list[dict[str, float]], labels: bool) -> dict[str, float]:
    """The medians, printed with the range of the quality."""
    median = {key: statistics.median(figure[key] for figure in figures) for key in figures[0]}
    qualities = [figure["quality"] for figure in figures]
    quality = "" if labels else f"  quality {median['quality']:.8g} [{min(qualities):.8g}, {max(qualities):.8g}]"
    line = f"  {name:<22} wall {median['wall']:6.3f} s  CPU {median['cpu']:6.3f} s  extra {median['extra']:4.0f} MB"
    print(line + quality)
    return median


def bar(what: str, found: float, most: float | None = None, least: float | None = None) -> None:
    """Prints a figure beside what it may be, where that is said."""
    if most is not None:
        print(f"    {what}: {found:.5g}, at most {most:g} wanted: {'reached' if found <= most else 'MISSED'}")
    if least is not None:
        print(f"    {what}: {found:.5g}, at least {least:g} wanted: {'reached' if found >= least else 'MISSED'}")


def compare_processes(algorithm: str, folder: Path) -> None:
    """Prints a small job from the start of its process to the saved model, beside a script with scikit-learn."""
    from toolkit.local_training import Source, build_tree

    csv = folder / "images_5k.csv"
    script = folder / "whole.py"
    script.write_text(WHOLE)
    taken = {"train": [], "sklearn": []}
    for i in range(5):
        root = folder / f"{algorithm}-{i}"
        build_tree(root, {"train": Source(csv, "text/csv;label_size=0")}, HYPERPARAMETERS[algorithm])
        train = Path(sys.executable).with_name("train")
        taken["train"].append(_process([train, "--algorithm", algorithm, "--opt-ml", root]))
        taken["sklearn"].append(_process([sys.executable, script, csv, algorithm, folder / "model.npz"]))
    print(f"\na whole process, {algorithm}, 5,000 x 784 of CSV")
    ours, theirs = ([statistics.median(column) for column in zip(*rows, strict=True)] for rows in taken.values())
    for name, (wall, cpu, memory) in zip(taken, (ours, theirs), strict=True):
        print(f"  {name:<22} wall {wall:6.3f} s  CPU {cpu:6.3f} s  peak {memory:5.0f} MB")
    bar("CPU", ours[1] / theirs[1], most=0.3)


def _process(command: list) -> tuple[float, float, float]:
    """Wall and processor seconds and the peak memory in MB of one process."""
    start = time.perf_counter()
    process = subprocess.Popen(list(map(str, command)), stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{command[0]} ended with status {status}")
    return time.perf_counter() - start, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024


if __name__ == "__main__":
    main()
