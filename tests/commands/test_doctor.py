"""`byoa doctor`: what this machine has, and what it lacks."""

import os
import re
import shutil
import socket
import subprocess
import sys

import pytest

from toolkit.conformance import needs
from toolkit.conformance.client import HOST
from toolkit.conformance.needs import Missing


def doctor(path=os.environ["PATH"]):
    """The command's run by a user who has no AWS account."""
    words = [sys.executable, "-c", "from toolkit.cli import main; main()", "doctor"]
    variables = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    nobody = variables | {"PATH": path, "HOME": "/nowhere"}
    return subprocess.run(words, capture_output=True, text=True, env=nobody, timeout=60)


def test_what_the_core_needs_is_there():
    run = doctor()
    assert run.returncode == 0, run.stdout
    core = [line for line in run.stdout.splitlines() if line.startswith("every command")]
    assert [re.split(r"\s{2,}", line)[1] for line in core] == ["there"] * 3
    assert "algorithms dbscan, kmeans, pca" in core[-1]


def test_a_machine_without_engine_and_programs_is_told_how_to_get_them(tmp_path):
    run = doctor(str(tmp_path))
    lines = {re.split(r"\s{2,}", line)[0]: re.split(r"\s{2,}", line)[1:] for line in run.stdout.splitlines()}
    assert lines["images, other tools"] == [
        "missing",
        "train and serve in PATH; activate the virtual environment that byoa is installed in",
    ]
    assert lines["build, push, check IMAGE"] == [
        "missing",
        "no container engine is installed; byoa needs docker or podman for images; "
        "https://docs.docker.com/engine/install, or your system's package podman",
    ]
    assert lines["push"] == ["missing", "no AWS region; name it by --region or AWS_DEFAULT_REGION"]
    assert run.returncode == 0


def test_a_taken_port_is_said(monkeypatch):
    with socket.create_server((HOST, 0)) as taken:
        monkeypatch.setattr(needs, "PORT", taken.getsockname()[1])
        with pytest.raises(Missing) as caught:
            needs.find_port()
    assert str(caught.value) == f"port {needs.PORT}, which another program holds; choose another with --port"


def test_a_missing_package_comes_with_the_command_that_brings_it():
    with pytest.raises(Missing) as caught:
        needs._find_distributions(["numpy", "no-such-package"])
    assert str(caught.value) == "no-such-package: pip install no-such-package"


def test_every_extra_is_looked_at():
    found = {need.commands for need in needs._extras()}
    assert {"extra dbscan", "extra demo", "extra mxnet", "extra test"} <= found


def test_programs_in_path_are_shown_with_their_places():
    if shutil.which("train") and shutil.which("serve"):
        assert needs.find_programs() == f"train is {shutil.which('train')}, serve is {shutil.which('serve')}"
    else:
        pytest.skip("the virtual environment is not active")
