"""The documents are true: the README's examples run and print what it shows, every command teaches and is told of."""

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from toolkit.cli import byoa

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
COMMANDS = byoa.list_commands(None)
BLOCKS = re.findall(r"^```(console|python|yaml)(?: title=(\S+))?\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
OUTSIDE = ("scripts/",)  # run by CI itself


@pytest.fixture
def session(tmp_path):
    """Runs shell text in one folder with byoa in front of the path; what it leaves running ends with the test."""
    folder = tmp_path / "session"
    folder.mkdir()
    shutil.copytree(ROOT / "examples", folder / "examples")
    variables = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "COLUMNS": "120"}
    started = []

    def run(text: str) -> str:
        log = tmp_path / f"log-{len(started)}"
        with log.open("wb") as out:
            shell = subprocess.Popen(
                ["bash", "-e", "-c", text], cwd=folder, env=variables, stdout=out, stderr=out, start_new_session=True
            )
        started.append(shell)
        assert shell.wait(120) == 0, f"{text}\n{log.read_text()}"
        return log.read_text()

    yield folder, run
    for shell in started:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(shell.pid, signal.SIGTERM)


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def examples(block: str) -> list[tuple[str, str]]:
    """The commands of a console block, each with the output that is shown behind it."""
    parts = re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]
    pattern = re.compile(r"((?:[^\n]*\\\n)*[^\n]*\n)(.*)", re.DOTALL)
    return [pattern.fullmatch(part).groups() for part in parts]


def shown_as(expected: str, got: str) -> bool:
    """Whether the output is what is shown, where `...` stands for anything."""
    pattern = re.escape(expected.strip()).replace(r"\.\.\.", ".*")
    return re.fullmatch(pattern, got.strip(), re.DOTALL) is not None


def test_the_examples_of_the_readme_run_as_shown(session):
    """The blocks run in their order in one folder, so that a later one may use what an earlier one made."""
    folder, run = session
    ports = {}
    for kind, title, block in BLOCKS:
        block = re.sub(r"\b80[89]\d\b", lambda m: str(ports.setdefault(m[0], free_port())), block)
        if title:
            (folder / title).write_text(block)
        elif kind == "python":
            run(f"python - <<'END'\n{block}END")
        else:
            for command, expected in examples(block):
                if not command.startswith(OUTSIDE):
                    got = run(f"set -o pipefail; {command}" + ("sleep 3" if command.strip().endswith("&") else ""))
                    assert shown_as(expected, got), f"$ {command}\nshown:\n{expected}\ngot:\n{got}"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_teaches(name):
    """Its help says what it does, gives an example, and explains each option."""
    command = byoa.get_command(None, name)
    text = CliRunner().invoke(command, ["--help"], terminal_width=200).output
    assert f"byoa {name}" in text, "no example"
    assert len(command.help.splitlines()[0]) > 20
    for option in command.params:
        if option.param_type_name == "option":
            assert option.help or option.default is not None, f"{name}: option {option.name} has no help"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_told_of_in_the_readme(name):
    assert f"byoa {name}" in README


@pytest.mark.parametrize("path", sorted((ROOT / "scripts").iterdir()), ids=lambda path: path.name)
def test_every_script_is_explained_and_runs(path):
    if path.name != "README.md":
        assert os.access(path, os.X_OK)
        assert path.name in (ROOT / "scripts" / "README.md").read_text()
        second_line = path.read_text().splitlines()[1]
        assert second_line.startswith((f"# {path.name}", f'"""{path.name}')), "the second line says what it is for"


def test_the_documents_name_what_exists():
    """Paths in backticks in the documents are files or folders of this project."""
    for document in ("README.md", "CONTRIBUTING.md", "scripts/README.md"):
        text = (ROOT / document).read_text()
        for path in re.findall(
            r"`((?:toolkit|algorithms|dockerfiles|tests|scripts|examples|benchmarks)/[\w./-]*)`", text
        ):
            assert "NAME" in path or (ROOT / path).exists(), f"{document} names {path}"
