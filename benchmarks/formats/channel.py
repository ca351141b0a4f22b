"""A channel of 2 GB through PCA training as a process: time, and the memory that it holds at most."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import click
from payloads import csv, digits

BYTES = 2_000_000_000
LIMIT_MB = 500
HYPERPARAMETERS = {"num_components": "10", "algorithm_mode": "regular"}


def measure(n_bytes: int = BYTES) -> None:
    """Prints what training took, and exits 1 over the limit."""
    with tempfile.TemporaryDirectory(prefix="byoa-benchmark-") as scratch:
        opt_ml = Path(scratch)
        written = write_channel(opt_ml, n_bytes)
        click.echo(f"channel train: {written / 1e9:.2f} GB of CSV in 4 files, 784 columns")
        start = time.perf_counter()
        train = subprocess.Popen([Path(sys.executable).with_name("train"), "--algorithm", "pca", "--opt-ml", opt_ml])
        _, status, usage = os.wait4(train.pid, 0)
        seconds = time.perf_counter() - start
        peak = usage.ru_maxrss * 1024 / 1e6
        click.echo(f"{seconds:.1f} s, {written / seconds / 1e6:.0f} MB/s, CPU {usage.ru_utime + usage.ru_stime:.1f} s")
        click.echo(f"resident at most {peak:.0f} MB, bar {LIMIT_MB} MB: {'reached' if peak < LIMIT_MB else 'MISSED'}")
    sys.exit(int(os.waitstatus_to_exitcode(status) != 0 or peak >= LIMIT_MB))


def write_channel(opt_ml: Path, n_bytes: int) -> int:
    """An /opt/ml tree whose channel `train` has at least so many bytes of digits; how many it has."""
    config, folder = opt_ml / "input" / "config", opt_ml / "input" / "data" / "train"
    config.mkdir(parents=True)
    folder.mkdir(parents=True)
    (config / "hyperparameters.json").write_text(json.dumps(HYPERPARAMETERS))
    channels = {
        "train": {"TrainingInputMode": "File", "ContentType": "text/csv;label_size=0", "RecordWrapperType": "None"}
    }
    (config / "inputdataconfig.json").write_text(json.dumps(channels))
    (config / "resourceconfig.json").write_text(json.dumps({"current_host": "algo-1", "hosts": ["algo-1"]}))
    part = csv(digits(5000))
    for name in "abcd":
        with (folder / f"{name}.csv").open("wb") as file:
            while file.tell() < n_bytes / 4:
                file.write(part)
    return sum(path.stat().st_size for path in folder.iterdir())
