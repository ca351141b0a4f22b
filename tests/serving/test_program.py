"""The `serve` program from start to end: options and variables, models that cannot be, stopping, strange places."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import pytest
from running import ROOT, free_port, run_to_the_end, serving, started, starting, wait_until_ready

from toolkit import ndarrays

ROW = b"0.1,0.2,0.3,0.4\n"


def error_line(finished):
    return finished.stderr.splitlines()[-1]


def first_ping(running):
    """The status and the body of the first ping that is answered."""
    while True:
        try:
            reply = running.ask("GET", "/ping")
            return reply.status, reply.json
        except OSError:
            assert running.process.poll() is None, running.log()
            time.sleep(0.01)


def test_a_missing_model_is_one_sentence_and_status_1(tmp_path):
    finished = run_to_the_end("kmeans", tmp_path)
    assert finished.returncode == 1
    assert error_line(finished).startswith(f"serve: {tmp_path}/model_algo-1 ")
    assert "Traceback" not in finished.stderr


def test_a_truncated_model_is_one_sentence_and_status_1(tmp_path, kmeans_dir):
    whole = (kmeans_dir / "model_algo-1").read_bytes()
    (tmp_path / "model_algo-1").write_bytes(whole[:-10])
    finished = run_to_the_end("kmeans", tmp_path)
    assert finished.returncode == 1
    assert error_line(finished).startswith(f"serve: {tmp_path}/model_algo-1 ")


def test_another_algorithms_model_is_told(pca_dir):
    finished = run_to_the_end("kmeans", pca_dir)
    assert finished.returncode == 1
    assert "must hold 1 array without names; it holds mean (1, 4)" in error_line(finished)


def test_an_unknown_algorithm_is_told_the_nearest(kmeans_dir):
    finished = run_to_the_end("kmean", kmeans_dir)
    assert (finished.returncode, error_line(finished)) == (
        1,
        "serve: unknown algorithm 'kmean'; did you mean 'kmeans'?",
    )


def test_a_plugin_that_cannot_be_imported_is_told_with_its_trace_before(tmp_path, misbehaving):
    broken = tmp_path / "broken"
    shutil.copytree(misbehaving, broken)
    (broken / "misbehaving.py").write_text("import no_such_library\n")
    finished = run_to_the_end("misbehaving", broken, PYTHONPATH=broken)
    must = "serve: ModuleNotFoundError: No module named 'no_such_library'"
    assert (finished.returncode, error_line(finished)) == (1, must)
    assert "Traceback" in finished.stderr


def test_help_names_every_variable_that_is_read():
    finished = subprocess.run(
        [sys.executable, "-m", "toolkit.serving.program", "--help"], capture_output=True, text=True
    )
    source = (ROOT / "toolkit" / "environment.py").read_text()
    names = set(re.findall(r'"((?:SAGEMAKER|MODEL_SERVER|SERVER)_[A-Z_]+|MAX_CONTENT_LENGTH|ALGORITHM)"', source))
    assert len(names) > 12
    assert {name for name in names if name not in finished.stdout} == set()


def test_a_port_that_is_taken_is_told(kmeans_dir):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        finished = run_to_the_end("kmeans", kmeans_dir, port=port)
    must = f"serve: the server must be able to listen on 127.0.0.1:{port}; address already in use"
    assert (finished.returncode, error_line(finished)) == (1, must)


def test_a_variable_that_cannot_be_is_told(kmeans_dir):
    finished = run_to_the_end("kmeans", kmeans_dir, MODEL_SERVER_WORKERS="many")
    must = "serve: variable MODEL_SERVER_WORKERS must be a whole number of at least 1; got 'many'"
    assert (finished.returncode, error_line(finished)) == (1, must)


def test_in_a_container_variables_say_everything(tmp_path, kmeans_dir):
    shutil.copytree(kmeans_dir, tmp_path / "ml" / "model")
    variables = {"ALGORITHM": "kmeans", "MODEL_SERVER_WORKERS": 1, "SAGEMAKER_BATCH": "True"}
    port = free_port()
    variables["SAGEMAKER_BIND_TO_PORT"] = port
    program = [sys.executable, "-m", "toolkit.serving.program", "--opt-ml", str(tmp_path / "ml")]
    with started(tmp_path, program, port, **variables) as running:
        wait_until_ready(running)
        assert running.post(ROW).status == 200
        parameters = {"MaxConcurrentTransforms": 1, "BatchStrategy": "MULTI_RECORD", "MaxPayloadInMB": 6}
        assert running.ask("GET", "/execution-parameters").json == parameters


def test_the_variables_of_a_transform_job_come_back_as_execution_parameters(tmp_path, kmeans_dir):
    variables = {"SAGEMAKER_BATCH": "true", "SAGEMAKER_MAX_PAYLOAD_IN_MB": 9}
    variables |= {"SAGEMAKER_BATCH_STRATEGY": "SingleRecord", "SAGEMAKER_MAX_CONCURRENT_TRANSFORMS": 3}
    with serving(tmp_path, "kmeans", kmeans_dir, "--workers", "1", **variables) as running:
        parameters = {"MaxConcurrentTransforms": 3, "BatchStrategy": "SINGLE_RECORD", "MaxPayloadInMB": 9}
        assert running.ask("GET", "/execution-parameters").json == parameters


def test_the_number_of_workers_is_explained_in_one_line(tmp_path, kmeans_dir):
    with serving(tmp_path, "kmeans", kmeans_dir, MODEL_SERVER_WORKERS=3) as running:
        (line,) = [line for line in running.log().splitlines() if " workers (" in line]
        assert "3 workers (MODEL_SERVER_WORKERS): processors " in line
        assert len(running.wait_for_workers(3)) == 3


def test_neither_scipy_nor_scikit_learn_is_imported(tmp_path, kmeans_dir, pca_dir):
    for algorithm, model_dir in (("kmeans", kmeans_dir), ("pca", pca_dir)):
        with serving(tmp_path, algorithm, model_dir, "--workers", "1") as running:
            assert running.post(ROW).status == 200
            (worker,) = running.workers()
            with open(f"/proc/{worker}/maps") as maps:
                loaded = maps.read()
            assert "/numpy/" in loaded
            assert "/scipy/" not in loaded
            assert "/sklearn/" not in loaded


def test_a_request_that_runs_at_sigterm_is_answered_and_the_program_ends_well(tmp_path, misbehaving):
    with serving(tmp_path, "misbehaving", misbehaving, "--workers", "1", PYTHONPATH=misbehaving) as running:
        with running.connect() as idle:
            replies = []
            thread = threading.Thread(target=lambda: replies.append(running.post(b"1,1.5\n")))
            thread.start()
            time.sleep(0.3)
            start = time.monotonic()
            assert running.stop() == 0
            assert time.monotonic() - start < 10
            thread.join()
            assert idle.recv(1) == b""
        assert replies[0].status == 200
        assert replies[0].headers["Connection"] == "close"


def test_a_request_on_a_connection_that_no_worker_has_taken_at_sigterm_is_answered(tmp_path, kmeans_dir):
    with serving(tmp_path, "kmeans", kmeans_dir, "--workers", "1") as running:
        (worker,) = running.workers()
        os.kill(worker, signal.SIGSTOP)
        waiting = [running.connect() for _ in range(5)]
        try:
            for connection in waiting:
                connection.sendall(b"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Length: 16\r\n")
                connection.sendall(b"Content-Type: text/csv\r\n\r\n" + ROW)
            running.process.send_signal(signal.SIGTERM)
            time.sleep(0.3)  # for the signal to reach the worker, which cannot act on it
            os.kill(worker, signal.SIGCONT)
            assert [connection.recv(15) for connection in waiting] == [b"HTTP/1.1 200 OK"] * 5
        finally:
            for connection in waiting:
                connection.close()
        assert running.process.wait(timeout=10) == 0


def test_a_second_sigterm_hurries_nothing(tmp_path, misbehaving):
    with serving(tmp_path, "misbehaving", misbehaving, "--workers", "1", PYTHONPATH=misbehaving) as running:
        replies = []
        thread = threading.Thread(target=lambda: replies.append(running.post(b"1,1.5\n")))
        thread.start()
        time.sleep(0.3)
        running.process.send_signal(signal.SIGTERM)
        time.sleep(0.3)
        assert running.stop() == 0
        thread.join()
        assert replies[0].status == 200


def test_a_second_server_can_take_the_port_at_once(tmp_path, kmeans_dir):
    with serving(tmp_path, "kmeans", kmeans_dir, "--workers", "1") as running:
        running.post(ROW)
        running.stop()
        with serving(tmp_path, "kmeans", kmeans_dir, "--workers", "1", port=running.port) as again:
            assert again.post(ROW).status == 200


def test_a_worker_that_dies_is_replaced(tmp_path, kmeans_dir):
    with serving(tmp_path, "kmeans", kmeans_dir, "--workers", "2") as running:
        before = running.wait_for_workers(2)
        os.kill(before[0], signal.SIGKILL)
        running.wait_for_workers(1, without=before)
        assert {running.post(ROW).status for _ in range(10)} == {200}
        assert len(running.workers()) == 2


def test_a_signal_that_means_nothing_costs_nothing(tmp_path, kmeans_dir):
    with serving(tmp_path, "kmeans", kmeans_dir, "--workers", "1") as running:
        (worker,) = running.workers()

        def cpu():
            with open(f"/proc/{worker}/stat") as stat:
                fields = stat.read().rpartition(")")[2].split()
            return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

        os.kill(worker, signal.SIGUSR1)
        before = cpu()
        time.sleep(1)
        assert cpu() - before < 0.3
        assert running.post(ROW).status == 200


def test_connections_are_shared_out_evenly(tmp_path, kmeans_dir):
    with serving(tmp_path, "kmeans", kmeans_dir, "--workers", "2") as running:
        running.wait_for_workers(2)
        kept = [running.connect() for _ in range(10)]
        try:
            for connection in kept:
                connection.sendall(b"GET /ping HTTP/1.1\r\nHost: x\r\n\r\n")
                assert connection.recv(4096).startswith(b"HTTP/1.1 200 OK")
            counts = [len(os.listdir(f"/proc/{pid}/task")) - 1 for pid in running.workers()]
            assert sorted(counts) == [5, 5]
        finally:
            for connection in kept:
                connection.close()


def test_a_probe_before_the_model_is_loaded_hears_that_it_starts(tmp_path, misbehaving):
    slow = tmp_path / "slow"
    shutil.copytree(misbehaving, slow)
    (slow / "misbehaving.py").write_text("import time; time.sleep(1)\n" + (misbehaving / "misbehaving.py").read_text())
    with starting(tmp_path, "misbehaving", slow, PYTHONPATH=slow) as running:
        assert first_ping(running) == (503, {"status": "starting"})
        wait_until_ready(running)


def test_sigterm_while_the_model_is_loaded_ends_the_program_well(tmp_path, misbehaving):
    slow = tmp_path / "slow"
    shutil.copytree(misbehaving, slow)
    (slow / "misbehaving.py").write_text("import time; time.sleep(30)\n")
    with starting(tmp_path, "misbehaving", slow, PYTHONPATH=slow) as running:
        assert first_ping(running)[0] == 503
        assert running.stop() == 0


def test_a_probe_hears_why_a_model_cannot_be_loaded(tmp_path):
    reason = f"{tmp_path}/model_algo-1 cannot be read: No such file or directory"
    with starting(tmp_path, "kmeans", tmp_path) as running:
        while (heard := first_ping(running)) == (503, {"status": "starting"}):
            time.sleep(0.01)
        assert heard == (500, {"status": "broken", "reason": reason})
        assert running.process.wait(timeout=10) == 1
        assert running.log().splitlines()[-1] == f"serve: {reason}"


def test_the_model_of_an_ndarray_list_is_served_as_it_is(tmp_path, kmeans_dir):
    (centroids,) = ndarrays.read(kmeans_dir / "model_algo-1")
    ndarrays.write(tmp_path / "model_algo-1", [centroids[:1]])
    with serving(tmp_path, "kmeans", tmp_path, "--workers", "1") as running:
        (prediction,) = running.post(ROW).json["predictions"]
        assert prediction["closest_cluster"] == 0


def test_memory_does_not_grow_with_requests_of_every_size(tmp_path, kmeans_dir):
    sizes = [1, 10, 1000, 20_000]
    with serving(tmp_path, "kmeans", kmeans_dir, "--workers", "1") as running:
        (worker,) = running.workers()

        def resident():
            with open(f"/proc/{worker}/status") as status:
                return next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))

        def ask_all():
            for size in sizes:
                assert running.post(ROW * size).status == 200
                assert running.post(b"1,2\n" * size).status == 400

        for _ in range(5):
            ask_all()
        before = resident()
        for _ in range(30):
            ask_all()
        assert resident() < before + 2_000


def test_metrics_count_over_all_workers(tmp_path, kmeans_dir):
    pytest.importorskip("prometheus_client")
    with serving(tmp_path, "kmeans", kmeans_dir, "--workers", "2", SERVER_METRICS="true") as running:
        for _ in range(10):
            running.post(ROW * 3)
        running.post(b"1\n")
        running.ask("GET", "/made/up")
        lines = running.ask("GET", "/metrics").body.decode().splitlines()
        counts = dict(line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
        assert float(counts["byoa_rows_total"]) == 30
        assert float(counts['byoa_requests_total{path="/invocations",status="200"}']) == 10
        assert float(counts['byoa_requests_total{path="/invocations",status="400"}']) == 1
        assert float(counts['byoa_requests_total{path="other",status="404"}']) == 1
        assert float(counts['byoa_request_seconds_count{path="/invocations"}']) == 11


def test_pings_are_logged_where_asked_and_requests_are_not_where_not(tmp_path, kmeans_dir):
    variables = {"SERVER_LOG_PINGS": "true", "SERVER_LOG_REQUESTS": "false"}
    with serving(tmp_path, "kmeans", kmeans_dir, "--workers", "1", **variables) as running:
        running.post(ROW)
        assert {line["path"] for line in running.requests()} == {"/ping"}


needs_root = pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("unshare"), reason="needs root and unshare")


@pytest.fixture
def folder_of_all():
    """A folder that every user can read; pytest's own belong to one."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        yield Path(folder)


@needs_root
def test_a_read_only_root_and_user_1000_are_enough(tmp_path, kmeans_dir, folder_of_all):
    """All file systems but /dev/shm and /proc are read-only, the user is 1000 and HOME is unset."""
    script = (
        "mount -o remount,bind,ro / && mount | grep -v -e ' /proc' -e ' /dev' -e ' /sys' | cut -d' ' -f3 |"
        ' while read -r place; do mount -o remount,bind,ro "$place" 2>/dev/null || true; done;'
        ' ! touch /tmp/it-can-write 2>/dev/null && exec setpriv --reuid 1000 --regid 1000 --clear-groups "$@"'
    )
    shutil.copy(kmeans_dir / "model_algo-1", folder_of_all)
    before = ["unshare", "--mount", "sh", "-c", script, "sh"]
    with serving(tmp_path, "kmeans", folder_of_all, before=before) as running:
        assert running.post(ROW).status == 200
        with open(f"/proc/{running.workers()[0]}/status") as status:
            assert "Uid:\t1000\t1000\t1000\t1000\n" in status.readlines()
        assert running.stop() == 0
    assert json.loads(running.log().splitlines()[-1])["status"] == 200
