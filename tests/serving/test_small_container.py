"""The program under a 512 MB and one-CPU limit, as the kernel sets it for a container."""

import os
import shutil
import threading
from pathlib import Path

import pytest
from running import serving

MIB = 1024 * 1024
ROW = b"0.1,0.2,0.3,0.4\n"


@pytest.fixture
def small_container():
    """A cgroup with 512 MB, of the version that this machine has; its processes may use as much and no more."""
    name = f"byoa-test-{os.getpid()}"
    for top, limit in (("/sys/fs/cgroup/memory", "memory.limit_in_bytes"), ("/sys/fs/cgroup", "memory.max")):
        group = Path(top) / name
        try:
            group.mkdir()
            (group / limit).write_text(str(512 * MIB))
        except OSError:
            if group.is_dir():
                group.rmdir()
            continue
        yield group
        group.rmdir()
        return
    pytest.skip("needs a cgroup that this user may make")


def n_killed(group):
    """How many processes the kernel killed for want of memory."""
    for name in ("memory.events", "memory.oom_control"):
        if (group / name).exists():
            counts = dict(line.split() for line in (group / name).read_text().splitlines())
            return int(counts["oom_kill"])
    raise FileNotFoundError(group)


@pytest.mark.skipif(not shutil.which("taskset"), reason="needs taskset")
def test_512_mb_and_one_processor_are_enough_for_the_largest_bodies_at_once(tmp_path, kmeans_dir, small_container):
    enter = f'echo $$ > {small_container}/cgroup.procs && exec taskset -c 0 "$@"'
    with serving(tmp_path, "kmeans", kmeans_dir, before=["sh", "-c", enter, "sh"]) as running:
        assert " workers (as fit;" in running.log()
        assert (
            "processors 1 (the processors that this process may run on), memory 512 MB (/sys/fs/cgroup/"
            in running.log()
        )
        (worker,) = running.workers()
        body = ROW * (16 * MIB // len(ROW))
        replies = []
        threads = [threading.Thread(target=lambda: replies.append(running.post(body))) for _ in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        statuses = [reply.status for reply in replies]
        assert len(statuses) == 12
        assert set(statuses) <= {200, 503}
        assert statuses.count(200) >= 1
        replies += [running.post(body) for _ in range(3)]
        assert [reply.status for reply in replies[12:]] == [200] * 3
        assert {reply.body.count(b"closest_cluster") for reply in replies if reply.status == 200} == {
            len(body) // len(ROW)
        }
        assert running.workers() == [worker]
        assert n_killed(small_container) == 0
        running.stop()
