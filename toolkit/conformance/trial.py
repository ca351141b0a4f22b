"""A target on trial: private folders, sample input, a model trained once, a server started when a rule needs one.

Everything that a trial starts ends with it, and its folders go.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from toolkit.conformance import client, servers
from toolkit.conformance.opt_ml import OptMl
from toolkit.conformance.processes import Running, tail, told
from toolkit.conformance.samples import Body, Sample
from toolkit.conformance.servers import DEFAULT_PORT, Server
from toolkit.conformance.targets import Confined, Target
from toolkit.conformance.verdicts import Failed, NotApplicable
from toolkit.errors import BadOption

NO_BODY = "no body is known that the server answers; give one by --body"
JOB = {
    "TRAINING_JOB_NAME": "byoa-check",
    "TRAINING_JOB_ARN": "arn:aws:sagemaker:us-east-1:123456789012:training-job/byoa-check",
}


@dataclass(frozen=True)
class Patience:
    """How long a trial waits, in seconds."""

    training: float = 600
    start_up: float = 120
    stop_training: float = 120  # then SageMaker kills the container
    stop_serving: float = 30


@dataclass(frozen=True)
class Training:
    """A training run that ended, or was still running when patience did."""

    tree: OptMl
    status: int | None
    seconds: float
    input_changed: bool

    def __str__(self) -> str:
        return f"{told(self.status)} after {self.seconds:.1f} s"


@dataclass
class Trial:
    """A target with what its rules need; a context manager.

    `port` is where the server listens: 8080, or another that it is told by SAGEMAKER_BIND_TO_PORT. `model` is a folder
    of a model's files for a target that does not train one.
    """

    target: Target
    sample: Sample
    port: int = DEFAULT_PORT
    model: Path | None = None
    patience: Patience = field(default_factory=Patience)
    last_log: str = field(default="", init=False)

    def __enter__(self) -> Trial:
        if "serve" in self.target.programs and not client.is_free(self.port):
            raise BadOption(f"port {self.port} is taken on this machine; name a free one with --port")
        self._scratch = Path(tempfile.mkdtemp(prefix="byoa-check-"))
        self._server: Server | None = None
        self._is_silent = False
        return self

    def __exit__(self, *_: object) -> None:
        self.stop_server()
        shutil.rmtree(self._scratch, ignore_errors=True)

    def must_have(self, program: str) -> None:
        """Raises NotApplicable where the target has no such program."""
        if program not in self.target.programs:
            raise NotApplicable(f"no {program} program was given")

    def must_allow(self, confined: Confined, program: str) -> None:
        """Raises NotApplicable where the program cannot be confined so."""
        self.must_have(program)
        if obstacle := self.target.obstacle(confined, program):
            raise NotApplicable(obstacle)

    def must_train(self) -> None:
        """Raises NotApplicable unless the target trains on good input."""
        if self.trained.status != 0:
            raise NotApplicable("training on good input failed")

    def must_serve(self) -> None:
        """Raises NotApplicable unless the target serves."""
        _ = self.server

    @cached_property
    def trained(self) -> Training:
        """Training on good input, once for all rules that look at it."""
        return self.train(self.sample.files)

    @property
    def well_trained(self) -> Training:
        """The training on good input. Raises NotApplicable where that failed."""
        self.must_train()
        return self.trained

    @cached_property
    def refused(self) -> Training:
        """Training on input that no program can learn from."""
        return self.train(self.sample.bad_files)

    def train(
        self,
        files: Mapping[str, bytes],
        hyperparameters: Mapping[str, str] | None = None,
        undocumented: bool = False,
        confined: Collection[Confined] = (),
    ) -> Training:
        """One training run on these files of the sample's channel, to its end."""
        tree = self._job(files, self.sample.hyperparameters if hyperparameters is None else hyperparameters)
        if undocumented:
            tree.add_undocumented(self.sample.channel)
        before = tree.input_digest()
        with self.running("train", tree, JOB, confined) as run:
            status = run.wait(self.patience.training)
            return Training(tree, status, run.seconds, tree.input_digest() != before)

    @contextmanager
    def long_training(self) -> Iterator[tuple[OptMl, Running]]:
        """A training run on so many copies of the sample that it lasts longer than the run on the sample."""
        tree = self._job(self.sample.files, self.sample.hyperparameters)
        self.sample.multiply(tree.root / "input" / "data" / self.sample.channel)
        with self.running("train", tree, JOB) as run:
            yield tree, run

    @contextmanager
    def running(
        self, program: str, tree: OptMl, variables: Mapping[str, str], confined: Collection[Confined] = ()
    ) -> Iterator[Running]:
        """A program of the target for the length of a block; what it wrote is in `last_log` afterwards."""
        self.must_have(program)
        run = self.target.start(program, tree.root, self._new_log(program), variables, confined)
        try:
            yield run
        finally:
            run.end()
            self.last_log = tail(run.log)

    @property
    def server(self) -> Server:
        """The server that the rules share which only ask; started again where it has died."""
        if self._server is None or self._server.running.status is not None:
            self.start_server()
        return self._server

    @cached_property
    def answered(self) -> list[Body]:
        """The sample bodies that the server answers with 200. Raises NotApplicable where there is none."""
        self.must_serve()
        found = [body for body in self.sample.bodies if self._is_answered(body)]
        if not found:
            raise NotApplicable(NO_BODY)
        return found

    def start_server(self, port: int | None = None, confined: Collection[Confined] = ()) -> Server:
        """Starts the shared server, again if it runs, perhaps on another port. Raises Failed where it stays silent."""
        self.must_have("serve")
        if self._is_silent:
            raise NotApplicable("the server does not start")
        self.stop_server()
        root, log = self._served.root, self._new_log("serve")
        try:
            self._server = servers.start(self.target, root, log, port or self.port, self.patience.start_up, confined)
        except Failed:
            self._is_silent = not port and not confined
            self.last_log = tail(log)
            raise
        return self._server

    @contextmanager
    def another_server(self, port: int | None = None, confined: Collection[Confined] = ()) -> Iterator[Server]:
        """A server for one rule alone. Raises Failed where it stays silent."""
        try:
            yield self.start_server(port, confined)
        finally:
            self.stop_server()

    def stop_server(self) -> None:
        """Ends the shared server, if it runs."""
        if self._server is not None:
            self._server.running.end()
            self.last_log = tail(self._server.running.log)
        self._server = None

    @cached_property
    def _served(self) -> OptMl:
        """The tree of a server: the model that was given, else the one that was trained, else none."""
        tree = self._new_tree()
        if self.model is not None:
            shutil.copytree(self.model, tree.model, symlinks=True, dirs_exist_ok=True)
        elif "train" in self.target.programs:
            shutil.copytree(self.well_trained.tree.model, tree.model, symlinks=True, dirs_exist_ok=True)
        return tree

    def _is_answered(self, body: Body) -> bool:
        try:
            return client.invoke(self.server.port, body.content, body.content_type).status == 200
        except client.Unanswered:
            return False

    def _job(self, files: Mapping[str, bytes], hyperparameters: Mapping[str, str]) -> OptMl:
        tree = self._new_tree()
        tree.describe_job(self.sample.channel, self.sample.content_type, hyperparameters)
        folder = tree.root / "input" / "data" / self.sample.channel
        folder.mkdir()
        for name, content in files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        return tree

    def _new_tree(self) -> OptMl:
        """A fresh private folder in the shape of /opt/ml, open to every user."""
        root = Path(tempfile.mkdtemp(prefix="ml-", dir=self._scratch))
        os.chmod(root, 0o755)
        return OptMl(root).lay_out()

    def _new_log(self, program: str) -> Path:
        handle, path = tempfile.mkstemp(prefix=f"{program}-", suffix=".log", dir=self._scratch)
        os.close(handle)
        return Path(path)
