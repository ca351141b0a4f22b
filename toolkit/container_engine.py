"""docker or podman, whichever this machine has: found, asked about images, and run."""

from __future__ import annotations

import json
import shutil
import subprocess
from typing import Any

from toolkit.errors import BadOption, UserError

KNOWN = ("docker", "podman")


def find(given: str | None = None) -> str:
    """The engine that was named, else the first known one that is installed and works.

    Raises BadOption where there is none.
    """
    installed = [name for name in ([given] if given else KNOWN) if shutil.which(name)]
    for name in installed:
        if _ask(name, "info") is not None:
            return name
    if installed:
        raise BadOption(
            f"container engine {installed[0]!r} must be able to run; '{installed[0]} info' says why it cannot"
        )
    if given:
        raise BadOption(f"container engine {given!r} is not installed")
    raise BadOption("no container engine is installed; byoa needs docker or podman for images")


def inspect(engine: str, image: str) -> dict[str, Any]:
    """What the engine tells of an image. Raises BadOption for one that is not on this machine."""
    told = _ask(engine, "image", "inspect", image)
    if told is None:
        raise BadOption(f"image {image!r} is not on this machine; 'byoa build' makes it")
    return json.loads(told)[0]


def run(engine: str, *arguments: str) -> None:
    """Runs the engine before the user's eyes. Raises UserError where it fails."""
    status = subprocess.run([engine, *arguments]).returncode
    if status:
        raise UserError(f"'{engine} {arguments[0]}' ended with exit status {status}; it says why above")


def login(engine: str, registry: str, user: str, password: str) -> None:
    """Logs in to a registry; the password goes by standard input, where no list of processes shows it."""
    command = [engine, "login", "--username", user, "--password-stdin", registry]
    done = subprocess.run(command, input=password.encode(), capture_output=True)
    if done.returncode:
        last = done.stderr.decode(errors="replace").strip().splitlines()[-1:]
        raise UserError(f"'{engine} login' to {registry} failed: {' '.join(last)}")


def _ask(engine: str, *arguments: str) -> bytes | None:
    """What the engine answers, or None where it ends with an error."""
    done = subprocess.run([engine, *arguments], capture_output=True)
    return None if done.returncode else done.stdout
