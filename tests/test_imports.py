"""Who may import whom: only downwards, as drawn here."""

import ast
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LAYERS = [
    {"cli", "commands", "cli_options"},
    {"images", "container_engine", "conformance", "spark", "local", "pipeline", "scaffold"},
    {"local_training"},
    {"training", "serving", "transform", "engines"},
    {"channels"},
    {"environment", "machine", "formats", "archive", "checks"},
    {"algorithm"},
    {"ndarrays", "rounds"},
    {"dataset", "hyperparameters", "files"},
    {"errors"},
]
ONLY_IN = {
    "flask": {"serving", "local"},
    "gunicorn": {"serving"},
    "boto3": {"images", "local"},
    "moto": {"images", "local"},
}
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}
MODULES = sorted(
    path
    for package in ("toolkit", "algorithms")
    for path in (ROOT / package).rglob("*.py")
    if "template" not in path.parts
)


def noun(path: Path) -> str:
    """The first name below the package: toolkit/formats/table.py is of `formats`."""
    return path.relative_to(ROOT).with_suffix("").parts[1]


def imported(path: Path) -> set[str]:
    """All dotted names that a module imports, anywhere in it."""
    tree = ast.parse(path.read_text())
    plain = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    froms = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    assert not any(node.level for node in froms), f"{path}: imports are absolute"
    return plain | {f"{node.module}.{alias.name}" for node in froms for alias in node.names}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_point_downwards(path):
    for name in imported(path):
        package, _, rest = name.partition(".")
        if path.is_relative_to(ROOT / "algorithms"):
            assert package != "algorithms", f"{path.name} imports another plugin: {name}"
            allowed = {"algorithm", "dataset", "hyperparameters", "errors", "rounds"}
            assert package != "toolkit" or rest.split(".")[0] in allowed, f"{path.name} imports {name}"
        elif path.name != "__init__.py":
            assert package != "algorithms", f"the toolkit knows no algorithm: {name}"
            if package == "toolkit" and rest.split(".")[0] in LEVEL:
                assert LEVEL[noun(path)] <= LEVEL[rest.split(".")[0]], f"{noun(path)} imports {name}"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_library_is_imported_only_where_it_belongs(path):
    for name in imported(path):
        places = ONLY_IN.get(name.partition(".")[0], {noun(path)})
        assert noun(path) in places, f"{noun(path)} imports {name}"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_environment_is_read_in_one_place(path):
    if noun(path) != "environment":
        reads = [
            node
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.Attribute) and ast.unparse(node) in ("os.environ", "os.getenv")
        ]
        assert not reads, f"{path}: line {reads[0].lineno} reads os.environ"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_module_has_its_layer(path):
    assert not path.is_relative_to(ROOT / "toolkit") or path.name == "__init__.py" or noun(path) in LEVEL


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_file_bears_the_name_of_another_library(path):
    taken = sys.stdlib_module_names | {"flask", "gunicorn", "numpy", "sklearn", "mxnet", "click", "pytest", "xgboost"}
    if path.parent.name != "commands":
        assert path.stem not in taken - {"__init__"}


def test_nothing_is_pickled_or_evaluated():
    banned = {"pickle", "cPickle", "cloudpickle", "dill", "joblib", "marshal", "shelve"}
    for path in MODULES:
        tree = ast.parse(path.read_text())
        assert not {name.partition(".")[0] for name in imported(path)} & banned, path
        calls = {
            node.func.id for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
        }
        assert not calls & {"eval", "exec", "compile"}, path
