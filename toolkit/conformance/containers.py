"""A target that is an image: its programs run in containers of docker or podman, as SageMaker would start them."""

from __future__ import annotations

import os
import subprocess
import uuid
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from toolkit import container_engine
from toolkit.conformance.client import HOST
from toolkit.conformance.processes import Running
from toolkit.conformance.targets import PROGRAMS, Confined, Image

# SELinux would hide the folders of /opt/ml that are mounted; elsewhere the option means nothing
ALWAYS = ("--rm", "--security-opt", "label=disable")
FLAGS = {
    Confined.NETWORK: ("--network", "none"),
    Confined.ROOT: ("--read-only", "--tmpfs", "/tmp"),
    Confined.USER: ("--user", "1000:1000"),
    Confined.CAPABILITIES: ("--cap-drop", "all", "--security-opt", "no-new-privileges"),
}


class Container(Running):
    """A container, and the engine's client that waits for it."""

    def __init__(self, engine: str, options: Sequence[str], log: Path):
        self.engine, self.name = engine, f"byoa-check-{uuid.uuid4().hex[:12]}"
        super().__init__([engine, "run", "--name", self.name, *ALWAYS, *options], log)

    def terminate(self) -> None:
        """Sends SIGTERM to process 1 of the container."""
        _quietly([self.engine, "kill", "--signal", "TERM", self.name])

    def left_behind(self) -> bool:
        """False: with its process 1 a container ends as a whole."""
        return False

    def end(self) -> None:
        """Removes the container, whatever it does."""
        _quietly([self.engine, "rm", "--force", self.name])
        super().end()


class ImageTarget:
    """An image. `network` is the engine's network for its containers, "host" where ports cannot be published."""

    def __init__(self, name: str, engine: str | None = None, network: str = "bridge", trains: bool = True):
        self.name = name
        self.engine = container_engine.find(engine)
        self.network = network
        self.programs = PROGRAMS if trains else ("serve",)
        self.image = read_image(self.engine, name)

    def start(
        self, program: str, root: Path, log: Path, variables: Mapping[str, str], confined: Collection[Confined] = ()
    ) -> Container:
        """Starts a container with the folder `root` at /opt/ml and the program's name as its argument."""
        _open_to_all(root)
        options = ["--volume", f"{root}:/opt/ml"]
        if Confined.MODEL in confined:
            options += ["--volume", f"{root / 'model'}:/opt/ml/model:ro"]
        if Confined.NETWORK not in confined:
            options += self._network(program, variables)
        options += [flag for one in confined for flag in FLAGS.get(one, ())]
        options += [word for name, value in variables.items() for word in ("--env", f"{name}={value}")]
        return Container(self.engine, [*options, self.name, program], log)

    def obstacle(self, confined: Confined, program: str) -> str | None:
        """A server without a network cannot be asked; anything else an engine can do."""
        if confined is Confined.NETWORK and program == "serve":
            return "a server without a network cannot be asked"
        return None

    def _network(self, program: str, variables: Mapping[str, str]) -> list[str]:
        """The container's network, with the server's port published on the loopback address alone."""
        port = variables.get("SAGEMAKER_BIND_TO_PORT", "8080")
        if self.network == "host":  # then nothing but the server itself keeps others away
            return ["--network", "host", "--env", f"SERVER_HOST={HOST}"]
        published = ["--publish", f"{HOST}:{port}:{port}"] if program == "serve" else []
        return ["--network", self.network, *published]


def read_image(engine: str, name: str) -> Image:
    """What the engine tells of an image. Raises BadOption for one that is not on this machine."""
    told = container_engine.inspect(engine, name)
    config = told.get("Config") or {}
    return Image(
        operating_system=told["Os"],
        architecture=told["Architecture"],
        n_bytes=told["Size"],
        entrypoint=tuple(config.get("Entrypoint") or ()),
        labels=config.get("Labels") or {},
    )


def _open_to_all(root: Path) -> None:
    """Lets the image's user, whoever that is, write below `root`."""
    for path in (root, *root.rglob("*")):
        if not path.is_symlink() and path.stat().st_uid == os.geteuid():
            path.chmod(0o777 if path.is_dir() else 0o666)


def _quietly(command: list[str]) -> None:
    subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
