import pytest

from toolkit.errors import BadOption
from toolkit.transform.settings import MEBIBYTE, Settings, resolved


@pytest.mark.parametrize(
    ("given", "value"),
    [
        ({"strategy": "MULTI_RECORD"}, "MultiRecord"),
        ({"strategy": "SingleRecord"}, "SingleRecord"),
        ({"strategy": "SINGLE_RECORD"}, "SingleRecord"),
        ({"strategy": None}, None),
        ({"split_type": None}, "None"),
        ({"split_type": "none"}, "None"),
        ({"split_type": "recordio"}, "RecordIO"),
        ({"assemble_with": None}, "None"),
        ({"compression_type": "gzip"}, "Gzip"),
        ({"join_source": "Input"}, "Input"),
    ],
)
def test_choices_are_read_in_every_spelling_in_use(given, value):
    assert getattr(Settings(**given), next(iter(given))) == value


REFUSED = {
    "SplitType must be one of None, Line, RecordIO, TFRecord; got 'Lines'": {"split_type": "Lines"},
    "BatchStrategy must be one of MultiRecord, SingleRecord; got 'Multi'": {"strategy": "Multi"},
    "AssembleWith must be one of None, Line; got 'RecordIO'": {"assemble_with": "RecordIO"},
    "CompressionType must be one of None, Gzip; got 'Zip'": {"compression_type": "Zip"},
    "JoinSource must be one of None, Input; got 'Output'": {"join_source": "Output"},
    "MaxPayloadInMB must be a whole number from 0 to 100; got 101": {"max_payload": 101},
    "MaxConcurrentTransforms must be a whole number from 0 to 100; got -1": {"max_concurrent_transforms": -1},
    "InvocationsTimeoutInSeconds must be a whole number from 1 to 3600; got 0": {"timeout": 0},
    "InvocationsMaxRetries must be a whole number from 0 to 3; got 4": {"retries": 4},
    "MaxPayloadInMB must be a whole number from 0 to 100; got '6'": {"max_payload": "6"},
    "SplitType must be one of None, Line, RecordIO, TFRecord; got True": {"split_type": True},
    "MaxConcurrentTransforms times MaxPayloadInMB must be at most 100; got 20 times 6": {
        "max_payload": 6,
        "max_concurrent_transforms": 20,
    },
}


@pytest.mark.parametrize(("message", "given"), REFUSED.items(), ids=REFUSED)
def test_a_value_that_cannot_be_is_refused(message, given):
    with pytest.raises(BadOption) as error:
        Settings(**given)
    assert str(error.value) == message


def test_what_nobody_says_is_the_default():
    settings = resolved(Settings(), {})
    assert (settings.strategy, settings.max_payload, settings.max_concurrent_transforms) == (
        "MultiRecord",
        6,
        1,
    )
    assert settings.max_payload_bytes == 6 * MEBIBYTE


def test_no_limit_is_an_answer_of_its_own():
    assert resolved(Settings(max_payload=0), {"MaxPayloadInMB": 6}).max_payload_bytes is None


def test_what_a_container_offers_is_checked_too():
    with pytest.raises(BadOption) as error:
        resolved(Settings(), {"BatchStrategy": "AnyRecord"})
    assert str(error.value) == "BatchStrategy must be one of MultiRecord, SingleRecord; got 'AnyRecord'"
