"""What SageMaker tells a container, read in one place: the tree under /opt/ml and the environment variables.

Nothing else in the toolkit reads a variable or knows a path below /opt/ml. Numpy is not imported here, so that a
program can set the number of its threads before it is.

Source: the Developer Guide's "How Amazon SageMaker AI Provides Training Information".
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from toolkit.errors import BadOption
from toolkit.files import written_whole

OPT_ML = Path("/opt/ml")
FAILURE_CHARACTERS = 1024  # what SageMaker shows of output/failure
MIB = 1024 * 1024  # SageMaker's MB: its 6 MB are 6,291,456 bytes
NUMERICAL_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


@dataclass(frozen=True)
class Input:
    """A channel of a training job as inputdataconfig.json describes it; its files lie in `folder`.

    `input_mode` is File or Pipe; `record_wrapper` is None or RecordIO: each object of a pipe is then one record.
    """

    name: str
    folder: Path
    content_type: str | None = None
    input_mode: str = "File"
    record_wrapper: str = "None"
    distribution: str = "FullyReplicated"


@dataclass(frozen=True)
class TrainingJob:
    """A training job as its container sees it, under the folder `root` (/opt/ml in a container)."""

    root: Path
    hyperparameters: Mapping[str, str] = field(default_factory=dict)
    inputs: Mapping[str, Input] = field(default_factory=dict)
    hosts: tuple[str, ...] = ("algo-1",)
    current_host: str = "algo-1"
    resources: Mapping[str, Any] = field(default_factory=dict)

    @property
    def model_dir(self) -> Path:
        """What becomes model.tar.gz."""
        return self.root / "model"

    @property
    def output_data_dir(self) -> Path:
        """What becomes output.tar.gz."""
        return self.root / "output" / "data"

    def succeed(self) -> None:
        """Leaves the empty file output/success, as AWS's own containers do."""
        self._write_output("success", "")

    def fail(self, message: str, trace: str = "") -> None:
        """Leaves output/failure: the message first, because only its first 1,024 characters are shown."""
        self._write_output("failure", f"{message}\n\n{trace}".strip() + "\n")

    def _write_output(self, name: str, text: str) -> None:
        folder = self.root / "output"
        folder.mkdir(parents=True, exist_ok=True)
        with written_whole(folder / name) as file:
            file.write(text.encode())


def read_training_job(root: Path = OPT_ML) -> TrainingJob:
    """The job described under `root`; a configuration file that is not there counts as empty.

    Raises BadOption for one that cannot be read.
    """
    config = root / "input" / "config"
    resources = _read_object(config / "resourceconfig.json")
    hosts = tuple(resources.get("hosts") or ("algo-1",))
    return TrainingJob(
        root=root,
        hyperparameters=_read_object(config / "hyperparameters.json"),
        inputs=_inputs(root / "input" / "data", _read_object(config / "inputdataconfig.json")),
        hosts=hosts,
        current_host=resources.get("current_host", hosts[0]),
        resources=resources,
    )


def _inputs(data: Path, described: Mapping[str, Any]) -> dict[str, Input]:
    return {
        name: Input(
            name=name,
            folder=data / name,
            content_type=channel.get("ContentType"),
            input_mode=channel.get("TrainingInputMode", "File"),
            record_wrapper=channel.get("RecordWrapperType", "None"),
            distribution=channel.get("S3DistributionType", "FullyReplicated"),
        )
        for name, channel in described.items()
    }


def _read_object(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_bytes())
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise BadOption(f"{path} must be a JSON object; {error}") from error
    if not isinstance(value, dict):
        raise BadOption(f"{path} must be a JSON object; got {type(value).__name__}")
    return value


def algorithm_name(given: str | None) -> str:
    """The algorithm that a program was told: by its option, else by the variable ALGORITHM, which images set."""
    name = given or os.environ.get("ALGORITHM")
    if not name:
        raise BadOption(
            "which algorithm? name it with --algorithm or the variable ALGORITHM; 'byoa algorithms' lists them"
        )
    return name


def export(job: TrainingJob, n_cpus: int) -> None:
    """Sets the SM_* variables that user code written for AWS's training toolkit reads.

    What no variable can hold is left out.
    """
    channels = {f"SM_CHANNEL_{name.upper()}": str(channel.folder) for name, channel in job.inputs.items()}
    single = {f"SM_HP_{name.upper()}": str(value) for name, value in job.hyperparameters.items()}
    variables = _variables(job, n_cpus) | channels | single
    os.environ.update({name: text for name, text in variables.items() if "=" not in name and "\0" not in name + text})


def _variables(job: TrainingJob, n_cpus: int) -> dict[str, str]:
    config = job.root / "input" / "config"
    inputs = _read_object(config / "inputdataconfig.json")
    values = {
        "SM_MODEL_DIR": str(job.model_dir),
        "SM_OUTPUT_DATA_DIR": str(job.output_data_dir),
        "SM_OUTPUT_DIR": str(job.root / "output"),
        "SM_INPUT_DIR": str(job.root / "input"),
        "SM_INPUT_CONFIG_DIR": str(config),
        "SM_INPUT_DATA_CONFIG": inputs,
        "SM_RESOURCE_CONFIG": job.resources,
        "SM_CHANNELS": sorted(job.inputs),
        "SM_HPS": dict(job.hyperparameters),
        "SM_HOSTS": list(job.hosts),
        "SM_CURRENT_HOST": job.current_host,
        "SM_NETWORK_INTERFACE_NAME": job.resources.get("network_interface_name", "eth0"),
        "SM_NUM_CPUS": str(n_cpus),
        "SM_NUM_GPUS": "0",
    }
    texts = {name: value if isinstance(value, str) else json.dumps(value) for name, value in values.items()}
    return texts | {"SM_TRAINING_ENV": json.dumps(values)}


@dataclass(frozen=True)
class Limit:
    """A bound on what the server takes, and the variable that set it or could have."""

    value: int
    source: str
    is_set: bool = True  # by somebody; False for a default


@dataclass(frozen=True)
class ServerSettings:
    """How a server runs, as the variables of the `serve` program say."""

    host: str = "127.0.0.1"
    port: int = 8080
    workers: Limit | None = None  # None: as CPU and memory allow
    payload: Limit = Limit(25 * MIB, "the default", False)  # bytes of a request's body; 0 is without limit
    timeout: Limit = Limit(60, "the default")  # seconds for one request
    queue: Limit = Limit(100, "the default")  # requests that may wait in one worker
    waiting: Limit = Limit(200 * MIB, "the default")  # bytes of their bodies together
    default_accept: str = "application/json"
    batch: bool = False
    batch_strategy: str = "MULTI_RECORD"
    max_payload_in_mb: int = 6  # of a batch transform's request
    max_concurrent_transforms: int | None = None  # None: one for each worker
    multi_model: bool = False
    log_requests: bool = True
    log_pings: bool = False
    metrics: bool = False


def read_server_settings(
    host: str | None = None, port: int | None = None, workers: int | None = None
) -> ServerSettings:
    """The settings of a server; options of its program, where given, come before the variables.

    Raises BadOption for a variable that cannot be what it says.
    """
    batch = _flag("SAGEMAKER_BATCH", False)
    return ServerSettings(
        host=host or os.environ.get("SERVER_HOST") or "127.0.0.1",
        port=port or _bound(8080, "SAGEMAKER_BIND_TO_PORT", at_least=1).value,
        workers=Limit(workers, "--workers") if workers else _workers(),
        payload=_payload(100 if batch else 25),
        timeout=_bound(60, "SAGEMAKER_MODEL_SERVER_TIMEOUT", "MODEL_SERVER_TIMEOUT", at_least=1),
        queue=_bound(100, "SAGEMAKER_MODEL_JOB_QUEUE_SIZE", at_least=1),
        default_accept=os.environ.get("SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT") or "application/json",
        batch=batch,
        batch_strategy=_batch_strategy(),
        max_payload_in_mb=_bound(6, "SAGEMAKER_MAX_PAYLOAD_IN_MB").value,
        max_concurrent_transforms=_bound(0, "SAGEMAKER_MAX_CONCURRENT_TRANSFORMS").value or None,
        multi_model=_flag("SAGEMAKER_MULTI_MODEL", False),
        log_requests=_flag("SERVER_LOG_REQUESTS", True),
        log_pings=_flag("SERVER_LOG_PINGS", False),
        metrics=_flag("SERVER_METRICS", False),
    )


def limit_numerical_threads(n_threads: int) -> None:
    """Sets how many threads numpy starts, unless the variables say; to be called before numpy is imported."""
    for name in NUMERICAL_THREADS:
        os.environ.setdefault(name, str(n_threads))


def share_metrics(folder: str) -> None:
    """Tells Prometheus' client where the processes of a server keep what they count; before it is imported."""
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = folder


def _workers() -> Limit | None:
    chosen = _bound(0, "SAGEMAKER_MODEL_SERVER_WORKERS", "MODEL_SERVER_WORKERS", at_least=1)
    return chosen if chosen.value else None


def _payload(default_mib: int) -> Limit:
    """Bytes: SAGEMAKER_MAX_PAYLOAD_IN_MB is the service's; MAX_CONTENT_LENGTH is its XGBoost container's."""
    if _is_set("MAX_CONTENT_LENGTH") and not _is_set("SAGEMAKER_MAX_PAYLOAD_IN_MB"):
        return _bound(0, "MAX_CONTENT_LENGTH", at_least=1)
    mib = _bound(default_mib, "SAGEMAKER_MAX_PAYLOAD_IN_MB")
    return Limit(mib.value * MIB, mib.source, mib.is_set)


def _batch_strategy() -> str:
    """Spelled as /execution-parameters spells it; the API says MultiRecord and SingleRecord."""
    given = os.environ.get("SAGEMAKER_BATCH_STRATEGY") or "MULTI_RECORD"
    known = {"multirecord": "MULTI_RECORD", "singlerecord": "SINGLE_RECORD"}
    if given.lower().replace("_", "") not in known:
        must = "must be MULTI_RECORD or SINGLE_RECORD"
        raise BadOption(f"variable SAGEMAKER_BATCH_STRATEGY {must}; got {given!r}")
    return known[given.lower().replace("_", "")]


def _is_set(name: str) -> bool:
    return bool(os.environ.get(name, "").strip())


def _bound(default: int, *names: str, at_least: int = 0) -> Limit:
    """The whole number in the first variable that is set, or the default, which the first name would change."""
    for name in filter(_is_set, names):
        text = os.environ[name].strip()
        if not text.isdecimal() or int(text) < at_least:
            raise BadOption(f"variable {name} must be a whole number of at least {at_least}; got {text!r}")
        return Limit(int(text), name)
    return Limit(default, f"the default; {names[0]} changes it", is_set=False)


def _flag(name: str, default: bool) -> bool:
    """True or false in any case: AWS's local mode writes True where the service writes true."""
    text = os.environ.get(name, "").strip().lower()
    known = {"": default, "true": True, "1": True, "false": False, "0": False}
    if text not in known:
        raise BadOption(f"variable {name} must be true or false; got {os.environ[name]!r}")
    return known[text]
