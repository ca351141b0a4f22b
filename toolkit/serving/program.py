"""The `serve` program: loads a model once, then answers over HTTP from worker processes that share it.

SIGTERM lets running requests finish and ends within 30 seconds. A model that cannot be loaded is one sentence
on the standard error and exit status 1.
"""

from __future__ import annotations

import ctypes
import sys
from dataclasses import replace
from pathlib import Path

import click

from toolkit import environment
from toolkit.environment import OPT_ML, Limit, ServerSettings
from toolkit.errors import ToolkitError


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--algorithm", help="Name of the algorithm; an image says it by the variable ALGORITHM.")
@click.option("--opt-ml", type=Path, default=OPT_ML, show_default=True, help="The model is in its folder model.")
@click.option("--model-dir", type=Path, help="Folder of the model, in place of OPT_ML/model.")
@click.option("--port", type=int, help="Port; else SAGEMAKER_BIND_TO_PORT, else 8080.")
@click.option("--host", help="Address to listen on; else SERVER_HOST, else 127.0.0.1.")
@click.option("--workers", type=click.IntRange(min=1), help="Processes; else as CPU and memory allow.")
def main(algorithm, opt_ml, model_dir, port, host, workers) -> None:
    """Serve a model as SageMaker does: GET /ping, POST /invocations.

    For a model.tar.gz of your own, `byoa serve` unpacks it and calls this program.
    """
    try:
        settings = environment.read_server_settings(host, port, workers)
        name = environment.algorithm_name(algorithm)
        environment.limit_numerical_threads(1)
        keep_freed_memory()
        serve(name, model_dir or opt_ml / "model", settings)
    except ToolkitError as error:
        print(f"serve: {error}", file=sys.stderr)
        sys.exit(1)


def keep_freed_memory() -> None:
    """Has the C library reuse freed memory: giving it back and faulting it in again costs more than parsing does.

    The numbers are glibc's M_MMAP_THRESHOLD, M_TRIM_THRESHOLD, M_TOP_PAD and M_ARENA_MAX (mallopt(3)).
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # other C libraries have none
    for option, value in ((-3, 256 << 20), (-1, 512 << 20), (-2, 16 << 20), (-8, 1)) if mallopt else ():
        mallopt(option, value)


def serve(name: str, model_dir: Path, settings: ServerSettings) -> None:
    """Answers until SIGTERM. Raises BadOption, BadArtifact where the model cannot be served."""
    from toolkit.serving.app import create_app
    from toolkit.serving.inference import load
    from toolkit.serving.server import Server

    inference = load(name, model_dir, settings.default_accept)
    settings = replace(settings, workers=settings.workers or Limit(environment.n_cpus(), "the CPUs"))
    Server(create_app(inference, settings), settings).run()


if __name__ == "__main__":
    main(prog_name="serve")
