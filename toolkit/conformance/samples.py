"""Sample input for a target: what it trains on, what it cannot train on, and the bodies that it answers.

A user's own files take the place of the built-in ones, which suit algorithms that learn from rows of numbers.
"""

from __future__ import annotations

import io
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from toolkit.dataset import Dataset
from toolkit.files import GZIP
from toolkit.formats import table

JUNK = bytes(range(256)) * 16
N_ROWS, N_FEATURES, N_CLUSTERS = 1_500, 6, 3
COPIES, COPIED_BYTES = 500, 200_000_000  # of the sample's files, for a training run that lasts

# what our own algorithms are told: a small job, and values that they must refuse
HYPERPARAMETERS = {
    "pca": ({"num_components": "2"}, {"num_components": "many"}),
    "kmeans": ({"k": str(N_CLUSTERS)}, {"k": "ten"}),
    "dbscan": ({}, {"minPts": "few"}),
}


@dataclass(frozen=True)
class Body:
    """A request body and its content type."""

    content: bytes
    content_type: str

    def is_lines(self) -> bool:
        """Whether several bodies make one, put one after another."""
        return self.content_type.partition(";")[0].strip() in ("text/csv", "application/jsonlines")

    def grown(self, n_bytes: int) -> bytes:
        """The body's lines again and again: as many as fit into `n_bytes`."""
        lines = self.content if self.content.endswith(b"\n") else self.content + b"\n"
        return lines * (n_bytes // len(lines))


@dataclass(frozen=True)
class Sample:
    """Everything that a trial sends to a target.

    `files` are the good training files by name, `bad_hyperparameters` a map that the target must refuse, or None.
    """

    files: Mapping[str, bytes]
    bodies: tuple[Body, ...]
    content_type: str | None
    channel: str = "train"
    hyperparameters: Mapping[str, str] = field(default_factory=dict)
    bad_hyperparameters: Mapping[str, str] | None = None

    @property
    def bad_files(self) -> dict[str, bytes]:
        """Files of the same names that hold nothing of what their content type promises."""
        return dict.fromkeys(self.files, JUNK)

    def multiply(self, folder: Path) -> None:
        """Links copies of the training files into the channel's folder that holds them."""
        n_bytes = sum(len(content) for content in self.files.values())
        for copy in range(min(COPIES, COPIED_BYTES // max(1, n_bytes))):
            for name in self.files:
                original = folder / name
                os.link(original, original.with_name(f"{original.stem}-{copy}{original.suffix}"))


def built_in(algorithm: str | None = None, labelled: bool = False) -> Sample:
    """Rows of numbers in three clusters, and a few of them as bodies; as one of our algorithms wants them, if named.

    `labelled` puts each row's cluster in front of it in training.
    """
    rows, clusters = _rows()
    trained = np.column_stack([clusters, rows]) if labelled else rows
    good, bad = HYPERPARAMETERS.get(algorithm, ({}, None))
    return Sample(
        files={"part-0.csv": _csv(trained[:1_000]), "part-1.csv": _csv(trained[1_000:])},
        bodies=_bodies(rows[:3]) if algorithm else (Body(_csv(rows[:3]), "text/csv"),),
        content_type=f"text/csv;label_size={int(labelled)}",
        hyperparameters=good,
        bad_hyperparameters=bad,
    )


def own(files: Mapping[str, bytes], content_type: str | None) -> Sample:
    """A user's training files; their first rows are a body where they are CSV that is said to have no labels."""
    parts = [part.strip() for part in (content_type or "").lower().split(";")]
    first = next(iter(files.values()))
    answerable = parts[0] == "text/csv" and "label_size=0" in parts and not first.startswith(GZIP)
    bodies = (Body(b"".join(first.splitlines(keepends=True)[:3]), "text/csv"),) if answerable else ()
    return Sample(files, bodies, content_type)


def read_files(path: Path) -> dict[str, bytes]:
    """A file, or every file below a folder, by its name in the channel."""
    if path.is_file():
        return {path.name: path.read_bytes()}
    return {str(file.relative_to(path)): file.read_bytes() for file in sorted(path.rglob("*")) if file.is_file()}


def _rows() -> tuple[np.ndarray, np.ndarray]:
    """Rows (N_ROWS, N_FEATURES) of two decimals, and the cluster of each (N_ROWS,), all far from each other."""
    random = np.random.default_rng(0)
    centres = 20.0 * np.arange(N_CLUSTERS)[:, None] + np.arange(N_FEATURES)
    clusters = random.integers(N_CLUSTERS, size=N_ROWS)
    return (centres[clusters] + random.normal(size=(N_ROWS, N_FEATURES))).round(2), clusters


def _csv(rows: np.ndarray) -> bytes:
    return "".join(",".join(f"{value:g}" for value in row) + "\n" for row in rows).encode()


def _bodies(rows: np.ndarray) -> tuple[Body, ...]:
    """The same rows in every content type that our programs read; those that the guide shows are spelled out here."""
    instances = [{"features": row.tolist()} for row in rows]
    shown = {
        "text/csv": _csv(rows),
        "application/json": json.dumps({"instances": instances}).encode(),
        "application/jsonlines": "".join(json.dumps(instance) + "\n" for instance in instances).encode(),
    }
    written = {
        content_type: _written(rows, content_type) for content_type in table.WRITERS if content_type not in shown
    }
    return tuple(Body(content, content_type) for content_type, content in (shown | written).items())


def _written(rows: np.ndarray, content_type: str) -> bytes:
    file = io.BytesIO()
    writer = table.writer(content_type, file)
    writer.write(Dataset(rows.astype(np.float32)))
    writer.finish()
    return file.getvalue()
