"""What this process may use of its machine: processors and memory, as the container's limits (cgroups) say.

Version 1 keeps a folder for each controller, version 2 one for all; a limit may be set on any folder above the
process's own. Sources: the Linux kernel's admin guide, "Control Group v2", and cgroup-v1 "Memory Resource Controller"
and "CPU bandwidth control".
"""

from __future__ import annotations

import contextlib
import ctypes
import math
import os
import resource
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from toolkit.environment import Limit

ROOT = Path("/")
SHARED_MEMORY = "/dev/shm"
MALLOC_OPTIONS = {  # glibc's numbers, from malloc.h
    -3: 256 << 20,  # M_MMAP_THRESHOLD: only larger blocks are mapped from the system, and given back when freed
    -1: 512 << 20,  # M_TRIM_THRESHOLD: less than that free at the end of the heap is kept
    -2: 16 << 20,  # M_TOP_PAD: how much more than needed the heap grows by
    -8: 1,  # M_ARENA_MAX: one heap for all threads
}


def n_cpus(root: Path = ROOT) -> Limit:
    """How many processors this process may keep busy, at least one."""
    n_allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    allowed = Limit(n_allowed, "the processors that this process may run on")
    quotas = (_quota(folder) for folder in _folders("cpu", root))
    return min([allowed, *(quota for quota in quotas if quota)], key=lambda limit: limit.value)


def memory_bytes(root: Path = ROOT) -> Limit:
    """How many bytes of memory this process may use, together with others in its container."""
    physical = Limit(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"), "the machine's memory")
    bounds = (_memory(folder) for folder in _folders("memory", root))
    return min([physical, *(bound for bound in bounds if bound)], key=lambda limit: limit.value)


def used_bytes() -> int:
    """The memory that this process uses now; where there is no /proc, the most that it has used."""
    pages = _read(ROOT / "proc/self/statm").split()
    if pages:
        return int(pages[1]) * os.sysconf("SC_PAGE_SIZE")
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def shared_memory() -> str | None:
    """A folder in memory, writable where the root is read-only; None where there is none."""
    return SHARED_MEMORY if os.access(SHARED_MEMORY, os.W_OK) else None


@contextlib.contextmanager
def folder_in_memory(prefix: str) -> Iterator[Path]:
    """A new folder for the block, in memory where that is possible; only the process that made it removes it."""
    owner = os.getpid()
    folder = Path(tempfile.mkdtemp(prefix=prefix, dir=shared_memory()))
    try:
        yield folder
    finally:
        if os.getpid() == owner:  # forks leave the block too
            shutil.rmtree(folder, ignore_errors=True)


def keep_freed_memory() -> None:
    """Has the C library reuse freed memory: giving it back and faulting it in again costs more than parsing does."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # only glibc has it
    for option, value in MALLOC_OPTIONS.items() if mallopt else ():
        mallopt(option, value)


def _folders(controller: str, root: Path) -> Iterator[Path]:
    """The folders of a controller that this process is in, its own and those above.

    Inside a container the path that the process is told may be the host's, which is not there; the container's own
    limits are then at the top.
    """
    for line in _read(root / "proc/self/cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        if controller in controllers.split(",") or not controllers:
            top = root / "sys/fs/cgroup" / (controller if controllers else "")
            own = top / path.lstrip("/")
            yield from (folder for folder in [own, *own.parents] if folder.is_relative_to(top))


def _quota(folder: Path) -> Limit | None:
    """The processors that a folder's quota of time per period amounts to, rounded up; None without one."""
    if text := _read(folder / "cpu.max"):
        quota, period, source = *text.split(), folder / "cpu.max"
    else:
        quota, period = _read(folder / "cpu.cfs_quota_us"), _read(folder / "cpu.cfs_period_us")
        source = folder / "cpu.cfs_quota_us"
    if not quota.isdecimal() or not period:  # "max", or -1
        return None
    return Limit(max(1, math.ceil(int(quota) / int(period))), str(source))


def _memory(folder: Path) -> Limit | None:
    """The bytes of a folder's limit; None without one."""
    for name in ("memory.max", "memory.limit_in_bytes"):
        if (text := _read(folder / name)).isdecimal():
            return Limit(int(text), str(folder / name))
    return None


def _read(path: Path) -> str:
    """The text of a file of the kernel's, empty where it is not there."""
    try:
        return path.read_text().strip()
    except OSError:
        return ""
