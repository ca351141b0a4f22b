"""What an image should be before it is pushed, and how little its programs should need: a `check_*` function a rule."""

from __future__ import annotations

from toolkit.conformance import client
from toolkit.conformance.client import Unanswered
from toolkit.conformance.samples import Body
from toolkit.conformance.servers import Server
from toolkit.conformance.targets import Confined, Image
from toolkit.conformance.trial import Trial
from toolkit.conformance.verdicts import Failed, NotApplicable, expect

BIND_LABEL = "com.amazonaws.sagemaker.capabilities.accept-bind-to-port"
ARCHITECTURES = ("amd64", "arm64")  # arm64 runs on Graviton instances only
LARGEST_BYTES = 10 * 2**30


def check_architecture_is_known(trial: Trial) -> str:
    """The image is for Linux on amd64, or on arm64 for Graviton instances."""
    image = _image(trial)
    seen = f"{image.operating_system}/{image.architecture}"
    expect(image.operating_system == "linux" and image.architecture in ARCHITECTURES, seen)
    return seen


def check_size_is_within_limit(trial: Trial) -> str:
    """The image has at most 10 GB, the most that serverless endpoints take."""
    seen = f"{_image(trial).n_bytes / 1e6:,.0f} MB unpacked"
    expect(_image(trial).n_bytes <= LARGEST_BYTES, seen)
    return seen


def check_entrypoint_takes_the_argument(trial: Trial) -> str:
    """The entry point is in exec form and no `tini`, so that `train` and `serve` and signals reach the program."""
    words = _image(trial).entrypoint
    if not words:
        return "no entry point: `train` and `serve` are programs of the image"
    seen = f"ENTRYPOINT {list(words)}"
    expect(words[:2] not in (("/bin/sh", "-c"), ("sh", "-c"), ("/bin/bash", "-c"), ("bash", "-c")), seen)
    expect(not words[0].endswith("tini"), seen)
    return seen


def check_label_tells_of_bind_to_port(trial: Trial) -> str:
    """A label says that the server takes its port from SAGEMAKER_BIND_TO_PORT, which inference pipelines ask for."""
    trial.must_have("serve")
    value = _image(trial).labels.get(BIND_LABEL)
    expect(value == "true", f"label {BIND_LABEL} is {value or 'not there'}")
    return f"{BIND_LABEL}=true"


def check_works_as_any_user(trial: Trial) -> str:
    """Training and serving work as a user who is not root."""
    return _works(trial, Confined.USER)


def check_works_on_a_read_only_root(trial: Trial) -> str:
    """Training and serving write below /opt/ml and /tmp alone."""
    return _works(trial, Confined.ROOT)


def check_works_without_capabilities(trial: Trial) -> str:
    """Training and serving need no capability, and gain no privilege."""
    return _works(trial, Confined.CAPABILITIES)


def _image(trial: Trial) -> Image:
    if trial.target.image is None:
        raise NotApplicable("a command is no image")
    return trial.target.image


def _works(trial: Trial, confined: Confined) -> str:
    """Trains and serves under the confinement, as far as the target has programs for it."""
    tries = {"train": _trains, "serve": _serves}
    for program in trial.target.programs:
        trial.must_allow(confined, program)
    return "; ".join(tries[program](trial, confined) for program in trial.target.programs)


def _trains(trial: Trial, confined: Confined) -> str:
    trial.must_train()
    run = trial.train(trial.sample.files, confined={confined})
    expect(run.status == 0, f"train {confined}: {run}")
    return f"train: {run}"


def _serves(trial: Trial, confined: Confined) -> str:
    trial.must_serve()
    with trial.another_server(confined={confined}) as server:
        for body in trial.sample.bodies[:1]:
            _expect_answer(server, body, f"serve {confined}")
    return "serve: ready"


def _expect_answer(server: Server, body: Body, where: str) -> None:
    try:
        answer = client.invoke(server.port, body.content, body.content_type)
    except Unanswered as reason:
        raise Failed(f"{where}: {reason}") from reason
    expect(answer.status == 200, f"{where}: {answer}")
