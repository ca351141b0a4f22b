"""What can be said of the Dockerfiles and their lock files without an engine."""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
ALGORITHMS = sorted(PROJECT["entry-points"]["byoa.algorithms"])
LOCKS = ROOT / "dockerfiles" / "locks"
PINNED = re.compile(r"([a-z0-9-]+)==\S+( --hash=sha256:[0-9a-f]{64})+")


def locked(algorithm: str) -> set[str]:
    """The names of the packages in a lock file, each of which must be pinned and hashed."""
    lines = (LOCKS / f"{algorithm}.txt").read_text().splitlines()
    found = [PINNED.fullmatch(line) for line in lines if not line.startswith("#")]
    assert all(found)
    return {match[1] for match in found}


def names(requirements: list[str]) -> set[str]:
    return {re.match(r"[A-Za-z0-9-]+", requirement)[0].lower() for requirement in requirements}


def test_every_algorithm_has_a_lock_file():
    assert sorted(path.stem for path in LOCKS.iterdir()) == ALGORITHMS


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_lock_file_has_what_its_image_needs(algorithm):
    """Where this fails, pyproject.toml was changed after scripts/lock ran."""
    extra = PROJECT["optional-dependencies"].get(algorithm, [])
    assert names(PROJECT["dependencies"] + extra) <= locked(algorithm)


def test_only_dbscan_needs_scipy():
    assert [algorithm for algorithm in ALGORITHMS if "scipy" in locked(algorithm)] == ["dbscan"]


@pytest.mark.parametrize("name", ["Dockerfile", "byo.Dockerfile"])
def test_a_dockerfile_begins_its_programs_in_exec_form(name):
    text = (ROOT / "dockerfiles" / name).read_text()
    assert 'ENTRYPOINT ["/usr/bin/env"]\nCMD ["serve"]\n' in text
    assert "\nUSER" not in text  # root owns the /opt/ml that SageMaker mounts


@pytest.mark.parametrize("path", sorted((ROOT / "dockerfiles").rglob("*.*")), ids=lambda path: path.name)
def test_no_host_is_named(path):
    assert "://" not in path.read_text()
