import pytest

from toolkit import archive
from toolkit.errors import BadOption
from toolkit.transform import models


@pytest.fixture
def files(tmp_path):
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "model").write_bytes(b"weights")
    return tmp_path / "files"


def test_a_folder_of_files_is_taken_as_it_is(files):
    with models.unpacked(files) as folder:
        assert folder == files


def test_an_archive_is_there_for_as_long_as_it_is_used(files, tmp_path):
    archive.pack(files, tmp_path / "model.tar.gz")
    for named in (tmp_path / "model.tar.gz", tmp_path):
        with models.unpacked(named) as folder:
            assert (folder / "model").read_bytes() == b"weights"
        assert not folder.exists()


def test_no_model_is_said(tmp_path):
    with pytest.raises(BadOption) as error, models.unpacked(tmp_path / "none"):
        pass
    assert str(error.value) == f"no model {tmp_path / 'none'}; it must be a model.tar.gz or a folder"
