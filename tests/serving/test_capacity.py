"""How many workers fit, by hand."""

import pytest

from toolkit.environment import MIB, Limit, ServerSettings
from toolkit.serving.capacity import Capacity, waiting_bytes

PAYLOAD = Limit(25 * MIB, "the default")  # a worker may take 20 MB and 16 payloads: 420 MB


@pytest.mark.parametrize(
    ("cpus", "memory", "loaded", "payload", "n_workers"),
    [
        (2, 8192, 60, 25, 2),  # processors are short
        (8, 2048, 60, 25, 4),  # memory is: 1,988 MB make 4 of 420
        (8, 2048, 1500, 25, 1),  # a large model
        (8, 512, 600, 25, 1),  # there is always one
        (4, 2048, 60, 100, 1),  # batch transform's largest bodies
        (4, 2048, 60, 0, 1),  # no limit counts as those
        (4, 2048, 60, 6, 4),
    ],
)
def test_workers_follow_from_processors_memory_and_model(cpus, memory, loaded, payload, n_workers):
    capacity = Capacity(Limit(cpus, "cpu.max"), Limit(memory * MIB, "memory.max"), loaded * MIB)
    assert capacity.n_workers(Limit(payload * MIB, "a variable")) == n_workers


def test_the_choice_is_explained():
    capacity = Capacity(Limit(4, "cpu.max"), Limit(2048 * MIB, "memory.max"), 60 * MIB)
    settings = ServerSettings(workers=Limit(4, "as fit"), payload=PAYLOAD)
    assert capacity.explain(settings) == (
        "4 workers (as fit): processors 4 (cpu.max), memory 2048 MB (memory.max),"
        " of which 60 MB are in use with the model loaded and a worker may take 420 MB"
    )


def test_the_bodies_of_a_worker_may_fill_eight_times_the_largest():
    assert waiting_bytes(PAYLOAD) == Limit(200 * MIB, "8 times the payload limit: the default")
