"""The rules for images: by what an engine tells of them, and in containers where there is an engine."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from toolkit.conformance import image_rules, rules, samples
from toolkit.conformance.client import free_port
from toolkit.conformance.containers import ImageTarget
from toolkit.conformance.image_rules import BIND_LABEL
from toolkit.conformance.rules import FAIL, PASS
from toolkit.conformance.table import RULES
from toolkit.conformance.targets import CommandTarget, Image
from toolkit.conformance.trial import Trial
from toolkit.conformance.verdicts import Failed

HERE = Path(__file__).parent
BASE = "localhost/python:3.11-slim-bookworm"
CONFIGURATION = HERE.parent.parent / "dockerfiles" / "containers.conf"
DOCKERFILE = f"""
FROM {BASE}
COPY sound.py broken.py /
LABEL {BIND_LABEL}=true
"""
ENTRYPOINT = 'ENTRYPOINT ["/usr/bin/python3", "/sound.py"]'
SOUND = Image("linux", "amd64", 200_000_000, ("/usr/bin/env",), {BIND_LABEL: "true"})


def trial_of(**changes):
    target = CommandTarget({"serve": "echo {opt_ml}"})
    target.image = Image(**(vars(SOUND) | changes))
    return Trial(target, samples.built_in())


@pytest.mark.parametrize(
    ("check", "changes", "seen"),
    [
        (image_rules.check_architecture_is_known, {"architecture": "s390x"}, "linux/s390x"),
        (image_rules.check_architecture_is_known, {"operating_system": "windows"}, "windows/amd64"),
        (image_rules.check_size_is_within_limit, {"n_bytes": 11 * 2**30}, "11,811 MB unpacked"),
        (
            image_rules.check_entrypoint_takes_the_argument,
            {"entrypoint": ("/bin/sh", "-c", "python serve.py")},
            "ENTRYPOINT ['/bin/sh', '-c', 'python serve.py']",
        ),
        (
            image_rules.check_entrypoint_takes_the_argument,
            {"entrypoint": ("/usr/bin/tini", "--")},
            "ENTRYPOINT ['/usr/bin/tini', '--']",
        ),
        (image_rules.check_label_tells_of_bind_to_port, {"labels": {}}, f"label {BIND_LABEL} is not there"),
    ],
)
def test_an_image_that_is_not_right_is_found(check, changes, seen):
    with pytest.raises(Failed) as caught:
        check(trial_of(**changes))
    assert str(caught.value) == seen


@pytest.mark.parametrize("name", ["architecture", "size", "entrypoint", "label"])
def test_a_right_image_passes(name):
    table = [rule for rule in RULES if rule.about == "image" and rule.name.startswith(name)]
    assert [result.result for result in rules.run(table, trial_of())] == [PASS]


def is_ready():
    found = ["podman", "image", "exists", BASE]
    return bool(shutil.which("podman")) and subprocess.run(found, capture_output=True).returncode == 0


@pytest.fixture(scope="module")
def build(tmp_path_factory):
    """Makes images of this folder's programs; they go at the end."""
    made = []
    with pytest.MonkeyPatch.context() as patch:
        if "CONTAINERS_CONF" not in os.environ:
            patch.setenv("CONTAINERS_CONF", str(CONFIGURATION))

        def make(name, *lines):
            folder = tmp_path_factory.mktemp(name)
            (folder / "Dockerfile").write_text("\n".join([DOCKERFILE, *(lines or [ENTRYPOINT])]))
            for program in ("sound.py", "broken.py"):
                shutil.copy(HERE / program, folder)
            image = f"localhost/byoa-check-{name}"
            subprocess.run(["podman", "build", "--format", "docker", "--tag", image, folder], check=True)
            made.append(image)
            return image

        yield make
        subprocess.run(["podman", "rmi", "--force", *made], capture_output=True)


def results(image, table=RULES):
    sample = samples.Sample(**(vars(samples.built_in()) | {"bad_hyperparameters": {"rate": "fast"}}))
    with Trial(ImageTarget(image, "podman", "host"), sample, free_port()) as trial:
        return {result.rule.name: result for result in rules.run(table, trial)}


needs_containers = pytest.mark.skipif(
    not is_ready(), reason="no podman with a base image; scripts/containers gets them"
)


@pytest.mark.containers
@needs_containers
def test_a_sound_image_keeps_every_rule(build):
    found = results(build("sound"))
    assert {name: result.seen for name, result in found.items() if result.result != PASS} == {}
    assert running_containers() == []


FAULTS = {
    "works-as-any-user": ["RUN chmod 600 /sound.py", ENTRYPOINT],
    "works-on-a-read-only-root": ['ENTRYPOINT ["/usr/bin/python3", "/broken.py", "WritesToTheRoot"]'],
    "works-without-capabilities": ['ENTRYPOINT ["/usr/bin/python3", "/broken.py", "ChangesOwners"]'],
    "entrypoint-takes-the-argument": ["ENTRYPOINT /usr/bin/python3 /sound.py"],
}


@pytest.mark.containers
@needs_containers
@pytest.mark.parametrize("rule", FAULTS)
def test_a_fault_of_an_image_is_found_by_its_rule(build, rule):
    table = [one for one in RULES if one.name == rule]
    found = results(build(rule, *FAULTS[rule]), table)
    assert found[rule].result == FAIL


@pytest.mark.containers
@needs_containers
def test_an_image_whose_program_is_not_there_fails_with_the_engines_reason(build):
    table = [rule for rule in RULES if rule.name == "good-input-trains"]
    found = results(build("nothing", 'ENTRYPOINT ["/usr/bin/env"]'), table)["good-input-trains"]
    assert found.seen.startswith("exit status 127 after")
    assert "'train'" in found.log or "‘train’" in found.log


def running_containers():
    words = ["podman", "ps", "--all", "--filter", "name=byoa-check-", "--format", "{{.Names}}"]
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout.split()
