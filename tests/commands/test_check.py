"""`byoa check` as a user calls it."""

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from toolkit.conformance.client import free_port
from toolkit.conformance.targets import may_unshare

PROGRAMS = Path(__file__).parent.parent / "conformance"
RULES_FOR_COMMANDS = 29
NEED_NAMESPACES = 2


def byoa(*words):
    return [sys.executable, "-c", "from toolkit.cli import main; main()", *map(str, words)]


def check(*words, **variables):
    environment = os.environ | variables
    return subprocess.run(byoa("check", *words), capture_output=True, text=True, env=environment, timeout=120)


def program(*words):
    return shlex.join([sys.executable, *map(str, words), "--opt-ml", "{opt_ml}"])


def told(*words, **variables):
    """The sentence on standard error of a check that cannot begin."""
    run = check(*words, **variables)
    assert (run.returncode, run.stdout) == (1, "")
    return run.stderr.removeprefix("byoa: ").removesuffix("\n")


def test_a_sound_program_passes_and_exits_with_0():
    run = check("--command", program(PROGRAMS / "sound.py"), "--port", free_port(), "--bad-hyperparameter", "rate=fast")
    passed = RULES_FOR_COMMANDS - (0 if may_unshare() else NEED_NAMESPACES)
    assert run.stdout.splitlines()[-1] == f"{passed} passed, 0 failed, {36 - passed} not applicable"
    assert (run.returncode, run.stderr) == (0, "")


def test_a_failure_is_explained_and_exits_with_1():
    broken = program(PROGRAMS / "broken.py", "FailsInSilence")
    run = check(
        "--command", broken, "--only", "good-input-trains", "--only", "failure-file-says-why", "--port", free_port()
    )
    assert run.returncode == 1
    seen = run.stdout[run.stdout.index("exit status 1") :].partition(",")[0]
    assert run.stdout.endswith(
        f"""
failure-file-says-why
  rule    A training that fails writes the reason to /opt/ml/output/failure
  seen    {seen}, and no file output/failure
  to do   catch exceptions in the program's outermost line, write the message to /opt/ml/output/failure, exit with 1
  source  https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-training-algo-output.html

1 passed, 1 failed, 0 not applicable
"""
    )
    assert "\x1b" not in run.stdout


def test_the_log_of_a_program_that_does_not_start_is_shown():
    run = check("--serve-command", f"{program(PROGRAMS / 'broken.py', 'CannotImport')} serve", "--port", free_port())
    assert "ModuleNotFoundError: No module named 'a_library_that_is_not_there'" in run.stdout


def test_the_report_as_json():
    run = check("--json", "--train-command", f"{program(PROGRAMS / 'sound.py')} train", "--only", "model-is-written")
    report = json.loads(run.stdout)
    assert report["passed"] is True
    assert report["results"] == [
        {
            "rule": "model-is-written",
            "about": "train",
            "sentence": "The model lies in /opt/ml/model, in regular files that an archive can carry",
            "source": "https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-training-algo-output.html",
            "result": "pass",
            "seen": "1 file, 110 bytes",
            "to_do": None,
            "log": [],
        }
    ]


def test_the_users_own_input_is_used(tmp_path):
    (tmp_path / "train.csv").write_text("1,2\n3,4\n")
    (tmp_path / "row.csv").write_text("5,6\n")
    given = ["--train-data", tmp_path / "train.csv", "-p", "rate=7", "--body", tmp_path / "row.csv"]
    rules = ["--only", "each-content-type-is-answered", "--json", "--port", free_port()]
    run = check("--command", program(PROGRAMS / "sound.py"), *given, *rules)
    assert json.loads(run.stdout)["results"][0]["seen"].startswith("200 to text/csv in ")


def test_a_model_is_served_without_training(tmp_path):
    (tmp_path / "means.json").write_text("[1, 2, 3, 4, 5, 6]")
    words = ["--command", program(PROGRAMS / "sound.py"), "--model", tmp_path, "--port", free_port()]
    run = check(*words, "--only", "server-starts", "--only", "good-input-trains")
    assert run.stdout.splitlines()[1] == f"  n/a   {'good-input-trains':<38}  no train program was given"
    assert run.stdout.splitlines()[-1] == "1 passed, 0 failed, 1 not applicable"


@pytest.mark.parametrize(
    "algorithm", ["kmeans", pytest.param("pca", marks=pytest.mark.slow), pytest.param("dbscan", marks=pytest.mark.slow)]
)
def test_our_own_programs_keep_every_rule(algorithm):
    run = check("--algorithm", algorithm, "--port", free_port(), "--skip", "mini-batch-of-6-mb-is-answered")
    assert run.stdout.splitlines()[0] == f"checking the installed algorithm {algorithm}"
    assert "0 failed" in run.stdout.splitlines()[-1], run.stdout
    assert run.returncode == 0


def test_a_check_that_is_stopped_ends_what_it_started(tmp_path):
    sleeper = shlex.join([sys.executable, "-c", "import os, sys, time; print(os.getpid(), flush=True); time.sleep(60)"])
    words = byoa("check", "--train-command", f"{sleeper} {{opt_ml}}")
    run = subprocess.Popen(words, stdout=subprocess.PIPE, env=os.environ | {"TMPDIR": str(tmp_path)})
    log = wait_for(lambda: [path for path in tmp_path.rglob("*.log") if path.read_text().endswith("\n")])[0]
    pid = int(log.read_text())
    run.send_signal(signal.SIGTERM)
    run.communicate(timeout=10)
    assert run.returncode == 143
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def wait_for(look, seconds=10):
    until = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < until
        time.sleep(0.05)
    return found


def test_the_rules_can_be_listed():
    lines = check("--list").stdout.splitlines()
    assert lines[0] == f"{'good-input-trains':<38}  Training on good input ends with exit status 0"
    assert len(lines) == 36


def test_a_target_is_needed():
    expected = "what to check? name an image, a --command or an --algorithm; 'byoa check --help' has examples"
    assert told() == expected


def test_an_image_and_a_command_are_two_targets():
    assert told("my-image", "--command", "serve") == (
        "what to check must be an image or a command; got both: 'my-image' and 'serve serve'"
    )


def test_an_unknown_rule_is_refused():
    assert told("--algorithm", "pca", "--only", "nosuch") == "unknown rule 'nosuch'; 'byoa check --list' shows them all"


def test_a_body_needs_a_content_type(tmp_path):
    body = tmp_path / "body.bin"
    body.write_bytes(b"1")
    assert told("--algorithm", "pca", "--body", body) == (
        f"--body must be a file whose ending tells its content type, or with --body-type; got '{body}'"
    )


def test_training_data_must_be_there(tmp_path):
    missing = tmp_path / "none"
    assert told("--algorithm", "pca", "--train-data", missing) == (
        f"--train-data must be a file or a folder with files; got '{missing}'"
    )


def test_an_image_needs_an_engine(tmp_path):
    assert told("my-image", PATH=str(tmp_path)) == (
        "no container engine is installed; byoa needs docker or podman for images"
    )


def test_an_engine_that_cannot_run_is_said(tmp_path):
    engine = tmp_path / "podman"
    engine.write_text("#!/bin/sh\nexit 1\n")
    engine.chmod(0o755)
    assert told("my-image", PATH=str(tmp_path)) == (
        "container engine 'podman' must be able to run; 'podman info' says why it cannot"
    )


def test_a_server_given_as_both_programs_is_told_how_to_be_checked():
    sleeper = shlex.join([sys.executable, "-c", "import time; time.sleep(60)", "{opt_ml}"])
    run = check("--command", sleeper, "--train-timeout", 0.5, "--port", free_port(), "--only", "good-input-trains")
    assert "  seen    still running after 0.5 s\n" in run.stdout
    assert "; a server that trains nothing is checked by --serve-command\n" in run.stdout


def test_a_body_is_taken_from_training_rows_only_where_they_have_no_labels(tmp_path):
    (tmp_path / "train.csv").write_text("1,2\n3,4\n")
    rules = ["--only", "each-content-type-is-answered", "--json", "--port", free_port()]
    given = ["--command", program(PROGRAMS / "sound.py"), "--train-data", tmp_path / "train.csv", *rules]
    result = json.loads(check(*given, "--content-type", "text/csv;label_size=0").stdout)["results"][0]
    assert (result["result"], result["seen"][:19]) == ("pass", "200 to text/csv in ")
    result = json.loads(check(*given).stdout)["results"][0]
    no_body = "no body is known that the server answers; give one by --body"
    assert (result["result"], result["seen"]) == ("not applicable", no_body)
