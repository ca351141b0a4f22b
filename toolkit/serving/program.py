"""The `serve` program: loads a model once, then answers over HTTP from worker processes that share it.

SIGTERM lets running requests finish and ends within 30 seconds. A model that cannot be loaded is one sentence on
the standard error and exit status 1.
"""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path

import click

from toolkit import environment
from toolkit.environment import OPT_ML, Limit, ServerSettings
from toolkit.errors import ToolkitError

DRAIN_SECONDS = 25  # SageMaker kills 30 s after SIGTERM


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--algorithm", help="Name of the algorithm; an image says it by the variable ALGORITHM.")
@click.option(
    "--opt-ml",
    type=click.Path(path_type=Path),
    default=OPT_ML,
    show_default=True,
    help="The model is in OPT_ML/model.",
)
@click.option(
    "--model-dir", type=click.Path(path_type=Path), help="Folder of the model, in place of OPT_ML/model."
)
@click.option("--port", type=int, help="Port; else SAGEMAKER_BIND_TO_PORT, else 8080.")
@click.option("--host", help="Address to listen on; else SERVER_HOST, else 127.0.0.1.")
@click.option("--workers", type=click.IntRange(min=1), help="Worker processes; else as CPU and memory allow.")
def main(
    algorithm: str | None,
    opt_ml: Path,
    model_dir: Path | None,
    port: int | None,
    host: str | None,
    workers: int | None,
) -> None:
    """Serve a model as SageMaker does: GET /ping, POST /invocations.

    On a model.tar.gz of your own, `byoa serve` unpacks it and calls this program.
    """
    try:
        settings = environment.read_server_settings(host, port, workers)
        environment.limit_numerical_threads(1)
        name = environment.algorithm_name(algorithm)
        serve(name, model_dir or opt_ml / "model", settings)
    except ToolkitError as error:
        print(f"serve: {error}", file=sys.stderr)
        sys.exit(1)


def serve(name: str, model_dir: Path, settings: ServerSettings) -> None:
    """Answers until SIGTERM. Raises BadArtifact, BadOption where the model cannot be served."""
    from gunicorn.app.base import BaseApplication

    from toolkit.serving.app import create_app
    from toolkit.serving.inference import load

    settings = replace(settings, workers=settings.workers or Limit(environment.n_cpus(), "the CPUs"))
    app = create_app(load(name, model_dir, settings.default_accept), settings)

    class Server(BaseApplication):
        def load_config(self):
            for option, value in gunicorn_options(settings).items():
                self.cfg.set(option, value)

        def load(self):
            return app

    Server().run()


def gunicorn_options(settings: ServerSettings) -> dict[str, object]:
    """How gunicorn runs: it writes nothing but to the standard streams and to memory."""
    options = {
        "bind": f"{settings.host}:{settings.port}",
        "workers": settings.workers.value,
        "worker_class": "gthread",
        "threads": 4,
        "preload_app": True,
        "timeout": settings.timeout.value + 30,
        "graceful_timeout": DRAIN_SECONDS,
        "keepalive": 75,
        "proc_name": "serve",
        "control_socket_disable": True,
    }
    return options | ({"worker_tmp_dir": "/dev/shm"} if os.access("/dev/shm", os.W_OK) else {})


if __name__ == "__main__":
    main(prog_name="serve")
