"""`byoa pipeline`: training and transform jobs chained by a YAML file."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import click

from toolkit import environment
from toolkit.errors import BadOption, UserError

EXAMPLE = """\
# Twelve points in three groups, their two principal components, and the groups found again from these.
# A path is relative to this file; stage:NAME is the output folder of an earlier stage.
stages:
  - name: points
    files:
      points.csv: |
        9.0,0.1,0.2,1.0
        9.2,0.0,0.1,1.1
        8.9,0.2,0.0,0.9
        9.1,0.1,0.1,1.0
        0.1,7.0,0.2,3.0
        0.0,7.2,0.1,3.1
        0.2,6.9,0.0,2.9
        0.1,7.1,0.1,3.0
        0.2,0.1,5.0,8.0
        0.1,0.0,5.2,8.1
        0.0,0.2,4.9,7.9
        0.1,0.1,5.1,8.0

  - name: pca
    train:
      algorithm: pca
      channels: {train: stage:points}
      content_type: text/csv;label_size=0
      hyperparameters: {num_components: 2}

  - name: projections
    transform:
      algorithm: pca
      model: stage:pca
      input: stage:points
      content_type: text/csv
      split_type: Line
      assemble_with: Line
"""
ENDINGS = {
    "kmeans": """
  - name: kmeans
    train:
      algorithm: kmeans
      channels: {train: stage:projections}
      content_type: application/json
      hyperparameters: {k: 3}

  - name: clusters
    transform:
      algorithm: kmeans
      model: stage:kmeans
      input: stage:projections
      content_type: application/json
      accept: application/jsonlines
      split_type: Line
""",
    "dbscan": """
  - name: dbscan
    train:
      algorithm: dbscan
      channels: {train: stage:projections}
      content_type: application/json
      hyperparameters: {eps: 0.5, minPts: 3}

  - name: clusters
    transform:
      algorithm: dbscan
      model: stage:dbscan
      input: stage:projections
      content_type: application/json
      strategy: SingleRecord
      split_type: Line
      assemble_with: Line
""",
}


@click.command()
@click.argument("file", required=False, type=click.Path(path_type=Path))
@click.option(
    "--output", type=click.Path(path_type=Path), help="Folder for the stages' outputs; by default FILE's name."
)
@click.option(
    "--example", type=click.Choice(list(ENDINGS)), help="Print a file that runs as it is: PCA, then this one."
)
def command(file: Path | None, output: Path | None, example: str | None) -> None:
    """Run the stages in FILE, each a training or a transform job that may read the output of earlier ones.

    \b
    byoa pipeline --example kmeans > clusters.yaml
    byoa pipeline clusters.yaml
    cat clusters/clusters/*

    A stage runs again only when its own words, the content of what it reads or its algorithm have changed. When one
    fails, what was finished stays, and the next run goes on there.
    """
    if example:
        click.echo(EXAMPLE + ENDINGS[example], nl=False)
        return
    if file is None:
        raise BadOption("which pipeline? name its FILE, or print one with --example kmeans")
    environment.limit_numerical_threads(1)
    _run(file, output or file.with_suffix(""))


def _run(file: Path, output: Path) -> None:
    from toolkit import pipeline

    signal.signal(signal.SIGTERM, signal.default_int_handler)
    stages, start = pipeline.read(file), time.perf_counter()
    try:
        for outcome in pipeline.run(stages, file.parent, output):
            seconds, start = time.perf_counter() - start, time.perf_counter()
            done = f"done in {seconds:.1f} s" if outcome.has_run else "unchanged"
            click.echo(f"{outcome.stage.name}: {done}: {outcome.output}")
    except KeyboardInterrupt as error:
        raise UserError("the pipeline was stopped; the next run goes on at the stage that was under way") from error
