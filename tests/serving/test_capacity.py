"""What fits into a container, by hand: 320 / (4 n_features) + 4 bytes to answer a byte, 2 to wait, 20 MB a worker."""

import pytest

from toolkit.environment import MIB, Limit, ServerSettings
from toolkit.serving.capacity import Capacity

DEFAULT = Limit(25 * MIB, "the default", is_set=False)


def fit(cpus, memory, loaded, n_features, **settings):
    capacity = Capacity(Limit(cpus, "cpu.max"), Limit(memory * MIB, "memory.max"), loaded * MIB, n_features)
    return capacity.fit(ServerSettings(**settings))


@pytest.mark.parametrize(
    ("cpus", "memory", "loaded", "n_features", "payload", "n_workers"),
    [
        (2, 8192, 60, 80, 25, 2),  # processors are short
        (16, 2048, 60, 80, 25, 10),  # memory is: 1,988 MB make 10 times 20 + 7 x 25
        (16, 2048, 1700, 80, 25, 1),  # a large model
        (16, 512, 600, 80, 25, 1),  # there is always one
        (16, 2048, 60, 4, 25, 2),  # narrow rows have large answers: 20 + 26 x 25
        (16, 2048, 60, 80, 100, 2),  # batch transform's largest bodies
        (16, 2048, 60, 80, 0, 2),  # no limit counts as those
    ],
)
def test_workers_follow_from_processors_memory_and_model(cpus, memory, loaded, n_features, payload, n_workers):
    settings = fit(cpus, memory, loaded, n_features, payload=Limit(payload * MIB, "a variable"))
    assert settings.workers == Limit(n_workers, "as fit; SAGEMAKER_MODEL_SERVER_WORKERS overrides")


def test_a_number_of_workers_that_was_set_stays():
    assert fit(1, 512, 60, 4, workers=Limit(7, "--workers")).workers == Limit(7, "--workers")


def test_the_default_payload_is_lowered_where_memory_is_short():
    settings = fit(1, 512, 60, 4, payload=DEFAULT)  # (512 - 60 - 20) / (24 + 2)
    assert settings.payload == Limit(int(432 * MIB / 26), "memory.max")


def test_a_payload_limit_that_was_set_stays():
    payload = Limit(25 * MIB, "SAGEMAKER_MAX_PAYLOAD_IN_MB")
    assert fit(1, 512, 60, 4, payload=payload).payload == payload


@pytest.mark.parametrize(("memory", "waiting"), [(8192, 200), (512, 307)])
def test_bodies_may_wait_in_what_is_left(memory, waiting):
    settings = fit(1, memory, 60, 80, payload=DEFAULT)  # 432 - 5 x 25 = 307 MB, but at most 8 x 25
    assert settings.waiting == Limit(min(waiting, 200) * MIB, "what 1 workers leave of memory.max")


def test_transforms_at_once_are_as_many_as_workers_but_never_over_100_mb():
    assert fit(4, 8192, 60, 80).max_concurrent_transforms == 4
    assert fit(40, 81920, 60, 80, max_payload_in_mb=50).max_concurrent_transforms == 2


def test_the_choice_is_explained():
    capacity = Capacity(Limit(4, "cpu.max"), Limit(2048 * MIB, "memory.max"), 60 * MIB, 784)
    settings = capacity.fit(ServerSettings(payload=DEFAULT))
    assert capacity.explain(settings) == (
        "4 workers (as fit; SAGEMAKER_MODEL_SERVER_WORKERS overrides): processors 4 (cpu.max),"
        " memory 2048 MB (memory.max), of which 60 MB are in use with the model loaded;"
        " a body may have 25 MB (the default)"
    )
