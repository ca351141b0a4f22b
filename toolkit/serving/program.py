"""The `serve` program: loads a model once, then answers over HTTP from worker processes that share it.

SIGTERM lets running requests finish and ends within 30 seconds. A model that cannot be loaded is one sentence
on the standard error and exit status 1.
"""

from __future__ import annotations

import logging
import signal
import sys
from pathlib import Path

import click

from toolkit import environment, machine
from toolkit.environment import OPT_ML, Limit, ServerSettings
from toolkit.errors import ToolkitError
from toolkit.serving import starting
from toolkit.serving.capacity import Capacity

LOG_FORMAT = "[%(asctime)s %(levelname)s] %(message)s"
TYPICAL_FEATURES = 100  # of models that are not there yet
VARIABLES = """\b
Variables that SageMaker or the image sets; an option comes before its variable:
  ALGORITHM                             name of the algorithm
  SERVER_HOST                           address to listen on (127.0.0.1; an image says 0.0.0.0)
  SAGEMAKER_BIND_TO_PORT                port (8080)
  SAGEMAKER_MODEL_SERVER_WORKERS, MODEL_SERVER_WORKERS
                                        processes (as processors and memory of the container allow)
  SAGEMAKER_MODEL_SERVER_TIMEOUT, MODEL_SERVER_TIMEOUT
                                        seconds from a request's first byte to its answer (60)
  SAGEMAKER_MAX_PAYLOAD_IN_MB           largest body (25, in batch 100; 0 for no limit)
  MAX_CONTENT_LENGTH                    the same in bytes
  SAGEMAKER_MODEL_JOB_QUEUE_SIZE        requests that may wait in one process (100)
  SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT  content type where a request accepts any (application/json)
  SAGEMAKER_BATCH, SAGEMAKER_BATCH_STRATEGY, SAGEMAKER_MAX_CONCURRENT_TRANSFORMS
                                        what batch transform sets; told by GET /execution-parameters
  SAGEMAKER_MULTI_MODEL                 models are loaded by POST /models (false)
  SERVER_LOG_REQUESTS                   a line of JSON for each request (true)
  SERVER_LOG_PINGS                      for each /ping too (false)
  SERVER_METRICS                        GET /metrics for Prometheus (false); needs byoa[metrics]
"""
log = logging.getLogger("byoa.serving")


@click.command(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}, epilog=VARIABLES)
@click.option("--algorithm", help="Name of the algorithm; an image says it by the variable ALGORITHM.")
@click.option("--opt-ml", type=Path, default=OPT_ML, show_default=True, help="The model is in its folder model.")
@click.option("--model-dir", type=Path, help="Folder of the model, in place of OPT_ML/model.")
@click.option("--port", type=click.IntRange(1, 65535), help="Port; else SAGEMAKER_BIND_TO_PORT, else 8080.")
@click.option("--host", help="Address to listen on; else SERVER_HOST, else 127.0.0.1.")
@click.option("--workers", type=click.IntRange(min=1), help="Processes; else as CPU and memory allow.")
def main(algorithm, opt_ml, model_dir, port, host, workers) -> None:
    """Serve a model as SageMaker does: GET /ping, POST /invocations.

    For a model.tar.gz of your own, `byoa serve` unpacks it and calls this program.
    """
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # until gunicorn has its own
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format=LOG_FORMAT)
    try:
        settings = environment.read_server_settings(host, port, workers)
        name = environment.algorithm_name(algorithm)
        environment.limit_numerical_threads(numerical_threads(settings, machine.n_cpus().value))
        machine.keep_freed_memory()
        serve(name, model_dir or opt_ml / ("models" if settings.multi_model else "model"), settings)
    except Exception as error:
        if not isinstance(error, ToolkitError):
            log.exception("the model cannot be served")
        print(f"serve: {starting.told(error)}", file=sys.stderr)
        sys.exit(1)


def serve(name: str, model_dir: Path, settings: ServerSettings) -> None:
    """Answers until SIGTERM. Raises BadOption, BadArtifact where the model cannot be served."""
    listener = starting.listen(settings.host, settings.port)
    with machine.folder_in_memory("byoa-serve-") as shared:
        with starting.Starting(listener):
            from toolkit.serving.metrics import Metrics
            from toolkit.serving.server import Server

            metrics = Metrics(shared) if settings.metrics else None
            make = many_models if settings.multi_model else one_model
            app, settings = make(name, model_dir, settings, shared, metrics)
        log.info("algorithm %s is ready on port %s", name, settings.port)
        Server(app, settings, listener).run()


def one_model(name: str, model_dir: Path, settings: ServerSettings, shared: Path, metrics):
    """The application of the model in `model_dir`, and the settings that its container has room for."""
    from toolkit.serving.app import create_app
    from toolkit.serving.inference import load

    inference = load(name, model_dir, settings.default_accept)
    settings = fit(settings, inference.algorithm.n_features_in_)
    return create_app(inference, settings, metrics), settings


def many_models(name: str, models_dir: Path, settings: ServerSettings, shared: Path, metrics):
    """The application of models below `models_dir`, which POST /models loads, and the settings."""
    from toolkit.serving.models import Models
    from toolkit.serving.models_app import create_models_app

    settings = fit(settings, TYPICAL_FEATURES)
    memory = machine.memory_bytes()
    room = Limit((memory.value - machine.used_bytes()) // (2 * settings.workers.value), memory.source)
    models = Models(name, models_dir, shared, room, settings.default_accept)
    return create_models_app(models, settings, metrics), settings


def fit(settings: ServerSettings, n_features: int) -> ServerSettings:
    """The settings with what the container has room for beside what is loaded."""
    capacity = Capacity(machine.n_cpus(), machine.memory_bytes(), machine.used_bytes(), n_features)
    settings = capacity.fit(settings)
    log.info("%s", capacity.explain(settings))
    return settings


def numerical_threads(settings: ServerSettings, n_cpus: int) -> int:
    """Threads for numpy's libraries, which are told before the model is loaded: all processors for an only worker."""
    return n_cpus if settings.workers and settings.workers.value == 1 else 1


if __name__ == "__main__":
    main(prog_name="serve")
