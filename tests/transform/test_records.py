"""That cutting neither loses nor adds a byte, whatever the records; exact requests are in test_specification.py."""

import re
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit.errors import BadPayload, PayloadTooLarge
from toolkit.transform import records
from toolkit.transform.framing import Line
from toolkit.transform.settings import Settings
from transform.frames import MAGIC, recordio, tfrecord

LINES = st.lists(st.text("ab,\r", max_size=12).map(lambda text: text.encode() + b"\n"), max_size=30)
PAYLOADS = st.lists(st.binary(max_size=12) | st.just(MAGIC), max_size=30)
FRAMES = {"RecordIO": lambda payload: recordio((0, payload)), "TFRecord": tfrecord}


def cut(content, size, **given):
    """The blocks of a file, and the requests of each."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "data"
        path.write_bytes(content)
        settings = Sized(**given, size=size)
        found = list(records.blocks(path, settings))
        return [records.read(block, settings) for block in found], [
            request for block in found for request in records.requests(block, settings)
        ]


class Sized(Settings):
    """Settings whose payload is counted in bytes."""

    def __init__(self, size, **given):
        super().__init__(**{"strategy": "MultiRecord"} | given)
        object.__setattr__(self, "size", size)

    @property
    def max_payload_bytes(self):
        return self.size


@given(LINES, st.integers(13, 60), st.booleans())
def test_lines_come_back_in_order_and_whole(lines, size, ended):
    content = b"".join(lines) if ended else b"".join(lines).rstrip(b"\n")
    blocks, requests = cut(content, size, split_type="Line")
    assert b"".join(blocks) == content
    assert all(len(block) <= size for block in blocks)
    assert all(block.endswith(b"\n") for block in blocks[:-1])
    _, single = cut(content, size, split_type="Line", strategy="SingleRecord")
    found = re.findall(rb"[^\n]*\n|[^\n]+", content)
    assert [request.body for request in single] == [line for line in found if line.rstrip(b"\n") not in (b"", b"\r")]
    assert sum(request.n_records for request in requests) == len(single)


@pytest.mark.parametrize("split_type", FRAMES)
@given(PAYLOADS, st.integers(40, 120))
def test_framed_records_come_back_in_order_and_whole(split_type, payloads, size):
    content = b"".join(FRAMES[split_type](payload) for payload in payloads)
    blocks, requests = cut(content, size, split_type=split_type)
    assert b"".join(blocks) == content
    assert all(len(block) <= size for block in blocks)
    assert sum(request.n_records for request in requests) == len(payloads)
    _, single = cut(content, size, split_type=split_type, strategy="SingleRecord")
    assert [request.body for request in single] == payloads


@pytest.mark.parametrize("split_type", FRAMES)
@given(st.binary(max_size=200))
def test_any_bytes_give_records_or_a_clear_error(split_type, content):
    try:
        blocks, _ = cut(content, 64, split_type=split_type)
    except (BadPayload, PayloadTooLarge):
        return
    assert b"".join(blocks) == content


@given(st.lists(st.sampled_from([b"", b"\r", b"a", b"b\r", b"\rc"]), max_size=8), st.booleans())
def test_lines_are_counted_as_they_are_split(lines, ended):
    content = b"\n".join(lines) + b"\n" * ended
    assert Line().count(content, 0) == len(Line().records(content, 0))


def test_a_file_that_becomes_shorter_is_noticed(tmp_path):
    (tmp_path / "data").write_bytes(b"1\n" * 10)
    settings = Sized(size=100, split_type="Line")
    block = next(records.blocks(tmp_path / "data", settings))
    (tmp_path / "data").write_bytes(b"1\n")
    with pytest.raises(BadPayload) as error:
        list(records.requests(block, settings))
    assert str(error.value) == "the file has become shorter while it was read; it ends at byte 2"
