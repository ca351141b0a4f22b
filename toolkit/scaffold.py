"""A new algorithm's package, made from the files in toolkit/template: a plugin, its test and its README."""

from __future__ import annotations

import importlib.util
import keyword
import re
import shutil
import tempfile
from pathlib import Path
from string import Template

from toolkit.algorithm import installed
from toolkit.errors import BadOption

TEMPLATE = Path(__file__).parent / "template"


def create(name: str, parent: Path) -> Path:
    """Makes the folder `parent`/`name` and returns it. Raises BadOption where it exists or `name` cannot be one."""
    if not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", name):
        raise BadOption(f"the name must be lower-case words joined by dashes, such as my-algorithm; got {name!r}")
    folder = parent / name
    if folder.exists():
        raise BadOption(f"{folder} exists already; choose another name or remove it")
    if _is_taken(name.replace("-", "_")):
        raise BadOption(f"{name!r} is a word of Python or a module that is there already; choose another name")
    if name in {point.name for point in installed()}:
        raise BadOption(f"an algorithm {name!r} is installed already; choose another name")
    draft = Path(tempfile.mkdtemp(prefix=f".{name}-", dir=parent))
    try:
        _fill(draft, name)
        draft.chmod(0o755)
        draft.rename(folder)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return folder


def _is_taken(module: str) -> bool:
    """Whether a module of that name could not be imported, or would hide one that is there."""
    return keyword.iskeyword(module) or importlib.util.find_spec(module) is not None


def _fill(folder: Path, name: str) -> None:
    module = name.replace("-", "_")
    values = {"name": name, "module": module, "class_name": name.title().replace("-", "")}
    for source in sorted(TEMPLATE.iterdir()):
        if source.is_file():
            text = Template(source.read_text()).safe_substitute(values)  # the Dockerfile has variables of its own
            (folder / _named(source.name, module)).write_text(text)


def _named(template: str, module: str) -> str:
    """The name that a template's file gets; hidden ones are not hidden among the templates."""
    return f".{template}" if template.endswith("ignore") else template.replace("module", module)
