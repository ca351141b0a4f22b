"""`byoa transform`: a batch transform job on this machine's files."""

from __future__ import annotations

import signal
import sys
import time
from contextlib import closing
from pathlib import Path

import click

from toolkit import archive, environment, machine
from toolkit.errors import BadOption, UserError
from toolkit.transform import inputs
from toolkit.transform.container import Container
from toolkit.transform.explanation import explain
from toolkit.transform.filters import Processing
from toolkit.transform.job import Result, TransformJob
from toolkit.transform.settings import Settings, resolved


@click.command()
@click.argument("paths", nargs=-1, metavar="[MODEL] INPUT OUTPUT", type=click.Path(path_type=Path))
@click.option("--algorithm", help="Name of the algorithm that made MODEL.")
@click.option("--url", help="Address of a running container that answers, in place of MODEL and --algorithm.")
@click.option("--content-type", help="Content type of the input; without it the file's ending says.")
@click.option("--accept", help="Content type of the answers; without it the algorithm's own.")
@click.option("--split-type", default="None", show_default=True, help="None, Line, RecordIO or TFRecord.")
@click.option("--strategy", help="MultiRecord (as many records as fit into a request; the default) or SingleRecord.")
@click.option("--max-payload", type=int, help="MaxPayloadInMB; 0 is no limit.  [default: 6]")
@click.option("--assemble-with", default="None", show_default=True, help="None, or Line: a newline after each answer.")
@click.option("--compression-type", default="None", show_default=True, help="None, or Gzip for gzip input.")
@click.option("--input-filter", default="$", show_default=True, help="JSONPath of what is sent, such as '$[1:]'.")
@click.option("--join-source", default="None", show_default=True, help="None, or Input: each record with its answer.")
@click.option("--output-filter", default="$", show_default=True, help="JSONPath of what is stored.")
@click.option("--data-type", default="S3Prefix", show_default=True, help="S3Prefix (INPUT itself) or ManifestFile.")
@click.option(
    "--workers",
    "--max-concurrent-transforms",
    "workers",
    type=click.IntRange(min=1),
    help="Requests under way at once; by default one for each CPU, with --url as many as the container says.",
)
@click.option("--timeout", default=600, show_default=True, help="InvocationsTimeoutInSeconds, with --url.")
@click.option("--retries", default=3, show_default=True, help="InvocationsMaxRetries, with --url.")
@click.option("--strip-newline", is_flag=True, help="Send a single line without its newline.")
@click.option("--inclusive-slices", is_flag=True, help="Let [1:4] include place 4, as the guide's prose has it.")
@click.option("--double-newlines", is_flag=True, help="Let AssembleWith Line add a newline even to one.")
@click.option("--explain", "is_explained", is_flag=True, help="Tell how the first records fare; store nothing.")
def command(paths, algorithm, url, content_type, data_type, workers, is_explained, **options) -> None:
    """Send every file in INPUT through MODEL and store each answer as OUTPUT/<name>.out, as batch transform does.

    \b
    byoa transform run/model.tar.gz test.csv out --algorithm pca --split-type Line --assemble-with Line
    byoa transform run/model.tar.gz in/ out/ --algorithm kmeans --content-type text/csv --accept text/csv \\
        --split-type Line --assemble-with Line --input-filter '$[1:]' --join-source Input --output-filter '$[0,-2,-1]'
    byoa transform in/ out/ --url http://127.0.0.1:8080 --content-type text/csv --split-type Line

    The options have the names and defaults of SageMaker's SDK. A file that fails leaves no output, the others are
    finished, and the exit status is 1. Stopped, by Ctrl-C or SIGTERM, the job stores nothing.
    """
    *model, source, output = _paths(paths, algorithm, url)
    files = inputs.find(source, output, data_type)
    typed = source if data_type == "S3Prefix" else files[0].path
    settings = _settings(content_type or _content_type(typed), workers if url else None, options)
    job = TransformJob(files, output, settings)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    environment.limit_numerical_threads(1)
    if is_explained:
        _explain(job, model, algorithm, url)
    else:
        _run(job, model, algorithm, url, workers or machine.n_cpus().value)


def _paths(paths: tuple[Path, ...], algorithm: str | None, url: str | None) -> tuple[Path, ...]:
    if bool(algorithm) == bool(url):
        raise BadOption("who shall answer? either --algorithm NAME with a MODEL, or --url of a running container")
    wanted = "INPUT OUTPUT" if url else "MODEL INPUT OUTPUT"
    if len(paths) != len(wanted.split()):
        raise BadOption(f"the arguments must be {wanted}; got {' '.join(map(str, paths)) or 'none'}")
    return paths


def _content_type(path: Path) -> str | None:
    from toolkit.formats.endings import content_type_of

    return content_type_of(path)


def _settings(content_type: str | None, n_transforms: int | None, options: dict) -> Settings:
    keep_newline = not options.pop("strip_newline")
    return Settings(
        content_type=content_type, max_concurrent_transforms=n_transforms, keep_newline=keep_newline, **options
    )


def _run(job: TransformJob, model: list[Path], algorithm: str, url: str, n_workers: int) -> None:
    start = time.perf_counter()
    n_bytes = sum(file.path.stat().st_size for file in job.files)
    with click.progressbar(length=n_bytes, file=sys.stderr, item_show_func=lambda shown: shown) as bar:
        job.progress = _Progress(bar, start)
        try:
            result = _result(job, model, algorithm, url, n_workers)
        except KeyboardInterrupt as error:
            raise UserError("the job was stopped; nothing is stored") from error
    _summarize(job, result, time.perf_counter() - start)


def _result(job: TransformJob, model: list[Path], algorithm: str, url: str, n_workers: int) -> Result:
    if url:
        click.echo(f"asking {url}/ping until it answers 200", err=True)
        return job.with_container(url)
    with archive.unpacked(model[0]) as model_dir:
        return job.with_model(algorithm, model_dir, n_workers)


class _Progress:
    """Moves the bar, and shows the records so far and the speed."""

    def __init__(self, bar, start: float):
        self.bar = bar
        self.start = start
        self.n_bytes = self.n_records = 0

    def __call__(self, n_bytes: int, n_records: int) -> None:
        self.n_bytes += n_bytes
        self.n_records += n_records
        seconds = time.perf_counter() - self.start
        self.bar.update(n_bytes, f"{self.n_records:,} records, {self.n_bytes / 1e6 / seconds:.1f} MB/s")


def _summarize(job: TransformJob, result: Result, seconds: float) -> None:
    done = f"{result.n_records:,} records in {result.n_requests:,} requests, {result.n_bytes / 1e6:,.1f} MB"
    click.echo(f"{len(result.stored)} of {len(job.files)} files, {done} in {seconds:.2f} s: {job.output}")
    for name, reason in result.failures.items():
        click.echo(f"{name}: {reason}", err=True)
    if result.failures:
        raise UserError(f"the job has failed: {len(result.failures)} of {len(job.files)} files have no output")


def _explain(job: TransformJob, model: list[Path], algorithm: str, url: str) -> None:
    if url:
        with closing(Container(url, job.settings)) as container:
            container.wait_until_ready()
            _tell(job, resolved(job.settings, container.execution_parameters()), container.ask)
        return
    from toolkit.serving.inference import load

    with archive.unpacked(model[0]) as model_dir:
        inference = load(algorithm, model_dir)
        _tell(job, resolved(job.settings, {}), lambda *request: inference.answer(*request).body)


def _tell(job: TransformJob, settings: Settings, ask) -> None:
    Processing(settings)
    for line in explain(job.files[0], settings, ask):
        click.echo(line)
