"""A program that a check started: its log, its end, and nothing of it left behind."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

LOG_LINES, LOG_BYTES = 12, 8192  # how much of a log a report shows


class Running:
    """A program started in a process group of its own, its output in the file `log`."""

    def __init__(self, argv: Sequence[str], log: Path):
        self.log = log
        self.started = time.monotonic()
        with log.open("wb") as output:
            self.process = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
            )

    @property
    def status(self) -> int | None:
        """The exit status, negative for the signal that killed it; None while the program runs."""
        return self.process.poll()

    @property
    def seconds(self) -> float:
        """How long ago the program was started."""
        return time.monotonic() - self.started

    def wait(self, seconds: float) -> int | None:
        """The exit status, or None where the program runs longer than that."""
        try:
            return self.process.wait(max(0.0, seconds))
        except subprocess.TimeoutExpired:
            return None

    def terminate(self) -> None:
        """Sends SIGTERM to the program itself, as the platform does, and to no child of it."""
        self.process.terminate()

    def left_behind(self) -> bool:
        """Whether processes of the group still run."""
        return _signal_group(self.process.pid, 0) and any(_running_in(self.process.pid))

    def end(self) -> None:
        """Kills whatever of the program still runs."""
        _signal_group(self.process.pid, signal.SIGKILL)
        self.process.wait()


def tail(log: Path) -> str:
    """The last lines of a log."""
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - LOG_BYTES))
        return "\n".join(file.read().decode(errors="replace").splitlines()[-LOG_LINES:])


def _signal_group(group: int, number: int) -> bool:
    """Whether there was a group to take the signal."""
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        return False
    return True


def _running_in(group: int) -> Iterator[int]:
    """The processes of a group, without those that have ended and wait for init to notice."""
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            state, _, its_group = stat.read_text().rpartition(")")[2].split()[:3]
            if int(its_group) == group and state not in "ZX":
                yield int(stat.parent.name)


def told(status: int | None) -> str:
    """An exit status in words."""
    if status is None:
        return "still running"
    return f"killed by {signal.Signals(-status).name}" if status < 0 else f"exit status {status}"
