"""What a check runs: a program as SageMaker would start it, over a private /opt/ml.

A target knows its programs (`train`, `serve`), starts one of them, and says which confinements it can put around it.
A command is a process of this machine; toolkit/conformance/containers.py has the target that is an image.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from toolkit.conformance.processes import Running
from toolkit.errors import BadOption

PROGRAMS = ("train", "serve")
PLACEHOLDER = "{opt_ml}"


class Confined(StrEnum):
    """What a program may be denied; the value completes "must work ..."."""

    MODEL = "with a read-only model folder"
    NETWORK = "without a network"
    ROOT = "with a read-only root file system"
    USER = "as a user who is not root"
    CAPABILITIES = "without capabilities"


@dataclass(frozen=True)
class Image:
    """What an engine tells of an image."""

    operating_system: str
    architecture: str
    n_bytes: int
    entrypoint: tuple[str, ...]
    labels: Mapping[str, str]


class Target(Protocol):
    """A program under check; `image` is None for what is no image."""

    name: str
    programs: Collection[str]
    image: Image | None

    def start(
        self, program: str, root: Path, log: Path, variables: Mapping[str, str], confined: Collection[Confined] = ()
    ) -> Running:
        """Starts `train` or `serve` over the folder `root` with these variables added to its environment."""

    def obstacle(self, confined: Confined, program: str) -> str | None:
        """Why the program cannot be confined so, or None."""


class CommandTarget:
    """Commands of this machine, one for each program.

    `{opt_ml}` in a command stands for the private folder. A command without it looks for the real /opt/ml, where only
    root can put a private folder: by a bind mount that no other process sees (an empty /opt/ml stays).
    """

    image = None

    def __init__(self, commands: Mapping[str, str], name: str | None = None):
        self.commands = {program: shlex.split(command) for program, command in commands.items()}
        self.programs = tuple(program for program in PROGRAMS if program in commands)
        self.name = name or "; ".join(dict.fromkeys(commands[program] for program in self.programs))
        self.may_unshare = may_unshare()
        for program in self.programs:
            self._check(self.commands[program])

    def start(
        self, program: str, root: Path, log: Path, variables: Mapping[str, str], confined: Collection[Confined] = ()
    ) -> Running:
        """Starts the command in a process group of its own."""
        command = [word.replace(PLACEHOLDER, str(root)) for word in self.commands[program]]
        added = [f"{name}={value}" for name, value in variables.items()]
        return Running([*self._around(program, root, confined), "env", *added, *command], log)

    def obstacle(self, confined: Confined, program: str) -> str | None:
        """A command's model folder and network can be taken away where this machine allows namespaces."""
        if confined not in (Confined.MODEL, Confined.NETWORK):
            return "a command is not confined like this; check its image"
        if confined is Confined.NETWORK and program == "serve":
            return "a command without a network cannot be asked; check its image"
        return None if self.may_unshare else f"only root can run a command {confined}, by unshare"

    def _check(self, command: list[str]) -> None:
        if not command or shutil.which(command[0]) is None:
            raise BadOption(f"command {shlex.join(command)!r} must start with a program; there is none of that name")
        if not _names_opt_ml(command) and not self.may_unshare:
            raise BadOption(
                f"command {shlex.join(command)!r} must say {PLACEHOLDER} where it takes the folder of /opt/ml; "
                "only root can put a private folder at /opt/ml itself"
            )

    def _around(self, program: str, root: Path, confined: Collection[Confined]) -> list[str]:
        """The words before the command that give it a file system and a network of its own."""
        folder = str(root) if _names_opt_ml(self.commands[program]) else "/opt/ml"
        mounts = [] if folder == str(root) else [f"mkdir -p {folder} && mount --bind {shlex.quote(str(root))} {folder}"]
        if Confined.MODEL in confined:
            model = shlex.quote(f"{folder}/model")
            mounts.append(f"mount --bind {model} {model} && mount -o remount,bind,ro {model}")
        network = ["--net"] if Confined.NETWORK in confined else []
        if not mounts and not network:
            return []
        return ["unshare", "--mount", *network, "sh", "-c", " && ".join([*mounts, 'exec "$@"']), "sh"]


def _names_opt_ml(command: list[str]) -> bool:
    return any(PLACEHOLDER in word for word in command)


def may_unshare() -> bool:
    """Whether this process may give its children mounts and networks of their own: root on Linux, mostly."""
    if os.geteuid() != 0 or shutil.which("unshare") is None:
        return False
    return subprocess.run(["unshare", "--mount", "--net", "true"], capture_output=True).returncode == 0
