"""Channels as a job lays them out, in File and in Pipe mode."""

import contextlib
import gzip
import itertools
import os
import threading
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from toolkit import channels
from toolkit.channels import Passes, mini_batches
from toolkit.dataset import Dataset, Sparse
from toolkit.environment import Input
from toolkit.errors import BadChannel, BadContentType, BadPayload
from toolkit.files import data_files
from toolkit.formats import framing, table

RECORDIO = "application/x-recordio-protobuf"
CSV = "text/csv;label_size=0"


def two(n_features: int) -> int:
    return 2


def read(channel: Input, rows_per_batch=two, **options):
    return [(key, data.dense().X.tolist()) for key, data in mini_batches(channel, rows_per_batch, **options)]


@pytest.fixture
def train(tmp_path) -> Path:
    folder = tmp_path / "train"
    folder.mkdir()
    return folder


def test_files_come_in_the_order_of_their_keys_with_sub_folders(train):
    for name in ("b.csv", "a.csv", "c/a.csv", "a/z.csv", ".hidden", ".folder/a.csv", "_SUCCESS", "x-manifest", "c/_a"):
        (train / name).parent.mkdir(exist_ok=True)
        (train / name).touch()
    (train.parent / "train-manifest").touch()
    assert [str(path.relative_to(train)) for path in data_files(train)] == ["a.csv", "a/z.csv", "b.csv", "c/a.csv"]
    assert data_files(train / "b.csv") == [train / "b.csv"]


def test_a_mini_batch_never_mixes_files(train):
    (train / "a.csv").write_text("1,2\n3,4\n5,6")
    (train / "b.csv").write_text("7,8\n")
    expected = [((0, 0), [[1, 2], [3, 4]]), ((0, 1), [[5, 6]]), ((1, 0), [[7, 8]])]
    assert read(Input("train", train, CSV)) == expected


def test_mini_batches_have_the_asked_rows_however_blocks_are_cut(train, monkeypatch):
    X = np.arange(400, dtype=np.float32).reshape(100, 4)
    (train / "a.csv").write_text("".join(",".join(map(str, row)) + "\n" for row in X.tolist()))
    for block_bytes in (50, 777, 100_000):
        monkeypatch.setattr("toolkit.formats.readers.BlockReader.stream.__defaults__", (block_bytes,))
        parts = [data for _, data in mini_batches(Input("train", train, CSV), lambda n_features: 7 * n_features)]
        assert [len(part) for part in parts] == [28, 28, 28, 16]
        np.testing.assert_array_equal(np.concatenate([part.X for part in parts]), X)


def test_a_gzip_file_is_recognised_by_its_content(train):
    (train / "a.csv").write_bytes(gzip.compress(b"1,2\n"))
    (train / "b.csv.gz").write_bytes(b"3,4\n")
    assert read(Input("train", train, CSV)) == [((0, 0), [[1, 2]]), ((1, 0), [[3, 4]])]


@pytest.mark.parametrize("content_type", table.WRITERS)
def test_every_format_streams_from_a_channel(train, content_type):
    X = np.random.default_rng(0).random((50, 3), np.float32)
    table.write([Dataset(X)], train / "a", content_type)
    (train / "b").write_bytes(gzip.compress((train / "a").read_bytes()))
    parts = [data.dense().X for _, data in mini_batches(Input("train", train, content_type), lambda n: 20, 0)]
    assert [len(part) for part in parts] == [20, 20, 10] * 2
    np.testing.assert_array_equal(np.concatenate(parts), np.concatenate([X, X]))


def test_labels_lead_where_the_content_type_does_not_say(train):
    (train / "a.csv").write_text("1,2,3\n")
    ((_, data),) = mini_batches(Input("train", train, "text/csv"), two)
    assert (data.X.tolist(), data.y.tolist()) == ([[2, 3]], [1])


def test_files_without_rows_are_no_rows(train):
    (train / "a.csv").touch()
    (train / "b.csv").write_text("1,2\n")
    assert read(Input("train", train, CSV)) == [((1, 0), [[1, 2]])]


@pytest.mark.parametrize("files", [[], ["a.csv"], ["_SUCCESS"], [".a.csv"]])
def test_an_empty_channel(train, files):
    for name in files:
        (train / name).touch()
    with pytest.raises(BadChannel) as raised:
        read(Input("train", train, CSV))
    assert str(raised.value) == f"channel 'train' is empty: {train}; the S3 prefix in the job is usually wrong"


def test_a_missing_folder_is_an_empty_channel(tmp_path):
    with pytest.raises(BadChannel) as raised:
        read(Input("test", tmp_path / "test", CSV))
    assert str(raised.value).startswith(f"channel 'test' is empty: {tmp_path / 'test'}; ")


ERRORS = {
    "a ragged row": (b"1,2\n3\n", "CSV line 2 has 1 field, line 1 has 2"),
    "gzip cut short": (gzip.compress(b"1,2\n" * 99)[:-9], "the gzip file is damaged: "),
    "no gzip": (b"\x1f\x8bx", "the gzip file is damaged: "),
}


@pytest.mark.parametrize(("body", "message"), ERRORS.values(), ids=ERRORS)
def test_an_error_has_the_file_in_front(train, body, message):
    (train / "a.csv").write_bytes(b"9,9\n" * 3)
    (train / "b.csv").write_bytes(body)
    with pytest.raises(BadPayload) as raised:
        read(Input("train", train, CSV))
    assert str(raised.value).startswith(f"{train}/b.csv: {message}")


def test_an_unknown_content_type_has_the_channel_in_front(train):
    (train / "a.csv").touch()
    for content_type, message in {
        "image/png": "content type 'image/png' is not supported; supported are text/csv, ",
        "text/csv;label_size=x": "content type parameter 'label_size' must be an integer of at least 0; got 'x'",
    }.items():
        with pytest.raises(BadContentType) as raised:
            read(Input("train", train, content_type))
        assert str(raised.value).startswith(f"channel 'train': {message}")


def test_files_of_unequal_width(train):
    (train / "a.csv").write_text("1,2\n")
    (train / "b.csv").write_text("1,2,3\n")
    with pytest.raises(BadPayload) as raised:
        read(Input("train", train, CSV))
    assert str(raised.value) == f"{train}/b.csv: the rows have 3 features; those before have 2"


def test_files_of_which_one_alone_has_labels(train):
    for name, labels in (("a", None), ("b", np.ones(2, np.float32))):
        table.write([Dataset(np.eye(2, dtype=np.float32), labels)], train / name, RECORDIO)
    with pytest.raises(BadPayload) as raised:
        read(Input("train", train, RECORDIO))
    assert str(raised.value) == f"{train}/b: the rows have 1 labels; those before have 0"


def test_the_widest_line_of_all_files_says_how_wide_libsvm_is(train):
    (train / "a").write_text("1 1:5\n")
    (train / "b").write_text("1 1:6\n0 3:7\n")
    channel = Input("train", train, "text/libsvm")
    assert read(channel) == [((0, 0), [[5, 0, 0]]), ((1, 0), [[6, 0, 0], [0, 0, 7]])]
    assert read(channel, n_features=4)[0] == ((0, 0), [[5, 0, 0, 0]])


def test_progress_is_told_of_all_bytes_on_disk(train):
    (train / "a.csv").write_bytes(b"1,2\n" * 1000)
    (train / "b.csv").write_bytes(gzip.compress(b"1,2\n" * 1000))
    told = []
    read(Input("train", train, CSV), lambda n: 100, progress=told.append)
    assert sum(told) == sum(path.stat().st_size for path in train.iterdir())


class Feeder:
    """Feeds the FIFOs of a channel as SageMaker does, an epoch behind the other, until the reader wants no more."""

    def __init__(self, folder: Path, *epochs: bytes):
        self.fifos = [folder.with_name(f"{folder.name}_{epoch}") for epoch in range(len(epochs))]
        self.epochs = epochs
        self.thread = threading.Thread(target=self.feed, daemon=True)
        self.thread.start()

    def feed(self):
        for fifo, content in zip(self.fifos, self.epochs, strict=True):
            os.mkfifo(fifo)
            with contextlib.suppress(BrokenPipeError):
                fifo.write_bytes(content)


def test_pipe_mode_reads_an_epoch_s_fifo(train):
    Feeder(train, b"1,2\n3,4\n5,6\n")
    channel = Input("train", train, CSV, "Pipe")
    assert read(channel) == [((0, 0), [[1, 2], [3, 4]]), ((0, 1), [[5, 6]])]


def test_every_pass_reads_the_next_epoch(train):
    Feeder(train, b"1,2\n3,4\n", b"5,6\n7,8\n", b"9,9\n")
    batches = Passes(Input("train", train, CSV, "Pipe"), two, held_bytes=0)
    assert batches.n_features == 2
    passes = [np.concatenate([data.X for _, data in batches]).tolist() for _ in range(3)]
    assert passes == [[[1, 2], [3, 4]], [[5, 6], [7, 8]], [[9, 9]]]


def test_recordio_in_pipe_mode(train):
    X = np.random.default_rng(0).random((50, 3), np.float32)
    table.write([Dataset(X)], train / "a", RECORDIO)
    Feeder(train, (train / "a").read_bytes())
    for_all = Input("train", train, RECORDIO, "Pipe", "RecordIO")  # the records are the format's own
    parts = [data.X for _, data in mini_batches(for_all, lambda n: 20)]
    np.testing.assert_array_equal(np.concatenate(parts), X)


def test_objects_wrapped_in_records_are_files(train):
    Feeder(train, framing.frame(b"1,2\n3,4\n5,6") + framing.frame(b"7,8") + framing.frame(b"x"))
    batches = mini_batches(Input("train", train, CSV, "Pipe", "RecordIO"), two)
    found = [(key, data.X.tolist()) for key, data in itertools.islice(batches, 3)]
    assert found == [((0, 0), [[1, 2], [3, 4]]), ((0, 1), [[5, 6]]), ((1, 0), [[7, 8]])]
    with pytest.raises(BadPayload) as raised:
        next(batches)
    message = "CSV line 1 field 1 must be a finite number; got 'x'; the format has no header line"
    assert str(raised.value) == f"{train}_0 object 3: {message}"


def test_a_fifo_that_never_comes(train, monkeypatch):
    monkeypatch.setattr(channels, "FIFO_SECONDS", 0.2)
    with pytest.raises(BadChannel) as raised:
        read(Input("train", train, CSV, "Pipe"))
    assert str(raised.value) == f"channel 'train' must have the FIFO {train}_0; none came in 0.2 s"


def test_an_unknown_content_type_is_told_before_the_fifo_is_there(train):
    with pytest.raises(BadContentType) as raised:
        read(Input("train", train, "text csv", "Pipe", "RecordIO"), n_features=2)
    assert str(raised.value).startswith("channel 'train': content type 'text csv' is not supported; ")


def test_libsvm_in_pipe_mode_needs_its_width(train):
    with pytest.raises(BadChannel) as raised:
        read(Input("train", train, "text/libsvm", "Pipe"))
    wanted = "in Pipe mode its width must be known before: set the hyperparameter 'feature_dim'"
    assert str(raised.value) == f"channel 'train' has content type 'text/libsvm'; {wanted}"
    Feeder(train, b"1 1:5\n0 2:6\n")
    assert read(Input("train", train, "text/libsvm", "Pipe"), n_features=3) == [((0, 0), [[5, 0, 0], [0, 6, 0]])]


@pytest.mark.parametrize("content_type", [CSV, "application/jsonlines", RECORDIO, "text/libsvm"])
def test_memory_does_not_grow_with_the_channel(train, content_type):
    X = np.random.default_rng(0).random((2000, 50), np.float32)
    table.write([Dataset(X)] * 10, train / "a", content_type)
    peaks = []
    for n_files in (2, 8):
        for place in range(1, n_files):
            (train / f"a{place}").write_bytes((train / "a").read_bytes())
        tracemalloc.start()
        n_rows = sum(
            len(data) for _, data in Passes(Input("train", train, content_type), lambda n: 1000, 0, held_bytes=0)
        )
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert n_rows == 20_000 * n_files
    assert peaks[1] < 1.1 * peaks[0]


def test_what_fits_is_read_once(train):
    (train / "a.csv").write_text("1,2\n3,4\n5,6\n")
    batches = Passes(Input("train", train, CSV), two)
    assert batches.n_features == 2
    first = [(key, data.X.tolist()) for key, data in batches]
    (train / "a.csv").unlink()
    assert [(key, data.X.tolist()) for key, data in batches] == first
    assert batches.dataset().X.tolist() == [[1, 2], [3, 4], [5, 6]]
    assert batches.n_features == 2


def test_what_does_not_fit_is_read_again(train):
    (train / "a.csv").write_text("1,2\n3,4\n5,6\n")
    batches = Passes(Input("train", train, CSV), two, held_bytes=16)
    assert len(list(batches)) == 2
    (train / "a.csv").write_text("7,8\n")
    assert [data.X.tolist() for _, data in batches] == [[[7, 8]]]


def test_the_width_of_libsvm_is_looked_for_once(train):
    (train / "a").write_text("1 1:5\n0 3:6\n")
    batches = Passes(Input("train", train, "text/libsvm"), two, held_bytes=0)
    assert batches.n_features == 3
    (train / "a").write_text("1 1:5\n0 4:6\n")
    assert len(list(batches)) == 1  # what n_features has begun
    with pytest.raises(BadPayload) as raised:
        list(batches)
    assert str(raised.value) == f"{train}/a: libsvm line 2 has index 4; of 3 features the last is 3"


def test_a_pass_left_early_is_not_taken_for_the_whole(train):
    (train / "a.csv").write_text("1,2\n3,4\n5,6\n")
    batches = Passes(Input("train", train, CSV), two)
    next(iter(batches))
    assert len(batches.dataset()) == 3


def test_passes_are_dense_and_the_dataset_is_as_it_was(train):
    (train / "a").write_text("1 1:5\n0 3:6\n")
    batches = Passes(Input("train", train, "text/libsvm"), two)
    ((_, data),) = batches
    assert data.X.tolist() == [[5, 0, 0], [0, 0, 6]]
    assert isinstance(batches.dataset().X, Sparse)
