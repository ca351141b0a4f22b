"""Every format beside its peers, on the same bytes in one run.

    scripts/benchmark formats               all of it: five to ten minutes
    scripts/benchmark formats --rows 500    only payloads of that many rows
    scripts/benchmark formats --channel     instead, 2 GB of CSV through PCA training: time and resident memory

The ways take turns, and of each the best turn counts: on a busy machine the least disturbed one. Times are of the
processor, of all threads; memory that is freed is kept, as the server's workers do. `bar` is what the project asks of
itself for that line; memcpy is a copy of the payload.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

import channel
import click
import ways
from payloads import MATRICES, MNIST

from toolkit import environment, machine

SIZES = (1, 100, 500, 5000)
TURN_SECONDS, TURNS, SECONDS = 0.02, 7, 1.0
Bar = tuple[str, int, float, float | None]
# for digits: against which way, at how many rows, how many times as fast, or else at how many MB/s
BARS: dict[str, Bar] = {
    "CSV in": ("pandas", 500, 3.0, None),
    "JSON projections in": ("json + numpy", 5000, 4.0, None),
    "JSON projections out": ("json", 5000, 12.0, None),
    "RecordIO dense in": ("SageMaker SDK's way", 5000, 20.0, 8000.0),
    "RecordIO sparse in": ("protobuf + scipy", 5000, 2.0, None),
    "libsvm in": ("scikit-learn", 5000, 4.0, None),
}


@click.command()
@click.option("--rows", type=int, multiple=True, default=SIZES, help="Rows of a payload; may be repeated.")
@click.option("--matrix", type=click.Choice(list(MATRICES)), multiple=True, default=list(MATRICES))
@click.option("--format", "formats", type=click.Choice(list(ways.ALL)), multiple=True, default=list(ways.ALL))
@click.option("--channel", "through_channel", is_flag=True, help="2 GB of CSV through PCA training.")
def main(rows: tuple[int, ...], matrix: tuple[str, ...], formats: tuple[str, ...], through_channel: bool) -> None:
    """Measure the data formats."""
    if through_channel:
        channel.measure()
        return
    environment.limit_numerical_threads(1)
    machine.keep_freed_memory()
    click.echo(f"digits: {'MNIST' if MNIST.exists() else 'invented (no MNIST in ../shared/data)'}")
    for name in matrix:
        for n_rows in rows:
            X = MATRICES[name](n_rows)
            for format_name in formats:
                body, each = ways.ALL[format_name](X)
                bar = BARS.get(format_name) if name == "784 digits" else None
                report(f"{format_name}, {n_rows} x {name}", body, n_rows, each, bar)


def report(title: str, body: bytes, n_rows: int, each: ways.Ways, bar: Bar | None) -> None:
    """Prints a line for each way and one for memcpy."""
    seconds = measured(each | {"memcpy": lambda: bytearray(body)})
    click.echo(f"\n{title}, {len(body):,} bytes")
    for way, taken in seconds.items():
        ratio = taken / seconds["byoa"]
        told = f"byoa x{ratio:.1f}" if way not in ("byoa", "memcpy") else ""
        if bar and bar[:2] == (way, n_rows):
            told += verdict(ratio, len(body) / seconds["byoa"] / 1e6, *bar[2:])
        speed = f"{len(body) / taken / 1e6:>9,.0f} MB/s {n_rows / taken:>12,.0f} rows/s {taken * 1e6:>11,.0f} us"
        click.echo(f"  {way:<20} {speed}  {told}".rstrip())


def verdict(ratio: float, megabytes: float, bar: float, fast_enough: float | None) -> str:
    """Whether a bar is reached."""
    wanted = f"x{bar:g}" + (f" or {fast_enough:,.0f} MB/s" if fast_enough else "")
    is_reached = ratio >= bar or (fast_enough is not None and megabytes >= fast_enough)
    return f"  bar {wanted}: {'reached' if is_reached else 'MISSED'}"


def measured(each: ways.Ways) -> dict[str, float]:
    """The best turn of each way, seconds of the processor for one call."""
    repeats = {name: _repeats(way) for name, way in each.items()}
    best = dict.fromkeys(each, float("inf"))
    deadline = time.monotonic() + SECONDS * len(each)
    for turn in range(TURNS):
        if turn > 2 and time.monotonic() > deadline:
            break
        for name, way in each.items():
            best[name] = min(best[name], _seconds(way, repeats[name]) / repeats[name])
    return best


def _repeats(way: Callable[[], object]) -> int:
    """How many calls a turn has, after one to warm up."""
    way()
    return max(1, int(TURN_SECONDS / max(_seconds(way, 1), 1e-6)))


def _seconds(way: Callable[[], object], n_calls: int) -> float:
    start = time.process_time()
    for _ in range(n_calls):
        way()
    return time.process_time() - start


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent))
    main()
