import gzip
import io
import os
import tarfile
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from toolkit import archive
from toolkit.errors import BadArtifact, BadOption

on_one_folder = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


@pytest.fixture
def model_dir(tmp_path) -> Path:
    folder = tmp_path / "model"
    (folder / "deep" / "empty").mkdir(parents=True)
    (folder / "model_algo-1").write_bytes(b"arrays")
    (folder / "deep" / "notes.txt").write_text("é")
    return folder


def contents(folder: Path) -> dict[str, bytes | None]:
    paths = sorted(folder.rglob("*"))
    return {str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None for path in paths}


def archived(path: Path, *members: tuple[tarfile.TarInfo, bytes], **options) -> Path:
    with tarfile.open(path, "w:gz", **options) as tar:
        for member, content in members:
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return path


def member(name: str, kind: bytes = tarfile.REGTYPE, **attributes) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type = kind
    for attribute, value in attributes.items():
        setattr(info, attribute, value)
    return info


def refusal(path: Path, **options) -> str:
    """Why an archive is refused, after a look that nothing of it is left behind."""
    before = sorted(path.parent.rglob("*"))
    with pytest.raises(BadArtifact) as caught:
        archive.extract(path, path.parent / "extracted", **options)
    assert sorted(path.parent.rglob("*")) == before
    return str(caught.value).removeprefix(f"{path} must be a model.tar.gz; ")


def test_what_is_packed_is_extracted(model_dir, tmp_path):
    archive.pack(model_dir, tmp_path / "model.tar.gz")
    archive.extract(tmp_path / "model.tar.gz", tmp_path / "extracted")
    assert contents(tmp_path / "extracted") == contents(model_dir)
    assert len(contents(model_dir)) == 4


def test_members_lie_at_the_root_of_the_archive(model_dir, tmp_path):
    archive.pack(model_dir, tmp_path / "model.tar.gz")
    with tarfile.open(tmp_path / "model.tar.gz") as tar:
        assert tar.getnames() == ["deep", "deep/empty", "deep/notes.txt", "model_algo-1"]


def test_the_same_files_make_the_same_bytes(model_dir, tmp_path):
    archive.pack(model_dir, tmp_path / "first.tar.gz")
    os.utime(model_dir / "model_algo-1", (1, 1))
    (model_dir / "model_algo-1").chmod(0o600)
    archive.pack(model_dir, tmp_path / "second.tar.gz")
    assert (tmp_path / "first.tar.gz").read_bytes() == (tmp_path / "second.tar.gz").read_bytes()


def test_a_link_in_a_model_folder_is_not_packed_and_no_archive_is_left(model_dir, tmp_path):
    (model_dir / "link").symlink_to("/etc/passwd")
    with pytest.raises(BadArtifact) as caught:
        archive.pack(model_dir, tmp_path / "model.tar.gz")
    assert str(caught.value) == f"a model folder may hold files and folders; {model_dir / 'link'} is neither"
    assert list(tmp_path.iterdir()) == [model_dir]


def test_an_empty_folder_may_be_extracted_to(model_dir, tmp_path):
    archive.pack(model_dir, tmp_path / "model.tar.gz")
    (tmp_path / "extracted").mkdir()
    archive.extract(tmp_path / "model.tar.gz", tmp_path / "extracted")
    assert contents(tmp_path / "extracted") == contents(model_dir)


def test_a_folder_with_files_is_not_extracted_to(model_dir, tmp_path):
    archive.pack(model_dir, tmp_path / "model.tar.gz")
    with pytest.raises(BadOption) as caught:
        archive.extract(tmp_path / "model.tar.gz", model_dir)
    told = f"{model_dir} must be a new or empty folder to extract {tmp_path / 'model.tar.gz'}"
    assert str(caught.value) == told


def test_an_archive_made_by_gnu_tar_is_extracted(model_dir, tmp_path):
    long_name = "n" * 200
    (model_dir / long_name).write_bytes(b"long")
    assert os.spawnlp(os.P_WAIT, "tar", "tar", "-C", model_dir, "-czf", tmp_path / "gnu.tar.gz", ".") == 0
    archive.extract(tmp_path / "gnu.tar.gz", tmp_path / "extracted")
    assert contents(tmp_path / "extracted") == contents(model_dir)


def test_an_archive_with_times_in_extended_headers_is_extracted(tmp_path):
    path = archived(tmp_path / "m.tar.gz", (member("model_algo-1", mtime=1.5), b"arrays"))
    archive.extract(path, tmp_path / "extracted")
    assert contents(tmp_path / "extracted") == {"model_algo-1": b"arrays"}


@pytest.mark.parametrize("name", ["/etc/cron.d/job", "../outside", "deep/../../outside", ".."])
@pytest.mark.parametrize("kind", [tarfile.REGTYPE, tarfile.DIRTYPE])
def test_a_member_outside_of_the_folder_is_refused(tmp_path, name, kind):
    path = archived(tmp_path / "m.tar.gz", (member("model_algo-1"), b"fine"), (member(name, kind), b""))
    assert refusal(path) == f"member {name!r} would lie outside of the folder of extraction"


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE])
def test_a_link_or_device_is_refused(tmp_path, kind):
    path = archived(tmp_path / "m.tar.gz", (member("model_algo-1", kind, linkname="/etc/passwd"), b""))
    assert refusal(path) == "member 'model_algo-1' is neither a file nor a folder"


def test_a_sparse_file_is_refused(tmp_path):
    sparse = {
        "GNU.sparse.major": "0",
        "GNU.sparse.minor": "1",
        "GNU.sparse.map": "0,1",
        "GNU.sparse.size": "9",
    }
    path = archived(tmp_path / "m.tar.gz", (member("model_algo-1", pax_headers=sparse), b"x"))
    assert refusal(path) == "member 'model_algo-1' is neither a file nor a folder"


def test_a_member_that_is_there_twice_is_refused(tmp_path):
    path = archived(tmp_path / "m.tar.gz", (member("a"), b"1"), (member("a"), b"2"))
    assert refusal(path) == "member 'a' is there twice"


def test_a_gzip_bomb_is_refused_by_the_size_that_its_header_says(tmp_path):
    path = tmp_path / "m.tar.gz"
    path.write_bytes(gzip.compress(member("zeros", size=1_000_000).tobuf()))
    assert refusal(path, most_bytes=1_000_000) == "it unpacks to more than 1000000 bytes"


def test_a_bomb_behind_the_last_member_is_refused(tmp_path):
    path = tmp_path / "m.tar.gz"
    path.write_bytes(gzip.compress(bytes(5_000_000)))
    assert refusal(path, most_bytes=1_000_000) == "it unpacks to more than 1000000 bytes"


def test_a_header_that_claims_much_memory_is_refused(tmp_path):
    path = archived(tmp_path / "m.tar.gz", (member("n" * 50_000_000), b""), format=tarfile.GNU_FORMAT)
    tracemalloc.start()
    why = refusal(path)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert why == "a member has a header of 50000384 bytes, there may be 65536"
    assert most < 2_000_000


def test_a_header_of_negative_size_is_refused(tmp_path):
    header = member("a", tarfile.GNUTYPE_LONGNAME, size=-512).tobuf(tarfile.GNU_FORMAT)
    (tmp_path / "m.tar.gz").write_bytes(gzip.compress(header + bytes(5_000_000)))
    assert refusal(tmp_path / "m.tar.gz") == "a member has a header of -512 bytes, there may be 65536"


def test_very_many_members_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(archive, "MOST_MEMBERS", 3)
    path = archived(tmp_path / "m.tar.gz", *((member(str(i)), b"") for i in range(4)))
    assert refusal(path) == "it has more than 3 members"


def test_a_file_that_is_no_gzip_is_refused(tmp_path):
    (tmp_path / "m.tar.gz").write_bytes(b"PK\3\4 a zip")
    assert refusal(tmp_path / "m.tar.gz") == "it is damaged: Not a gzipped file (b'PK')"


def test_a_gzip_file_that_is_no_tar_is_refused(tmp_path):
    (tmp_path / "m.tar.gz").write_bytes(gzip.compress(b"no tar at all" * 100))
    assert refusal(tmp_path / "m.tar.gz") == "it is damaged: invalid header"


def test_a_missing_archive_is_told(tmp_path):
    path = tmp_path / "m.tar.gz"
    assert refusal(path) == f"{path} cannot be extracted: No such file or directory"


@pytest.mark.parametrize("kept", [0.1, 0.5, 0.9, 0.99])
def test_an_archive_that_is_cut_off_is_refused(tmp_path, kept):
    whole = archived(tmp_path / "m.tar.gz", (member("a"), os.urandom(3000)), (member("b"), os.urandom(3000)))
    content = whole.read_bytes()
    whole.write_bytes(content[: int(kept * len(content))])
    why = "it is damaged: Compressed file ended before the end-of-stream marker was reached"
    assert refusal(whole) == why


def test_an_archive_whose_checksum_is_wrong_is_refused(tmp_path):
    path = archived(tmp_path / "m.tar.gz", (member("a"), b"content"))
    content = bytearray(path.read_bytes())
    content[-8] ^= 1
    path.write_bytes(content)
    assert refusal(path).startswith("it is damaged: CRC check failed")


def extracted_or_refused(folder: Path, content: bytes) -> None:
    (folder / "m.tar.gz").write_bytes(content)
    target = folder / "extracted"
    try:
        archive.extract(folder / "m.tar.gz", target, most_bytes=1_000_000)
    except BadArtifact:
        assert [path.name for path in folder.iterdir()] == ["m.tar.gz"]
        return
    for path in sorted(target.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    target.rmdir()


@given(st.binary(max_size=600))
@on_one_folder
def test_any_bytes_are_extracted_or_refused(tmp_path, content):
    extracted_or_refused(tmp_path, content)
    extracted_or_refused(tmp_path, gzip.compress(content))


@given(st.sampled_from([tarfile.PAX_FORMAT, tarfile.GNU_FORMAT]), st.data())
@settings(on_one_folder, max_examples=300)
def test_a_mutated_archive_is_extracted_or_refused(tmp_path, kind, data):
    first, second = member("é" * 120, mtime=0.5), member("folder/b", size=600)
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=kind) as tar:
        tar.addfile(first)
        tar.addfile(second, io.BytesIO(bytes(600)))
    content = bytearray(buffer.getvalue()[:4096])
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(content) - 1))
        content[at : at + data.draw(st.integers(1, 4))] = data.draw(st.binary(min_size=1, max_size=4))
    for start in range(0, len(content) - 511, 512):  # so that mutated headers are not refused by their sums alone
        total = sum(content[start : start + 512]) - sum(content[start + 148 : start + 156]) + 8 * 32
        if content[start + 257 : start + 262] == b"ustar":
            content[start + 148 : start + 156] = b"%06o\0 " % total
    extracted_or_refused(tmp_path, gzip.compress(bytes(content), 1))


@pytest.fixture
def files(tmp_path):
    """The folder of a model's files, beside which archives of it may lie."""
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "model").write_bytes(b"weights")
    return tmp_path / "files"


def test_a_folder_of_files_is_taken_as_it_is(files):
    with archive.unpacked(files) as folder:
        assert folder == files


def test_an_archive_is_unpacked_for_as_long_as_it_is_used(files, tmp_path):
    archive.pack(files, tmp_path / "model.tar.gz")
    for named in (tmp_path / "model.tar.gz", tmp_path):
        with archive.unpacked(named) as folder:
            assert (folder / "model").read_bytes() == b"weights"
        assert not folder.exists()


def test_no_model_is_said(tmp_path):
    with pytest.raises(BadOption) as error, archive.unpacked(tmp_path / "none"):
        pass
    assert str(error.value) == f"no model {tmp_path / 'none'}; it must be a model.tar.gz or a folder"
