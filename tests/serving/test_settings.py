"""The variables of the `serve` program."""

import pytest

from toolkit.environment import MIB, Limit, ServerSettings, limit_numerical_threads, read_server_settings
from toolkit.errors import BadOption

NAMES = [
    "SERVER_HOST",
    "SAGEMAKER_BIND_TO_PORT",
    "SAGEMAKER_MODEL_SERVER_WORKERS",
    "MODEL_SERVER_WORKERS",
    "MAX_CONTENT_LENGTH",
    "SAGEMAKER_MAX_PAYLOAD_IN_MB",
    "SAGEMAKER_MODEL_SERVER_TIMEOUT",
    "MODEL_SERVER_TIMEOUT",
    "SAGEMAKER_MODEL_JOB_QUEUE_SIZE",
    "SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT",
    "SAGEMAKER_BATCH",
    "SAGEMAKER_BATCH_STRATEGY",
    "SERVER_METRICS",
    "SERVER_LOG_PINGS",
    "SAGEMAKER_MAX_CONCURRENT_TRANSFORMS",
    "SERVER_LOG_REQUESTS",
]


@pytest.fixture(autouse=True)
def no_variables(monkeypatch):
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)


def test_without_variables_a_server_is_private_and_has_the_default_limits():
    settings = read_server_settings()
    assert settings.host == "127.0.0.1"
    assert settings.port == 8080
    assert settings.workers is None
    assert settings.payload == Limit(25 * MIB, "the default; SAGEMAKER_MAX_PAYLOAD_IN_MB changes it", False)
    assert settings.timeout == Limit(60, "the default; SAGEMAKER_MODEL_SERVER_TIMEOUT changes it", False)
    assert settings.queue == Limit(100, "the default; SAGEMAKER_MODEL_JOB_QUEUE_SIZE changes it", False)
    assert not settings.metrics
    assert settings.log_requests


@pytest.mark.parametrize(
    ("variables", "name", "value"),
    [
        ({"SERVER_HOST": "0.0.0.0"}, "host", "0.0.0.0"),
        ({"SAGEMAKER_BIND_TO_PORT": "9000"}, "port", 9000),
        ({"MODEL_SERVER_WORKERS": "3"}, "workers", Limit(3, "MODEL_SERVER_WORKERS")),
        (
            {"MODEL_SERVER_WORKERS": "3", "SAGEMAKER_MODEL_SERVER_WORKERS": "2"},
            "workers",
            Limit(2, "SAGEMAKER_MODEL_SERVER_WORKERS"),
        ),
        ({"SAGEMAKER_MAX_PAYLOAD_IN_MB": "6"}, "payload", Limit(6 * MIB, "SAGEMAKER_MAX_PAYLOAD_IN_MB")),
        ({"SAGEMAKER_MAX_PAYLOAD_IN_MB": "0"}, "payload", Limit(0, "SAGEMAKER_MAX_PAYLOAD_IN_MB")),
        ({"MAX_CONTENT_LENGTH": "6291456"}, "payload", Limit(6 * MIB, "MAX_CONTENT_LENGTH")),
        (
            {"MAX_CONTENT_LENGTH": "1", "SAGEMAKER_MAX_PAYLOAD_IN_MB": "6"},
            "payload",
            Limit(6 * MIB, "SAGEMAKER_MAX_PAYLOAD_IN_MB"),
        ),
        (
            {"SAGEMAKER_BATCH": "True"},
            "payload",
            Limit(100 * MIB, "the default; SAGEMAKER_MAX_PAYLOAD_IN_MB changes it", False),
        ),
        ({"SAGEMAKER_MODEL_SERVER_TIMEOUT": "5"}, "timeout", Limit(5, "SAGEMAKER_MODEL_SERVER_TIMEOUT")),
        ({"MODEL_SERVER_TIMEOUT": " 5 "}, "timeout", Limit(5, "MODEL_SERVER_TIMEOUT")),
        ({"SAGEMAKER_MODEL_JOB_QUEUE_SIZE": "7"}, "queue", Limit(7, "SAGEMAKER_MODEL_JOB_QUEUE_SIZE")),
        ({"SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT": "text/csv"}, "default_accept", "text/csv"),
        ({"SAGEMAKER_BATCH_STRATEGY": "SingleRecord"}, "batch_strategy", "SINGLE_RECORD"),
        ({"SAGEMAKER_BATCH_STRATEGY": "MULTI_RECORD"}, "batch_strategy", "MULTI_RECORD"),
        ({"SERVER_METRICS": "TRUE"}, "metrics", True),
        ({"SERVER_LOG_REQUESTS": "false"}, "log_requests", False),
    ],
)
def test_a_variable_sets_what_it_says(monkeypatch, variables, name, value):
    for variable, text in variables.items():
        monkeypatch.setenv(variable, text)
    assert getattr(read_server_settings(), name) == value


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("SAGEMAKER_BIND_TO_PORT", "http", "must be a whole number of at least 1; got 'http'"),
        ("SAGEMAKER_MODEL_SERVER_WORKERS", "0", "must be a whole number of at least 1; got '0'"),
        ("SAGEMAKER_MAX_PAYLOAD_IN_MB", "-1", "must be a whole number of at least 0; got '-1'"),
        ("SAGEMAKER_BATCH", "yes please", "must be true or false; got 'yes please'"),
        ("SAGEMAKER_BATCH_STRATEGY", "Both", "must be MULTI_RECORD or SINGLE_RECORD; got 'Both'"),
    ],
)
def test_a_variable_that_cannot_be_is_told(monkeypatch, name, text, message):
    monkeypatch.setenv(name, text)
    with pytest.raises(BadOption) as caught:
        read_server_settings()
    assert str(caught.value) == f"variable {name} {message}"


def test_options_come_before_variables(monkeypatch):
    monkeypatch.setenv("SAGEMAKER_BIND_TO_PORT", "9000")
    monkeypatch.setenv("MODEL_SERVER_WORKERS", "9")
    settings = read_server_settings("127.0.0.2", 8081, 2)
    assert (settings.host, settings.port, settings.workers) == ("127.0.0.2", 8081, Limit(2, "--workers"))


def test_the_settings_of_tests_are_the_programs_defaults():
    assert ServerSettings().payload.value == read_server_settings().payload.value


def test_threads_that_were_chosen_stay(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    monkeypatch.delenv("OPENBLAS_NUM_THREADS", raising=False)
    limit_numerical_threads(1)
    import os

    assert (os.environ["OMP_NUM_THREADS"], os.environ["OPENBLAS_NUM_THREADS"]) == ("3", "1")
