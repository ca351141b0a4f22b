"""The demonstration of scripts/demo: what it prints is what the README shows."""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
SHOWN = re.search(r"^```text\n\$ scripts/demo\n(.*?)^```", README, re.MULTILINE | re.DOTALL)[1]


def test_it_prints_what_the_readme_shows_and_draws_two_pictures(tmp_path):
    command = [sys.executable, ROOT / "examples" / "digits.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    pattern = re.escape(SHOWN.strip()).replace(r"\.\.\.", ".*")
    assert re.fullmatch(pattern, done.stdout.strip(), re.DOTALL), done.stdout
    for name in ("clusters.png", "plane.png"):
        assert (tmp_path / "demo-output" / name).read_bytes().startswith(b"\x89PNG")
