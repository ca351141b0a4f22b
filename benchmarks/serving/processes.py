"""What a tree of processes uses: the time of its processors and its memory, as Linux counts them."""

from __future__ import annotations

import os
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")


def tree(pid: int) -> list[int]:
    """The process and all below it."""
    parents = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                parents[int(folder.name)] = int(_fields(folder)[1])
            except OSError:  # it has ended meanwhile
                continue
    found = [pid]
    for parent in found:
        found += [child for child, of in parents.items() if of == parent]
    return found


def cpu_seconds(pid: int) -> float:
    """Processor time of the tree so far, in user and kernel mode."""
    times = [_fields(Path(f"/proc/{process}")) for process in tree(pid)]
    return sum(int(fields[11]) + int(fields[12]) for fields in times) / TICKS


def megabytes(pid: int) -> float:
    """Memory of the tree; what processes share counts once (PSS)."""
    total = 0
    for process in tree(pid):
        for line in Path(f"/proc/{process}/smaps_rollup").read_text().splitlines():
            total += int(line.split()[1]) if line.startswith("Pss:") else 0
    return total / 1024


def _fields(folder: Path) -> list[str]:
    """The fields of /proc/PID/stat behind the name, which may hold blanks (proc(5))."""
    return (folder / "stat").read_text().rpartition(")")[2].split()
