"""What the commands need of this machine, what of it is there, and how to get the rest."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import metadata

from toolkit import container_engine, images, machine
from toolkit.algorithm import installed
from toolkit.conformance import client, targets
from toolkit.errors import BadOption, UserError

DISTRIBUTION = "byoa"
CORE = "every command"
OLDEST_PYTHON = (3, 11)
LEAST_MEMORY = 512 << 20
PORT = 8080
REQUIREMENT = re.compile(r"(?P<name>[A-Za-z0-9._-]+)(?:[^;]*;.*extra == ['\"](?P<extra>[^'\"]+)['\"])?")


class Missing(Exception):
    """Something that a command needs is not there; the message says what, and how to get it."""


@dataclass(frozen=True)
class Need:
    """What `commands` need; `look` returns what is there, or raises Missing."""

    commands: str
    look: Callable[[], str]


@dataclass(frozen=True)
class Finding:
    """What is there of a need, or what is missing of it."""

    commands: str
    is_there: bool
    text: str


def look() -> Iterator[Finding]:
    """One finding for each need."""
    for need in (*NEEDS, *_extras()):
        try:
            yield Finding(need.commands, True, need.look())
        except Missing as missing:
            yield Finding(need.commands, False, str(missing))


def find_python() -> str:
    """The version of this Python."""
    version = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info < OLDEST_PYTHON:
        raise Missing(f"Python 3.11 or newer; this is {version}: make a virtual environment with a newer one")
    return f"Python {version}"


def find_packages() -> str:
    """The packages that the core needs."""
    return _find_distributions(_requirements().get(None, []))


def find_programs() -> str:
    """The programs that an image's entry point runs, as a shell would find them."""
    absent = [name for name in ("train", "serve") if shutil.which(name) is None]
    if absent:
        raise Missing(f"{' and '.join(absent)} in PATH; activate the virtual environment that byoa is installed in")
    return f"train is {shutil.which('train')}, serve is {shutil.which('serve')}"


def find_algorithms() -> str:
    """The installed algorithms, each of which can be imported."""
    names = []
    for point in installed():
        try:
            point.load()
        except (ImportError, AttributeError) as error:
            raise Missing(f"algorithm {point.name!r} of {point.value} cannot be imported: {error}") from error
        names.append(point.name)
    if not names:
        raise Missing("an algorithm; three come with byoa, install it again; 'byoa init' starts your own")
    return f"algorithms {', '.join(names)}"


def find_machine() -> str:
    """How many processors and how much memory programs may use."""
    n_cpus, memory = machine.n_cpus(), machine.memory_bytes()
    seen = f"{n_cpus.value} processors ({n_cpus.source}), {memory.value / 2**30:.1f} GiB of memory ({memory.source})"
    if memory.value < LEAST_MEMORY:
        raise Missing(f"at least {LEAST_MEMORY >> 20} MiB of memory; there are {seen}")
    return seen


def find_port() -> str:
    """Whether the port that servers listen on by default is free."""
    if not client.is_free(PORT):
        raise Missing(f"port {PORT}, which another program holds; choose another with --port")
    return f"port {PORT} is free"


def find_namespaces() -> str:
    """Whether commands can have mounts and a network of their own."""
    if not targets.may_unshare():
        raise Missing("namespaces of Linux, which take root; without them some rules do not apply to a command")
    return "mounts and networks of a command's own"


def find_engine() -> str:
    """The container engine."""
    try:
        engine = container_engine.find()
    except BadOption as error:
        raise Missing(f"{error}; https://docs.docker.com/engine/install, or your system's package podman") from error
    return subprocess.run([engine, "--version"], capture_output=True, text=True).stdout.strip() or engine


def find_registry() -> str:
    """The account and region that images would be pushed to."""
    try:
        return f"ECR registry {images.find_registry().host}"
    except UserError as error:
        raise Missing(str(error)) from error


NEEDS = (
    Need(CORE, find_python),
    Need(CORE, find_packages),
    Need(CORE, find_algorithms),
    Need("images, other tools", find_programs),
    Need("train, serve", find_machine),
    Need("serve", find_port),
    Need("check --command", find_namespaces),
    Need("build, push, check IMAGE", find_engine),
    Need("push", find_registry),
)


def _extras() -> Iterator[Need]:
    """A need for each of the distribution's extras."""
    for extra, names in _requirements().items():
        if extra is not None:
            yield Need(f"extra {extra}", lambda names=names: _find_distributions(names))


def _requirements() -> dict[str | None, list[str]]:
    """The names of the distributions that are needed, by extra; those of the core by None."""
    found: dict[str | None, list[str]] = {}
    for requirement in metadata.requires(DISTRIBUTION) or []:
        match = REQUIREMENT.match(requirement)
        if match and match["name"] != DISTRIBUTION:
            found.setdefault(match["extra"], []).append(match["name"])
    return found


def _find_distributions(names: list[str]) -> str:
    there, absent = [], []
    for name in names:
        try:
            there.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            absent.append(name)
    if absent:
        raise Missing(f"{', '.join(absent)}: pip install {' '.join(absent)}")
    return ", ".join(there)
