"""Processors and memory as cgroups of both versions limit them, in trees as the kernel shows them."""

import contextlib
import os
import sys

import pytest

from toolkit import machine

MIB = 1024 * 1024


def tree(root, files):
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")


V1 = {"proc/self/cgroup": "4:memory:/docker/abc\n2:cpu,cpuacct:/docker/abc\n0::/"}
V1_OWN = {
    "sys/fs/cgroup/memory/docker/abc/memory.limit_in_bytes": str(512 * MIB),
    "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712",
    "sys/fs/cgroup/cpu/docker/abc/cpu.cfs_quota_us": "100000",
    "sys/fs/cgroup/cpu/docker/abc/cpu.cfs_period_us": "100000",
}
V1_SEEN_FROM_INSIDE = {
    "sys/fs/cgroup/memory/memory.limit_in_bytes": str(512 * MIB),
    "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "50000",
    "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000",
}
V2 = {
    "proc/self/cgroup": "0::/system.slice/serve.service",
    "sys/fs/cgroup/system.slice/serve.service/memory.max": "max",
    "sys/fs/cgroup/system.slice/memory.max": str(512 * MIB),
    "sys/fs/cgroup/system.slice/serve.service/cpu.max": "100000 100000",
}
LIMITED = [
    (V1 | V1_OWN, "memory/docker/abc/memory.limit_in_bytes", "cpu/docker/abc/cpu.cfs_quota_us"),
    (V1 | V1_SEEN_FROM_INSIDE, "memory/memory.limit_in_bytes", "cpu/cpu.cfs_quota_us"),
    (V2, "system.slice/memory.max", "system.slice/serve.service/cpu.max"),
]


@pytest.mark.parametrize(("files", "memory", "cpus"), LIMITED, ids=["version 1", "version 1 inside", "version 2"])
def test_the_limit_of_a_container_and_where_it_is_set(tmp_path, files, memory, cpus):
    tree(tmp_path, files)
    assert machine.memory_bytes(tmp_path).value == 512 * MIB
    assert machine.memory_bytes(tmp_path).source == str(tmp_path / "sys/fs/cgroup" / memory)
    assert machine.n_cpus(tmp_path).value == 1
    if len(os.sched_getaffinity(0)) > 1:
        assert machine.n_cpus(tmp_path).source == str(tmp_path / "sys/fs/cgroup" / cpus)


UNLIMITED = {
    "proc/self/cgroup": "0::/",
    "sys/fs/cgroup/memory.max": "max",
    "sys/fs/cgroup/cpu.max": "max 100000",
}


@pytest.mark.parametrize("files", [{}, UNLIMITED, V1 | {"sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1"}])
def test_without_a_limit_the_machine_is_the_limit(tmp_path, files):
    tree(tmp_path, files)
    assert machine.memory_bytes(tmp_path).source == "the machine's memory"
    assert machine.n_cpus(tmp_path).value == len(os.sched_getaffinity(0))


def test_a_share_of_a_processor_is_rounded_up(tmp_path):
    tree(tmp_path, {"proc/self/cgroup": "0::/", "sys/fs/cgroup/cpu.max": "10000 100000"})
    assert machine.n_cpus(tmp_path).value == 1


def test_used_memory_is_in_bytes():
    assert 10 * MIB < machine.used_bytes() < machine.memory_bytes().value


def test_a_folder_in_memory_is_gone_however_the_block_ends():
    with contextlib.suppress(SystemExit), machine.folder_in_memory("byoa-test-") as folder:
        (folder / "a").write_text("1")
        sys.exit()
    assert not folder.exists()


def test_a_fork_that_leaves_the_block_keeps_the_folder():
    with machine.folder_in_memory("byoa-test-") as folder:
        child = os.fork()
        if child:
            os.waitpid(child, 0)
            assert folder.exists()
    if not child:
        os._exit(0)
    assert not folder.exists()
