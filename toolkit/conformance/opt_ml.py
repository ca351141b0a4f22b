"""A private folder shaped as SageMaker shapes /opt/ml, and what a program left in it.

Written from the guide's "How Amazon SageMaker AI Provides Training Information", apart from what our own programs read
it with, so that a mistake there is not repeated here.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# Files that the real service writes beside the documented ones, as listings in published job logs show them.
UNDOCUMENTED = {
    "init-config.json": {},
    "metric-definition-regex.json": [],
    "trainingjobconfig.json": {},
    "upstreamoutputdataconfig.json": [],
}


@dataclass(frozen=True)
class OptMl:
    """The folder `root`, which a program knows as /opt/ml."""

    root: Path

    @property
    def model(self) -> Path:
        """What becomes model.tar.gz."""
        return self.root / "model"

    @property
    def failure(self) -> str | None:
        """The text of output/failure, or None without the file."""
        path = self.root / "output" / "failure"
        return path.read_text(errors="replace") if path.is_file() else None

    def model_files(self) -> list[Path]:
        """Everything in the model folder but folders."""
        return [path for path in sorted(self.model.rglob("*")) if path.is_symlink() or not path.is_dir()]

    def lay_out(self) -> OptMl:
        """Makes the folders that a container finds."""
        for folder in ("input/config", "input/data", "model", "output/data"):
            (self.root / folder).mkdir(parents=True)
        return self

    def describe_job(self, channel: str, content_type: str | None, hyperparameters: Mapping[str, str]) -> None:
        """Writes the three configuration files of a job of one host with one channel."""
        described = {"TrainingInputMode": "File", "S3DistributionType": "FullyReplicated", "RecordWrapperType": "None"}
        if content_type:
            described["ContentType"] = content_type
        group = {"instance_group_name": "homogeneousCluster", "instance_type": "ml.m5.large", "hosts": ["algo-1"]}
        hosts = {
            "current_host": "algo-1",
            "current_instance_type": "ml.m5.large",
            "current_group_name": "homogeneousCluster",
            "hosts": ["algo-1"],
            "instance_groups": [group],
            "network_interface_name": "eth0",
        }
        self._write("hyperparameters.json", dict(hyperparameters))
        self._write("inputdataconfig.json", {channel: described})
        self._write("resourceconfig.json", hosts)

    def add_undocumented(self, channel: str) -> None:
        """Adds the files that real jobs have and the guide does not name."""
        for name, value in UNDOCUMENTED.items():
            self._write(name, value)
        (self.root / "input" / "data" / f"{channel}-manifest").write_text('[{"prefix": "s3://bucket/train/"}, "0.csv"]')

    def input_digest(self) -> str:
        """A digest of all files below input/, names and contents."""
        digest = hashlib.sha256()
        for path in sorted((self.root / "input").rglob("*")):
            digest.update(f"{path.relative_to(self.root)}\0".encode())
            digest.update(path.read_bytes() if path.is_file() else b"")
        return digest.hexdigest()

    def _write(self, name: str, value: Any) -> None:
        (self.root / "input" / "config" / name).write_text(json.dumps(value, separators=(",", ":")))
