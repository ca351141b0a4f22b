import random

import pytest

from toolkit.transform.crc32c import crc32c, masked
from transform.frames import castagnoli


@pytest.mark.parametrize(
    ("data", "checksum"),
    [
        (b"", 0),
        (b"123456789", 0xE3069283),
        (bytes(32), 0x8A9136AA),
        (b"\xff" * 32, 0x62A8AB43),
        (bytes(range(32)), 0x46DD794E),
        (bytes(range(31, -1, -1)), 0x113FDB5C),
    ],
)
def test_the_vectors_of_rfc_3720_are_met(data, checksum):
    assert crc32c(data) == checksum


@pytest.mark.parametrize("n_bytes", [1, 63, 64, 65, 511, 512, 513, 1024, 5000, 512 * 256 + 7, 512 * 300])
def test_every_length_gives_what_a_loop_over_bits_gives(n_bytes):
    data = random.Random(n_bytes).randbytes(n_bytes)
    assert crc32c(data) == castagnoli(data)
    assert crc32c(memoryview(data)) == castagnoli(data)


def test_the_mask_turns_and_adds():
    assert masked(b"123456789") == ((0xE3069283 >> 15 | 0xE3069283 << 17) + 0xA282EAD8) & 0xFFFFFFFF
