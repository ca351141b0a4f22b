"""The `train` program: reads a job under /opt/ml, lets the algorithm learn, leaves a model or the reason why not.

Exit status 0 means that the model lies in model/; anything else that output/failure says what went wrong. SIGTERM
(a stopped job, a spot instance taken back) saves what has been learned so far and ends with status 0.

Source: the Developer Guide's "Run Your Training Algorithm" and "Signal Success or Failure" pages.
"""

from __future__ import annotations

import logging
import os
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import click

from toolkit import environment, machine
from toolkit.environment import OPT_ML, TrainingJob
from toolkit.errors import AlgorithmFault, BadChannel, BadOption, ToolkitError

LABEL_SIZE = 1  # columns of labels in front, where the content type does not say: SageMaker's default in training
LOG_FORMAT = "[%(asctime)s %(levelname)s] %(message)s"
log = logging.getLogger("byoa.training")


class Stopped(BaseException):
    """The platform asked the job to stop; not an Exception, so that no plugin catches it by accident."""


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--algorithm", help="Name of the algorithm; an image says it by the variable ALGORITHM.")
@click.option(
    "--opt-ml", type=click.Path(path_type=Path), default=OPT_ML, show_default=True, help="Root of the job's tree."
)
def main(algorithm: str | None, opt_ml: Path) -> None:
    """Train as SageMaker does: input/config and input/data are read, model/ and output/ written.

    On your own files, `byoa train` builds that tree and calls this program.
    """
    logging.basicConfig(stream=sys.stdout, level=logging.INFO, format=LOG_FORMAT, datefmt="%m/%d/%Y %H:%M:%S")
    signal.signal(signal.SIGTERM, _stop)
    n_cpus = machine.n_cpus().value
    environment.limit_numerical_threads(n_cpus)
    machine.keep_freed_memory()
    try:
        job = environment.read_training_job(opt_ml)
        environment.export(job, n_cpus)
        train(environment.algorithm_name(algorithm), job)
        job.succeed()
    except Stopped:
        log.warning("stopped before the algorithm began to learn; nothing is saved")
    except Exception as error:
        message = str(error) if isinstance(error, ToolkitError) else f"{type(error).__name__}: {error}"
        TrainingJob(opt_ml).fail(message, traceback.format_exc())
        log.error("%s", message, exc_info=not isinstance(error, ToolkitError))
        sys.exit(1)


def _stop(signal_number, frame) -> None:
    raise Stopped


def train(name: str, job: TrainingJob) -> None:
    """Runs one job: the algorithm learns from channel `train`, is saved, and is scored on channel `test`."""
    from toolkit.algorithm import find

    if len(job.hosts) > 1:
        raise BadOption(f"the job has {len(job.hosts)} hosts, this version trains on one; set InstanceCount to 1")
    plugin = find(name)
    algorithm = plugin(**job.hyperparameters)
    check_channels(plugin, job)
    log.info("algorithm %s, hyperparameters %s", name, algorithm.hyperparameters.model_dump(exclude_none=True))
    start = time.perf_counter()
    training, testing = train_and_test(algorithm, job)
    try:
        learn(algorithm, training, job.current_host, start)
        stopped = False
    except Stopped:
        stopped = True
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # what follows takes less than the grace time
    save(algorithm, job, stopped)
    report(algorithm, job, "train", algorithm.metrics_ if algorithm.is_fitted else {})
    if testing and not stopped:
        report(algorithm, job, "test", algorithm.score(batch for _, batch in testing))


def check_channels(plugin: type, job: TrainingJob) -> None:
    """Raises BadChannel for a channel that the algorithm does not know, or needs and does not get."""
    known = {channel.name for channel in plugin.channels}
    for unknown in sorted(set(job.inputs) - known):
        raise BadChannel(f"unknown channel {unknown!r}; algorithm {plugin.name!r} reads {', '.join(sorted(known))}")
    for channel in plugin.channels:
        if channel.required and channel.name not in job.inputs:
            given = ", ".join(sorted(job.inputs)) or "none"
            raise BadChannel(f"channel {channel.name!r} is required; the job has {given}")


def train_and_test(algorithm, job: TrainingJob) -> tuple:
    """The mini-batches of the channels `train` and `test`; None for `test` where the job has none.

    Raises BadHyperparameter and BadChannel, before anything is learned, where they are not as wide as they must be.
    """
    from toolkit.algorithm import check_feature_dim

    training = passes(algorithm, job, "train", getattr(algorithm.hyperparameters, "feature_dim", None))
    n_features = training.n_features
    check_feature_dim(algorithm, n_features)
    testing = passes(algorithm, job, "test", n_features) if "test" in job.inputs else None
    if testing and testing.n_features != n_features:
        raise BadChannel(f"channel 'test' has {testing.n_features} features, channel 'train' has {n_features}")
    return training, testing


def passes(algorithm, job: TrainingJob, channel: str, n_features: int | None):
    """The mini-batches of a channel, to be iterated once for each pass over it.

    `n_features` is the width of sparse rows that do not tell theirs, or None.
    """
    from toolkit.channels import Passes

    declared = next(declared for declared in algorithm.channels if declared.name == channel)
    source = job.inputs[channel]
    if not source.content_type:
        log.info("channel %s has no content type; it is read as %s", channel, declared.content_type)
        source = replace(source, content_type=declared.content_type)
    return Passes(source, algorithm.rows_per_batch, LABEL_SIZE, n_features=n_features)


def learn(algorithm, batches, host: str, start: float) -> None:
    """Fits the algorithm: in passes over the mini-batches where it can, else on all rows at once.

    Reading began at `start`, by the clock of `time.perf_counter`.
    """
    from toolkit import rounds
    from toolkit.algorithm import has_rounds

    if has_rounds(algorithm):
        rounds.run(algorithm.rounds(batches.n_features), Progress(batches, host, start))
    else:
        data = batches.dataset().dense()
        log.info("%d rows read", len(data))
        algorithm.fit(data.X, data.y)


class Progress:
    """Mini-batches that say in the log how many rows each pass had, and how fast it was with all its computing.

    The speed is told once more as SageMaker's own algorithms print it, for its metric `train:throughput`.
    """

    def __init__(self, batches, host: str, start: float):
        self.batches = batches
        self.host = host
        self.n_passes = 0
        self.start = start

    def __iter__(self) -> Iterator:
        self.n_passes += 1
        n_rows = 0
        for key, batch in self.batches:
            yield key, batch
            n_rows += len(batch)
        seconds, self.start = time.perf_counter() - self.start, time.perf_counter()
        log.info("pass %d: %d rows in %.2f s", self.n_passes, n_rows, seconds)
        log.info("#throughput_metric: host=%s, train throughput=%s records/second", self.host, n_rows / seconds)


def save(algorithm, job: TrainingJob, stopped: bool) -> None:
    """Writes the model; of a job that was stopped before its first model, the folder stays empty.

    Raises AlgorithmFault where nobody stopped the job and yet an array is not there.
    """
    if not algorithm.is_fitted:
        if not stopped:
            raise AlgorithmFault(
                f"algorithm {algorithm.name!r} must learn {', '.join(algorithm.arrays)}; not all are set"
            )
        log.warning("stopped before there was a first model; nothing is saved")
        return
    draft = job.model_dir / ".draft"
    draft.mkdir(parents=True, exist_ok=True)
    try:
        algorithm.save(draft)
        for path in draft.iterdir():
            os.replace(path, job.model_dir / path.name)
    finally:
        shutil.rmtree(draft)
    log.info("%s saved to %s", "the model so far was" if stopped else "the model is", job.model_dir)


def report(algorithm, job: TrainingJob, channel: str, metrics: dict[str, float]) -> None:
    """Prints metrics as SageMaker's own algorithms do, so that its metric definitions find them."""
    for name, value in metrics.items():
        kind = "loss" if name in algorithm.losses else "score"
        log.info("#quality_metric: host=%s, %s %s <%s>=%s", job.current_host, channel, name, kind, value)


if __name__ == "__main__":
    main(prog_name="train")
