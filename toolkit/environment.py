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

OPT_ML = Path("/opt/ml")
FAILURE_CHARACTERS = 1024  # what SageMaker shows of output/failure


@dataclass(frozen=True)
class Input:
    """A channel of a training job as inputdataconfig.json describes it; its files lie in `folder`."""

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
        draft = folder / f".{name}.tmp"
        draft.write_text(text)
        os.replace(draft, folder / name)


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
        raise BadOption("which algorithm? name it with --algorithm or the variable ALGORITHM; 'byoa algorithms' lists them")
    return name


def n_cpus() -> int:
    """The processors that this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def export(job: TrainingJob) -> None:
    """Sets the SM_* variables that user code written for AWS's training toolkit reads."""
    channels = {f"SM_CHANNEL_{name.upper()}": str(channel.folder) for name, channel in job.inputs.items()}
    single = {f"SM_HP_{name.upper()}": str(value) for name, value in job.hyperparameters.items()}
    os.environ.update(_variables(job) | channels | single)


def _variables(job: TrainingJob) -> dict[str, str]:
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
        "SM_NUM_CPUS": str(n_cpus()),
        "SM_NUM_GPUS": "0",
    }
    texts = {name: value if isinstance(value, str) else json.dumps(value) for name, value in values.items()}
    return texts | {"SM_TRAINING_ENV": json.dumps(values)}
