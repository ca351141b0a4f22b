import gzip
import io
import json
import os
import signal
import subprocess
import sys
import threading
import time
import tracemalloc

import pytest

from toolkit.dataset import Dataset
from toolkit.errors import BadOption
from toolkit.formats import table
from toolkit.transform import records
from toolkit.transform.inputs import find
from toolkit.transform.job import TransformJob
from toolkit.transform.settings import MEBIBYTE, Settings, resolved
from transform.rows import ROWS, csv
from transform.test_container import serving

BYOA = [sys.executable, "-c", "from toolkit.cli import main; main()"]
LINES = {"content_type": "text/csv", "split_type": "Line", "assemble_with": "Line"}


@pytest.fixture
def folder(tmp_path):
    """A folder of inputs: two levels, an empty file, a hidden one."""
    source = tmp_path / "in"
    (source / "sub" / "deeper").mkdir(parents=True)
    (source / "a.csv").write_bytes(csv())
    (source / "sub" / "b.csv").write_bytes(csv(ROWS[:2]))
    (source / "sub" / "deeper" / "c.csv").write_bytes(csv(ROWS[2:5]))
    (source / "empty.csv").write_bytes(b"")
    (source / ".hidden").write_bytes(b"not a number")
    return source


def stored(output):
    """All files below a folder, hidden ones too, by name."""
    return {path.relative_to(output).as_posix(): path.read_bytes() for path in output.rglob("*") if path.is_file()}


def transform(source, output, model_dirs, name="kmeans", n_workers=2, **given):
    job = TransformJob(find(source, output), output, Settings(**LINES | given))
    return job.with_model(name, model_dirs[name], n_workers)


def test_every_file_has_its_output_in_the_same_place(folder, tmp_path, model_dirs):
    result = transform(folder, tmp_path / "out", model_dirs, accept="application/jsonlines")
    found = stored(tmp_path / "out")
    assert sorted(found) == ["a.csv.out", "empty.csv.out", "sub/b.csv.out", "sub/deeper/c.csv.out"]
    assert {name: body.count(b"\n") for name, body in found.items()} == {
        "a.csv.out": 120,
        "empty.csv.out": 0,
        "sub/b.csv.out": 2,
        "sub/deeper/c.csv.out": 3,
    }
    assert (result.status, result.n_records, result.n_requests) == ("Completed", 125, 3)


def test_a_file_that_fails_leaves_no_output_and_the_others_are_finished(folder, tmp_path, model_dirs):
    (folder / "b.csv").write_bytes(b"1,2,3,4\n5,6\n")
    result = transform(folder, tmp_path / "out", model_dirs)
    assert sorted(stored(tmp_path / "out")) == ["a.csv.out", "empty.csv.out", "sub/b.csv.out", "sub/deeper/c.csv.out"]
    assert result.status == "Failed"
    assert result.failures == {"b.csv": "ClientError: records 1 to 2: CSV line 2 has 2 fields, line 1 has 4"}


def test_a_failure_in_the_middle_names_its_record(tmp_path, model_dirs):
    (tmp_path / "a.csv").write_bytes(csv() + b"1,2\n" + csv())
    result = transform(tmp_path / "a.csv", tmp_path / "out", model_dirs, strategy="SingleRecord")
    assert result.failures == {
        "a.csv": "ClientError: record 121: the payload has 2 features, the model was trained on 4"
    }
    assert not (tmp_path / "out").exists()


def test_a_failure_is_found_behind_many_blocks(tmp_path, model_dirs):
    rows = b"0.250000,0.250000,0.250000,0.25000\n" * 100_000
    (tmp_path / "a.csv").write_bytes(rows + b"1,2\n" + rows)
    result = transform(tmp_path / "a.csv", tmp_path / "out", model_dirs, max_payload=1)
    place = "records 89878 to 119837: CSV line 10124 has 2 fields, line 1 has 4"
    assert result.failures == {"a.csv": f"ClientError: {place}"}


def test_order_is_kept_whoever_answers_first(tmp_path, model_dirs):
    numbers = range(1_000_000, 1_200_000)
    (tmp_path / "a.csv").write_bytes(b"".join(b"%d,0.0000000000,0.0000000000,0\n" % number for number in numbers))
    given = {"max_payload": 1, "accept": "text/csv", "join_source": "Input", "output_filter": "$[0]"}
    result = transform(tmp_path / "a.csv", tmp_path / "out", model_dirs, n_workers=2, **given)
    assert (result.status, result.n_requests) == ("Completed", 7)
    assert stored(tmp_path / "out")["a.csv.out"] == b"".join(b"%d\n" % number for number in numbers)


def test_a_former_output_is_replaced(folder, tmp_path, model_dirs):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a.csv.out").write_bytes(b"old")
    transform(folder, tmp_path / "out", model_dirs)
    assert stored(tmp_path / "out")["a.csv.out"].startswith(b'{"predictions"')


def test_a_former_output_survives_a_failure(tmp_path, model_dirs):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a.csv.out").write_bytes(b"old")
    (tmp_path / "a.csv").write_bytes(b"nonsense\n")
    transform(tmp_path / "a.csv", tmp_path / "out", model_dirs)
    assert stored(tmp_path / "out") == {"a.csv.out": b"old"}


def test_gzip_input_gives_the_output_of_plain_input(tmp_path, model_dirs):
    (tmp_path / "plain").mkdir()
    (tmp_path / "plain" / "a.csv").write_bytes(csv() * 500)
    (tmp_path / "packed").mkdir()
    (tmp_path / "packed" / "a.csv").write_bytes(gzip.compress(csv() * 500))
    transform(tmp_path / "plain", tmp_path / "out1", model_dirs, max_payload=1)
    transform(tmp_path / "packed", tmp_path / "out2", model_dirs, max_payload=1, compression_type="Gzip")
    assert stored(tmp_path / "out1") == stored(tmp_path / "out2")


def test_filters_that_do_not_fit_are_refused_before_anything_runs(folder, tmp_path, model_dirs):
    with pytest.raises(BadOption):
        transform(folder, tmp_path / "out", model_dirs, input_filter="$.name")
    assert not (tmp_path / "out").exists()


RECORDIO = {
    "content_type": "application/x-recordio-protobuf",
    "accept": "application/x-recordio-protobuf",
    "split_type": "RecordIO",
}


def protobuf() -> bytes:
    """The rows as RecordIO protobuf."""
    file = io.BytesIO()
    writer = table.writer("application/x-recordio-protobuf", file)
    writer.write(Dataset(ROWS))
    return file.getvalue()


WAYS = {
    "mini-batches of CSV": ("pca", LINES, csv() * 3),
    "single rows": ("pca", LINES | {"strategy": "SingleRecord"}, csv()),
    "JSON Lines": ("kmeans", LINES | {"accept": "application/jsonlines"}, csv()),
    "CSV with a join": ("kmeans", LINES | {"accept": "text/csv", "join_source": "Input"}, csv()),
    "RecordIO": ("pca", RECORDIO, protobuf()),
    "whole files": ("kmeans", {"content_type": "text/csv"}, csv()),
    "without a limit": ("pca", LINES | {"max_payload": 0}, csv()),
    "JSON sent as CSV": (
        "dbscan",
        LINES | {"strategy": "SingleRecord"},
        b'{"projections":[{"projection":[0,0,0,0]}]}\n' * 2,
    ),
}


@pytest.fixture(scope="module")
def urls(serve):
    """Addresses of `serve` by algorithm, each started at its first use."""
    with serve("pca") as pca, serve("kmeans") as kmeans, serve("dbscan") as dbscan:
        yield {"pca": pca, "kmeans": kmeans, "dbscan": dbscan}


@pytest.mark.parametrize(("name", "given", "content"), WAYS.values(), ids=WAYS)
def test_the_bytes_are_the_same_over_http(tmp_path, model_dirs, urls, name, given, content):
    (tmp_path / "data").write_bytes(content)
    settings = Settings(**given)
    inside, outside = (TransformJob(find(tmp_path / "data", tmp_path / way), tmp_path / way, settings) for way in "ab")
    results = inside.with_model(name, model_dirs[name], 2), outside.with_container(urls[name])
    assert results[0] == results[1]
    assert results[0].status == "Completed"
    assert stored(tmp_path / "a") == stored(tmp_path / "b")


def test_a_failure_says_the_same_over_http(tmp_path, urls):
    (tmp_path / "data").write_bytes(b"1,2,3,4\n1,2\n")
    job = TransformJob(find(tmp_path / "data", tmp_path / "out"), tmp_path / "out", Settings(**LINES))
    reason = job.with_container(urls["kmeans"]).failures["data"]
    assert reason.startswith("ClientError: records 1 to 2: 400: {")
    assert "CSV line 2 has 2 fields, line 1 has 4" in reason


PRECEDENCE = {
    "the job's word comes first": ({"strategy": "MultiRecord"}, b'{"BatchStrategy":"SINGLE_RECORD"}', 1),
    "then the container's": ({}, b'{"BatchStrategy":"SINGLE_RECORD"}', 3),
    "then the defaults": ({}, b"{}", 1),
    "0 transforms leave it to the container": ({"max_concurrent_transforms": 0}, b'{"MaxConcurrentTransforms":3}', 1),
}


@pytest.mark.parametrize(("given", "offered", "n_requests"), PRECEDENCE.values(), ids=PRECEDENCE)
def test_settings_are_the_jobs_then_the_containers_then_the_defaults(tmp_path, given, offered, n_requests):
    (tmp_path / "data").write_bytes(b"1\n2\n3\n")
    script = {"/ping": [(200, b"")], "/execution-parameters": [(200, offered)], "/invocations": [(200, b"ok")]}
    with serving(script) as (url, seen):
        job = TransformJob(find(tmp_path / "data", tmp_path / "out"), tmp_path / "out", Settings(**LINES | given))
        assert job.with_container(url).n_requests == n_requests
    assert [path for path, *_ in seen][:2] == ["/ping", "/execution-parameters"]
    assert job.settings.max_concurrent_transforms == json.loads(offered).get("MaxConcurrentTransforms", 1)


def test_a_container_that_fails_is_the_algorithms_error(tmp_path):
    (tmp_path / "data").write_bytes(b"1\n2\n")
    script = {"/ping": [(200, b"")], "/invocations": [(500, b"oh dear")]}
    with serving(script) as (url, _):
        job = TransformJob(find(tmp_path / "data", tmp_path / "out"), tmp_path / "out", Settings(**LINES, retries=0))
        result = job.with_container(url)
    assert result.failures == {
        "data": "AlgorithmError: records 1 to 2: bad HTTP status received from algorithm: 500: oh dear (after 1 tries)"
    }


def test_as_many_requests_are_under_way_at_once_as_the_job_says(tmp_path):
    (tmp_path / "data").write_bytes(b"1\n" * 1_500_000)
    together = threading.Barrier(3)

    def answer(body):
        together.wait(10)  # breaks unless three requests are there at once
        return 200, b"ok\n"

    with serving({"/ping": [(200, b"")], "/invocations": [answer]}) as (url, _):
        settings = Settings(**LINES, max_payload=1, max_concurrent_transforms=3)
        result = TransformJob(find(tmp_path / "data", tmp_path / "out"), tmp_path / "out", settings).with_container(url)
    assert (result.status, result.n_requests, result.n_records) == ("Completed", 3, 1_500_000)


@pytest.mark.parametrize("signal_number", [signal.SIGTERM, signal.SIGINT])
def test_a_job_that_is_stopped_stores_nothing(tmp_path, signal_number):
    source = tmp_path / "in"
    source.mkdir()
    for name in "ab":
        (source / name).write_bytes(b"1\n")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a.out").write_bytes(b"old")

    def slow(body):
        time.sleep(3)
        return 200, b"late"

    with serving({"/ping": [(200, b"")], "/invocations": [(200, b"new"), slow]}) as (url, seen):
        command = [*BYOA, "transform", source, tmp_path / "out", "--url", url]
        process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        until = time.monotonic() + 20
        while len([path for path, *_ in seen if path == "/invocations"]) < 2 and time.monotonic() < until:
            time.sleep(0.02)
        started = time.monotonic()
        process.send_signal(signal_number)
        error = process.communicate(timeout=20)[1]
        assert time.monotonic() - started < 2.5
    assert error.endswith("byoa: the job was stopped; nothing is stored\n")
    assert process.returncode == 1
    assert stored(tmp_path / "out") == {"a.out": b"old"}


def test_workers_end_with_their_job(tmp_path, model_dirs):
    (tmp_path / "a.csv").write_bytes(csv() * 20_000)
    command = [*BYOA, "transform", model_dirs["kmeans"], tmp_path / "a.csv", tmp_path / "out"]
    process = subprocess.Popen(
        [*command, "--algorithm", "kmeans", "--split-type", "Line", "--strategy", "SingleRecord"]
    )
    until = time.monotonic() + 20
    while not (children := _children(process.pid)) and time.monotonic() < until:
        time.sleep(0.02)
    process.kill()
    process.wait()
    while any(os.path.exists(f"/proc/{child}") for child in children) and time.monotonic() < until:
        time.sleep(0.02)
    assert not any(os.path.exists(f"/proc/{child}") for child in children)


def _children(pid):
    with open(f"/proc/{pid}/task/{pid}/children") as file:
        return file.read().split()


@pytest.mark.parametrize("compression", ["None", "Gzip"])
def test_memory_does_not_grow_with_the_file(tmp_path, compression):
    opened = gzip.open if compression == "Gzip" else open
    with opened(tmp_path / "data", "wb") as file:
        for _ in range(64):
            file.write(b"0.123456,0.123456\n" * (MEBIBYTE // 18))
    settings = resolved(Settings(split_type="Line", compression_type=compression, max_payload=2), {})
    tracemalloc.start()
    n_bytes = sum(block.length for block in records.blocks(tmp_path / "data", settings))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert n_bytes == 64 * (MEBIBYTE // 18) * 18
    assert peak < 12 * MEBIBYTE
