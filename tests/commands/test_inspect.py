"""`byoa inspect`: what is in an archive, and whether an algorithm would load it."""

import io
import tarfile

import numpy as np
import pytest
from click.testing import CliRunner

from toolkit import archive, ndarrays
from toolkit.commands.inspect import command
from toolkit.errors import BadArtifact, BadOption


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "model").mkdir()
    ndarrays.write(tmp_path / "model" / "model_algo-1", [np.ones((3, 4), np.float32)])
    return tmp_path / "model"


def packed(folder, name="model.tar.gz"):
    archive.pack(folder, folder.parent / name)
    return folder.parent / name


def inspect(*words):
    run = CliRunner().invoke(command, [str(word) for word in words])
    if run.exception and not isinstance(run.exception, SystemExit):
        raise run.exception
    return run.exit_code, run.output


def test_files_and_arrays_are_shown(folder):
    (folder / "notes.json").write_text("{}")
    path = packed(folder)
    n_bytes = (folder / "model_algo-1").stat().st_size
    assert inspect(path) == (
        0,
        f"{path}: 2 files, {n_bytes + 2:,} bytes unpacked\n"
        f"  model_algo-1  {n_bytes:,} bytes  one without a name float32 (3, 4)\n"
        "  notes.json  2 bytes  JSON\n",
    )


def test_named_arrays_are_shown_by_name(folder):
    ndarrays.write(folder / "model_algo-1", {"mean": np.ones((1, 4)), "s": np.ones(2, np.float32)})
    assert "mean float64 (1, 4); s float32 (2,)\n" in inspect(packed(folder))[1]


def test_an_algorithm_that_loads_the_model(folder):
    status, output = inspect(packed(folder), "--algorithm", "kmeans")
    assert (status, output.splitlines()[-1]) == (0, "kmeans loads it")


def test_an_algorithm_that_does_not_load_the_model(folder):
    status, output = inspect(packed(folder), "--algorithm", "pca")
    reason = "pca does not load it: model_algo-1 must hold the arrays mean, v, s; it holds 1 without names"
    assert (status, output.splitlines()[-1]) == (1, reason)


def test_a_leading_folder_is_said_with_the_way_to_repack(folder, tmp_path):
    folder.rename(tmp_path / "my model")
    outer = tmp_path / "outer"
    outer.mkdir()
    (tmp_path / "my model").rename(outer / "my model")
    path = packed(outer)
    status, output = inspect(path, "--algorithm", "kmeans")
    assert status == 1
    assert output.splitlines()[-3:] == [
        "kmeans does not load it: model_algo-1 cannot be read: No such file or directory",
        "every file is in the folder 'my model', where SageMaker's containers look at the archive's top",
        f"repack: mkdir unpacked && tar -xzf {path} -C unpacked && tar -czf {path} -C 'unpacked/my model' .",
    ]


def test_the_way_to_repack_works(folder, tmp_path):
    import subprocess

    outer = tmp_path / "outer"
    outer.mkdir()
    folder.rename(outer / "it's; echo")
    path = packed(outer)
    repack = inspect(path)[1].splitlines()[-1].removeprefix("repack: ")
    subprocess.run(repack, shell=True, check=True, cwd=tmp_path)
    assert inspect(path, "--algorithm", "kmeans")[0] == 0


def test_a_folder_is_inspected_as_it_is(folder):
    assert inspect(folder, "--algorithm", "kmeans")[0] == 0


def test_a_pickle_is_named_and_not_loaded(folder):
    (folder / "model.pkl").write_bytes(b"\x80\x04K\x01.")
    words = "a pickle, which would run code where it is loaded; nothing here loads it"
    assert f"model.pkl  5 bytes  {words}\n" in inspect(packed(folder))[1]


def test_a_name_cannot_write_to_the_terminal(folder):
    (folder / "a\x1b[2Jb").write_text("")
    assert "  'a\\x1b[2Jb'  0 bytes" in inspect(packed(folder))[1]


def test_an_unsafe_archive_is_refused(tmp_path):
    path = tmp_path / "model.tar.gz"
    with tarfile.open(path, "w:gz") as made:
        made.addfile(tarfile.TarInfo("../outside"), io.BytesIO())
    with pytest.raises(BadArtifact) as caught:
        inspect(path)
    assert str(caught.value) == (
        f"{path} must be a model.tar.gz; member '../outside' would lie outside of the folder of extraction"
    )
    assert not (tmp_path.parent / "outside").exists()


def test_a_model_that_is_not_there(tmp_path):
    with pytest.raises(BadOption) as caught:
        inspect(tmp_path / "none")
    assert str(caught.value) == f"no model {tmp_path / 'none'}; it must be a model.tar.gz or a folder"
