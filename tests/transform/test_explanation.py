import pytest

from toolkit.transform.explanation import explain
from toolkit.transform.inputs import InputFile
from toolkit.transform.settings import Settings, resolved
from transform.frames import recordio

CSV = {"content_type": "text/csv", "accept": "text/csv", "split_type": "Line", "assemble_with": "Line"}


def told(tmp_path, content, **given):
    (tmp_path / "a.csv").write_bytes(content)

    def ask(body, content_type, accept):
        return b"".join(b"%d\n" % len(line) for line in body.splitlines())

    return list(explain(InputFile(tmp_path / "a.csv", "a.csv"), resolved(Settings(**given), {}), ask))


def test_a_mini_batch_is_told_step_by_step(tmp_path):
    given = CSV | {"input_filter": "$[1:]", "join_source": "Input", "output_filter": "$[0,-1]"}
    assert told(tmp_path, b"7,10\n8,2\n9,3\n4,4\n", **given) == [
        "a.csv (17 bytes) becomes a.csv.out",
        "  SplitType Line, BatchStrategy MultiRecord, MaxPayloadInMB 6: "
        "as many records as fit to a request (at most 6 MB)",
        "request 1: records 1 to 4",
        "  record    b'7,10\\n' (5 bytes)",
        "  record    b'8,2\\n' (4 bytes)",
        "  record    b'9,3\\n' (4 bytes)",
        "            and 1 more",
        "  sent      b'10\\n2\\n3\\n4\\n' (9 bytes) by InputFilter $[1:], as text/csv",
        "  answered  b'2\\n1\\n1\\n1\\n' (8 bytes), to Accept text/csv",
        "  stored    b'7,2\\n8,1\\n9,1\\n4,1\\n' (16 bytes) joined with the input by OutputFilter $[0,-1], "
        "AssembleWith Line",
    ]


def test_only_the_first_requests_are_sent(tmp_path):
    lines = told(tmp_path, b"1\n2\n3\n4\n5\n", **CSV | {"strategy": "SingleRecord"})
    assert [line for line in lines if line.startswith("request")] == [f"request {n}: record {n}" for n in (1, 2, 3)]


def test_stripped_frames_are_told(tmp_path):
    lines = told(tmp_path, recordio((0, b"ab")), split_type="RecordIO", strategy="SingleRecord", max_payload=0)
    assert lines[1] == (
        "  SplitType RecordIO, BatchStrategy SingleRecord, MaxPayloadInMB 0: one record to a request (no limit), "
        "without its frame"
    )
    assert lines[4] == "  sent      b'ab' (2 bytes), as no content type"


def test_a_whole_file_is_one_request(tmp_path):
    lines = told(tmp_path, b"1\n2\n")
    assert lines[1:3] == ["  SplitType None: the whole file is one record and one request", "request 1: record 1"]


def test_an_empty_file_is_told(tmp_path):
    assert told(tmp_path, b"")[-1] == "  it is empty: nothing is sent, its output is empty"


@pytest.mark.parametrize("given", [{"input_filter": "$[3]"}, {"max_payload": 1, "split_type": "RecordIO"}])
def test_the_first_error_ends_it(tmp_path, given):
    assert told(tmp_path, b"12345678\n", **CSV | given)[-1].startswith("error: ")
