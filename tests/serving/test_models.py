"""A multi-model server: models come and go through any worker, and all of them know."""

import json
import shutil
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from running import serving

ROW = b"0.1,0.2,0.3,0.4\n"


@pytest.fixture(scope="module")
def root(tmp_path_factory, kmeans_dir):
    """/opt/ml/models with three copies of a model, a broken one, and one outside."""
    folder = tmp_path_factory.mktemp("ml") / "models"
    for name in ("a", "b", "c"):
        shutil.copytree(kmeans_dir, folder / name / "model")
    (folder / "broken" / "model").mkdir(parents=True)
    (folder / "broken" / "model" / "model_algo-1").write_bytes(b"nothing")
    shutil.copytree(kmeans_dir, folder.parent / "outside")
    return folder


@pytest.fixture(scope="module")
def multi(tmp_path_factory, root):
    options = ["--workers", "2", "--opt-ml", str(root.parent)]
    folder = tmp_path_factory.mktemp("multi")
    with serving(folder, "kmeans", root, *options, SAGEMAKER_MULTI_MODEL="true") as running:
        running.wait_for_workers(2)
        yield running


@pytest.fixture(autouse=True)
def nothing_is_loaded(multi):
    yield
    for model in multi.ask("GET", "/models").json["models"]:
        multi.ask("DELETE", f"/models/{model['modelName']}")


def load(multi, name, url):
    return multi.ask("POST", "/models", json.dumps({"model_name": name, "url": str(url)}))


def invoke(multi, name):
    return multi.ask("POST", f"/models/{name}/invoke", ROW, Content_Type="text/csv")


def test_a_loaded_model_answers_in_every_worker(multi, root):
    assert load(multi, "first", root / "a" / "model").status == 200
    assert {invoke(multi, "first").status for _ in range(12)} == {200}


def test_models_are_listed_and_described(multi, root):
    load(multi, "second", root / "b" / "model")
    load(multi, "first", root / "a" / "model")
    first = {"modelName": "first", "modelUrl": str(root / "a" / "model")}
    second = {"modelName": "second", "modelUrl": str(root / "b" / "model")}
    assert multi.ask("GET", "/models").json == {"models": [first, second]}
    assert multi.ask("GET", "/models/second").json == second


def test_an_unloaded_model_is_gone_in_every_worker(multi, root):
    load(multi, "first", root / "a" / "model")
    assert {invoke(multi, "first").status for _ in range(12)} == {200}
    assert multi.ask("DELETE", "/models/first").status == 200
    replies = [invoke(multi, "first") for _ in range(12)]
    assert {reply.status for reply in replies} == {404}
    assert replies[0].json["message"] == "model 'first' is not loaded; POST /models loads it"


def test_a_model_that_is_loaded_anew_from_elsewhere_is_the_new_one(multi, root, pca_dir):
    load(multi, "first", root / "a" / "model")
    assert {invoke(multi, "first").status for _ in range(12)} == {200}
    multi.ask("DELETE", "/models/first")
    load(multi, "first", root / "c" / "model")
    (root / "c" / "model" / "model_algo-1").write_bytes(b"nothing")
    statuses = {invoke(multi, "first").status for _ in range(12)}
    assert statuses == {400}  # every worker reads the new folder


@pytest.mark.parametrize(
    ("name", "url", "status", "message"),
    [
        ("taken", "a/model", 409, "model 'taken' is loaded already"),
        ("new", "broken/model", 400, "{root}/broken/model/model_algo-1 "),
        ("new", "nowhere", 400, "the url of a model must be a folder below {root}; got '{root}/nowhere'"),
        ("new", "../outside", 400, "the url of a model must be a folder below {root}; got '{root}/../outside'"),
        ("", "a/model", 400, "the body must be a JSON object with the texts 'model_name' and 'url'"),
    ],
)
def test_what_cannot_be_loaded_is_told(multi, root, name, url, status, message):
    load(multi, "taken", root / "b" / "model")
    reply = load(multi, name, f"{root}/{url}")
    assert reply.status == status
    assert reply.json["message"].startswith(message.format(root=root))


def test_there_is_no_memory_for_more_than_fits(tmp_path, kmeans_dir):
    from toolkit.environment import Limit
    from toolkit.errors import NoMemory
    from toolkit.serving.models import Models

    size = (kmeans_dir / "model_algo-1").stat().st_size
    models = Models("kmeans", kmeans_dir.parent, tmp_path, Limit(size + 1, "memory.max"), "application/json")
    models.load("first", str(kmeans_dir))
    with pytest.raises(NoMemory) as caught:
        models.load("second", str(kmeans_dir))
    must = f"loaded models must have at most {size + 1} bytes together (limit set by memory.max)"
    assert str(caught.value) == f"{must}; there are {size}, model 'second' has {size}"
    models.unload("first")
    models.load("second", str(kmeans_dir))


def test_models_that_come_and_go_at_once_are_loaded_as_often_as_they_are_unloaded(multi, root):
    end = time.monotonic() + 2

    def come_and_go(name):
        seen = []
        while time.monotonic() < end:
            seen.append(("load", load(multi, name, root / "a" / "model").status))
            seen.append(("list", multi.ask("GET", "/models").status))
            seen.append(("unload", multi.ask("DELETE", f"/models/{name}").status))
        return seen

    with ThreadPoolExecutor(8) as pool:
        seen = [one for some in pool.map(come_and_go, ["first", "second"] * 4) for one in some]
    assert set(seen) <= {("load", 200), ("load", 409), ("list", 200), ("unload", 200), ("unload", 404)}
    left = len(multi.ask("GET", "/models").json["models"])
    assert seen.count(("load", 200)) == seen.count(("unload", 200)) + left


def test_names_may_hold_slashes(multi, root):
    assert load(multi, "a/b", root / "a" / "model").status == 200
    assert invoke(multi, "a/b").status == 200
