"""Commands as targets: how they find /opt/ml, what may be taken from them, and that nothing of them stays."""

import os
import shlex
import socket
import sys
import time
from pathlib import Path

import pytest

from toolkit.conformance import samples
from toolkit.conformance.opt_ml import OptMl
from toolkit.conformance.processes import Running, _running_in, told
from toolkit.conformance.targets import CommandTarget, Confined, may_unshare
from toolkit.conformance.trial import Trial
from toolkit.errors import BadOption

needs_namespaces = pytest.mark.skipif(not may_unshare(), reason="namespaces take root on Linux")


def run(target, tree, log, confined=(), program="train"):
    running = target.start(program, tree.root, log, {"COLOUR": "green"}, confined)
    try:
        return running.wait(10), log.read_text()
    finally:
        running.end()


@pytest.fixture
def tree(tmp_path):
    return OptMl(tmp_path / "ml").lay_out()


def test_the_placeholder_becomes_the_private_folder(tree, tmp_path):
    assert run(CommandTarget({"train": "echo {opt_ml}/model"}), tree, tmp_path / "log") == (0, f"{tree.model}\n")


def test_variables_are_added_to_the_environment(tree, tmp_path):
    target = CommandTarget({"train": "sh -c 'echo $COLOUR $PATH' {opt_ml}"})
    assert run(target, tree, tmp_path / "log") == (0, f"green {os.environ['PATH']}\n")


@needs_namespaces
def test_a_command_without_the_placeholder_finds_the_folder_at_opt_ml(tree, tmp_path):
    target = CommandTarget({"train": "sh -c 'echo learned > /opt/ml/model/weights'"})
    assert run(target, tree, tmp_path / "log") == (0, "")
    assert (tree.model / "weights").read_text() == "learned\n"
    assert not Path("/opt/ml/model/weights").exists()


@needs_namespaces
@pytest.mark.parametrize("folder", ["{opt_ml}", "/opt/ml"])
def test_a_read_only_model_can_be_read_and_not_written(tree, tmp_path, folder):
    (tree.model / "weights").write_text("1")
    target = CommandTarget({"serve": f"sh -c 'cat {folder}/model/weights; touch {folder}/output/a {folder}/model/b'"})
    status, log = run(target, tree, tmp_path / "log", {Confined.MODEL}, "serve")
    assert status == 1
    assert log.startswith("1touch: cannot touch '")
    assert [path.name for path in tree.root.glob("*/?")] == ["a"]


@needs_namespaces
def test_a_command_without_a_network_reaches_nobody(tree, tmp_path):
    code = "import socket; socket.create_connection(('127.0.0.1', 1))"
    target = CommandTarget({"train": shlex.join([sys.executable, "-c", code, "{opt_ml}"])})
    assert "Network is unreachable" in run(target, tree, tmp_path / "log", {Confined.NETWORK})[1]


def test_a_command_that_is_not_there_is_refused():
    with pytest.raises(BadOption) as caught:
        CommandTarget({"train": "no-such-program --fast"})
    assert str(caught.value) == "command 'no-such-program --fast' must start with a program; there is none of that name"


def test_a_user_who_is_not_root_must_say_where_the_folder_goes(monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(BadOption) as caught:
        CommandTarget({"train": "echo train"})
    assert str(caught.value) == (
        "command 'echo train' must say {opt_ml} where it takes the folder of /opt/ml; "
        "only root can put a private folder at /opt/ml itself"
    )


def test_a_taken_port_is_said_before_anything_is_started():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(BadOption) as caught:
            Trial(CommandTarget({"serve": "echo {opt_ml}"}), samples.built_in(), port).__enter__()
    assert str(caught.value) == f"port {port} is taken on this machine; name a free one with --port"


def test_a_trial_leaves_no_process_and_no_folder():
    code = "import subprocess, time; subprocess.Popen(['sleep', '60']); time.sleep(60)"
    target = CommandTarget({"train": shlex.join([sys.executable, "-c", code, "{opt_ml}"])})
    with Trial(target, samples.built_in()) as trial:
        tree = trial._new_tree()
        with trial.running("train", tree, {}) as running:
            time.sleep(0.5)
            assert len(list(_running_in(running.process.pid))) == 2
        until = time.monotonic() + 5
        while running.left_behind():
            assert time.monotonic() < until
    assert not tree.root.parent.exists()


def test_an_end_is_told_in_words(tmp_path):
    running = Running(["sleep", "60"], tmp_path / "log")
    assert told(running.status) == "still running"
    running.terminate()
    assert told(running.wait(5)) == "killed by SIGTERM"
    assert told(3) == "exit status 3"
